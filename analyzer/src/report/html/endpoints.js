// The endpoints: which leak, how many of their requests, how much; a row opens to statuses, types and call sites.

const endpointsPanel = {
  build() {
    const section = document.getElementById("endpoints");
    if (data.endpoints.length === 0) return;
    section.hidden = false;
    this.figures = new Map();
    const figures = (row) => this.figures.get(row);
    const columns = [
      {
        id: "label",
        head: "Endpoint",
        cell: (row) => el("span", { class: "label" }, row.label),
        key: (row) => row.label,
        row: true,
      },
      {
        id: "verdict",
        head: "Verdict",
        cell: (row) => badge(row.verdict, row.unsure),
        key: (row) => VERDICTS.indexOf(row.verdict),
      },
      {
        id: "requests",
        head: "Requests",
        cell: (row) => count(figures(row).requests),
        key: (row) => figures(row).requests,
        number: true,
        hide: true,
      },
      {
        id: "leaking",
        head: "Leaking",
        cell: (row) => this.leaking(row),
        key: (row) => figures(row).leaking,
        number: true,
      },
      { id: "status", head: "Status", cell: (row) => this.statuses(row), hide: true },
      {
        id: "each",
        head: "Each",
        cell: (row) => this.each(row),
        key: (row) => row.each ?? -1,
        number: true,
        hide: true,
      },
      {
        id: "total",
        head: "Left behind",
        cell: (row) => this.total(row),
        key: (row) => this.totalOf(row),
        number: true,
      },
      {
        id: "whose",
        head: "Whose",
        cell: (row) => whose(figures(row).retained, figures(row).associated),
        key: (row) => figures(row).associated / (figures(row).retained || 1),
        hide: true,
      },
      { id: "kept", head: "Kept over time", cell: (row) => this.spark(row), hide: true },
    ];
    this.table = new Table(columns, {
      label: "Endpoints",
      class: "endpoints",
      onsort: (sort) => choose({ sort }),
      detail: (row) => this.detail(row),
      current: (row) => row.label === state.endpoint,
      empty: "No endpoint has this in its label.",
    });
    this.filter = el("input", {
      type: "search",
      placeholder: "filter labels",
      "aria-label": "Filter endpoints by label",
      oninput: (event) => choose({ filter: event.target.value }),
    });
    this.clear = button("all endpoints", () => choose({ endpoint: "", status: "" }));
    this.told = el("span", { class: "told" });
    fill(
      section,
      el("h2", null, "Endpoints"),
      el("div", { class: "controls" }, this.filter, this.told, this.clear),
      this.table.element,
      this.leftOut(),
    );
    const first = data.endpoints.find((row) => leaks(row.verdict));
    if (first && data.endpoints.length <= 30) this.table.open.add(first);
  },

  leftOut() {
    const courses = data.left_out.courses;
    return (
      courses > 0 &&
      el(
        "p",
        { class: "hint" },
        `For the page's size, the last ${count(courses)} endpoints have no course over time: a part of the time shows nothing of them.`,
      )
    );
  },

  draw() {
    if (!this.table) return;
    const chosen = range();
    for (const row of data.endpoints) {
      const whole = {
        requests: row.requests,
        leaking: row.leaking,
        retained: row.retained_bytes,
        associated: row.associated_bytes,
      };
      this.figures.set(row, chosen ? endpointFigures(row, chosen) : whole);
    }
    const wanted = state.filter.toLowerCase();
    const rows = data.endpoints.filter((row) => row.label.toLowerCase().includes(wanted));
    if (this.filter.value !== state.filter) this.filter.value = state.filter;
    this.table.show(rows, state.sort);
    const parts = [
      rows.length === data.endpoints.length
        ? counted(rows.length, "endpoint")
        : `${count(rows.length)} of ${counted(data.endpoints.length, "endpoint")}`,
    ];
    if (chosen) parts.push(`requests that began from ${rangeName(chosen)}`);
    if (state.endpoint) parts.push(`below: ${state.endpoint}${state.status ? ` ${state.status}` : ""} only`);
    this.told.textContent = parts.join(" · ");
    this.clear.hidden = state.endpoint === "" && state.status === "";
  },

  /** How many requests leak; of a part of the time, only as good as it is known which ones they are. */
  leaking(row) {
    if (!range()) return row.leaking_words;
    const { leaking } = this.figures.get(row);
    const unsure = data.sample_bytes === 0 && row.leaking_range[0] < row.leaking_range[1];
    const sampled = data.sample_bytes > 0 ? "≥ " : "";
    return unsure && leaking > 0
      ? el("span", { title: "It is not proved which requests they are" }, `about ${count(leaking)}`)
      : sampled + count(leaking);
  },

  totalOf(row) {
    const figures = this.figures.get(row);
    if (range()) return leaks(row.verdict) ? figures.leaked : figures.retained;
    return row.leaked_bytes ?? row.retained_bytes;
  },

  total(row) {
    const total = this.totalOf(row);
    return total === 0 ? "–" : estimate(total);
  },

  each(row) {
    if (!leaks(row.verdict)) return "";
    if (row.each !== null) return bytes(row.each);
    return row.leaking === 0 ? "" : "?";
  },

  /** Which statuses leak, `only` where others don't. */
  statuses(row) {
    const leaking = row.statuses.filter(([, , leaking]) => leaking > 0);
    const some = leaking.length > 0 && leaking.length < row.statuses.length;
    const only = some && data.sample_bytes === 0 ? "only " : "";
    const chip = ([status]) => el("span", { class: "chip" }, statusName(status));
    if (leaking.length === 1 && leaking[0][0] === null && !only) return "";
    return [only, leaking.slice(0, 3).map(chip), leaking.length > 3 && ` +${leaking.length - 3}`];
  },

  spark(row) {
    const course = keptCourse(row);
    const last = course[course.length - 1];
    return last > 0 && sparkline(course, `kept memory rises to ${bytes(last)}`, row.verdict);
  },

  detail(row) {
    const only = (status) =>
      choose({ endpoint: row.label, status: status === undefined ? "" : statusName(status), type: "" });
    const statuses = el(
      "table",
      { "aria-label": `Statuses of ${row.label}` },
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          ["Status", "Requests", "Leaking", "Retained"].map((head, at) =>
            el("th", { scope: "col", class: at ? "number" : null }, head),
          ),
        ),
      ),
      el(
        "tbody",
        null,
        row.statuses.map(([status, requests, leaking, , retained]) =>
          el(
            "tr",
            null,
            el(
              "td",
              null,
              button(statusName(status), () => only(status), { title: "Show its call sites only" }),
            ),
            el("td", { class: "number" }, count(requests)),
            el("td", { class: "number" }, count(leaking)),
            el("td", { class: "number" }, estimate(retained)),
          ),
        ),
      ),
    );
    const types =
      row.types.length > 0 &&
      el("div", null, el("h3", null, "What they left behind"), typeTable(row.types, 8));
    const at = endpointAt.get(row.label);
    const sites = data.sites.filter((site) =>
      site.labels.some(([endpoint, , blocks]) => endpoint === at && blocks > 0),
    );
    const part = (site) => site.labels.find(([endpoint]) => endpoint === at);
    sites.sort((a, b) => a.stack - b.stack || part(b)[3] - part(a)[3]);
    const list =
      sites.length > 0 &&
      el(
        "div",
        null,
        el("h3", null, "Its call sites"),
        el(
          "ul",
          { class: "site-list" },
          sites.slice(0, 8).map((site) =>
            el(
              "li",
              null,
              badge(site.verdict),
              " ",
              site.stack ? counted(part(site)[2], "thread stack") : estimate(part(site)[3]),
              " ",
              button(siteName(site), () => openSite(site), { class: "link" }),
            ),
          ),
        ),
        sites.length > 8 && el("p", { class: "hint" }, `and ${count(sites.length - 8)} more`),
      );
    const facts = [];
    if (range()) facts.push("This is of the whole time.");
    if (row.survivor_bytes > row.retained_bytes)
      facts.push(
        `${estimate(row.survivor_bytes)} outlived their requests, ${estimate(row.retained_bytes)} were left when serving ended.`,
      );
    if (row.associated_bytes > 0)
      facts.push(
        `Of ${estimate(row.retained_bytes)} retained, ${estimate(row.associated_bytes)} are not proved to be this endpoint's: they were associated with it.`,
      );
    if (row.hidden !== null)
      facts.push(
        `A sample: a leak of less than ${bytes(row.hidden)} a request would not show, nor all requests that leak.`,
      );
    else if (row.leaking_range[0] < row.leaking_range[1])
      facts.push(
        `Between ${count(row.leaking_range[0])} and ${count(row.leaking_range[1])} of its requests leak: which ones is not proved.`,
      );
    if (row.open_requests > 0)
      facts.push(
        `${counted(row.open_requests, "request")} had not ended, and held ${estimate(row.open_bytes)}.`,
      );
    return el(
      "div",
      { class: "detail-grid" },
      el(
        "div",
        null,
        el("h3", null, "By status"),
        statuses,
        facts.map((fact) => el("p", { class: "hint" }, fact)),
        button("Show only its call sites", () => only(undefined)),
      ),
      this.apart(row),
      types,
      list,
    );
  },

  /** What goes with leaking, of an endpoint of which some requests leak and others don't. */
  apart(row) {
    const head = el("h3", null, "What tells them apart");
    if (row.apart === null) {
      const text = "Not told: which requests leak is not proved.";
      return row.apart_unproved && el("div", { class: "unproved" }, head, el("p", null, text));
    }
    if (row.apart.length === 0)
      return el("div", null, head, el("p", null, "Nothing that is known of its requests goes with leaking."));
    const part = (some, all, colour) => {
      const shade = el("i", { class: `swatch ${colour}` });
      shade.style.width = `${all > 0 ? (100 * some) / all : 0}%`;
      return el(
        "td",
        { class: "number" },
        `${count(some)} of ${count(all)}`,
        el("span", { class: "share", "aria-hidden": "true" }, shade),
      );
    };
    const heads = ["Known of requests", "of the leaking", "of the others"];
    const table = el(
      "table",
      { class: "apart", "aria-label": `What tells the leaking requests of ${row.label} apart` },
      el(
        "thead",
        null,
        el("tr", null, heads.map((text, at) => el("th", { scope: "col", class: at ? "number" : null }, text))),
      ),
      el(
        "tbody",
        null,
        row.apart.map(([facts, leakingWith, leaking, othersWith, others]) =>
          el("tr", null, el("td", null, facts), part(leakingWith, leaking, "leak"), part(othersWith, others, "clean")),
        ),
      ),
    );
    return el("div", null, head, table, el("p", { class: "hint" }, "It goes with leaking; that is not why."));
  },

  changed(names) {
    if (["from", "to", "filter", "sort", "endpoint", "status"].some((name) => names.has(name))) this.draw();
  },
};

/** Types with their blocks and bytes. */
function typeTable(types, most = 12) {
  const row = ([name, blocks, size]) => {
    const type = data.strings[name];
    return el(
      "tr",
      null,
      el("td", { class: "name" }, type),
      el("td", { class: "number" }, count(blocks)),
      el("td", { class: "number" }, estimate(size)),
    );
  };
  const heads = ["Type", "Blocks", "Bytes"].map((head, at) =>
    el("th", { scope: "col", class: at ? "number" : null }, head),
  );
  const body = el("tbody", null, types.slice(0, most).map(row));
  const table = el(
    "table",
    { class: "types", "aria-label": "Types" },
    el("thead", null, el("tr", null, heads)),
    body,
  );
  const more = types.length - most;
  const rest = (event) => {
    fill(body, types.map(row));
    event.target.remove();
  };
  return [table, more > 0 && button(`${count(more)} more types`, rest)];
}
