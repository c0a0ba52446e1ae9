// The call sites: what is shown of them and how, the icicle, and tables of the same.

const sitesPanel = {
  build() {
    const section = document.getElementById("sites");
    if (data.sites.length === 0) return;
    section.hidden = false;
    this.section = section;
    this.controls = el("div", { class: "controls" });
    this.find = el("input", {
      type: "search",
      placeholder: "find a function or a file  /",
      "aria-label": "Find frames by function or file",
      oninput: (event) => choose({ find: event.target.value }),
    });
    this.found = el("span", { class: "told", role: "status" });
    this.types = el("select", {
      "aria-label": "Only blocks of a type",
      onchange: (event) => choose({ type: event.target.value, endpoint: "", status: "", from: 0, to: 0 }),
    });
    this.type = el("label", null, "type ", this.types);
    this.sentence = el("p", { class: "told" });
    this.limits = el("p", { class: "hint" });
    this.views = el("div", { class: "controls" });
    this.tables = el("div");
    icicle.build();
    const finding = el("div", { class: "controls" }, this.find, this.type, this.found);
    fill(
      section,
      el("h2", null, "Call sites"),
      this.controls,
      finding,
      this.sentence,
      icicle.element,
      this.legend(),
      this.limits,
      this.views,
      this.tables,
    );
    this.fillTypes();
    this.buildTable();
    document.addEventListener("keydown", (event) => this.key(event));
  },

  legend() {
    const used = VERDICTS.filter((verdict) => data.sites.some((site) => site.verdict === verdict));
    const name = (verdict) =>
      verdict === "clean" && data.endpoints.length > 0 ? "no survivors" : WORDS[verdict];
    return el(
      "ul",
      { class: "legend", "aria-label": "What the colours mean" },
      used.map((verdict) => el("li", null, el("i", { class: `swatch ${verdict}` }), name(verdict))),
    );
  },

  fillTypes() {
    const sums = new Map();
    for (const site of data.sites.filter((site) => site.retained_blocks > 0)) {
      for (const [name, , size] of site.types) sums.set(name, (sums.get(name) ?? 0) + size);
    }
    const sorted = [...sums].sort((a, b) => b[1] - a[1]).slice(0, 200);
    this.type.hidden = sorted.length === 0;
    fill(
      this.types,
      el("option", { value: "" }, "all"),
      sorted.map(([name, size]) =>
        el("option", { value: data.strings[name] }, `${data.strings[name]} (${bytes(size)})`),
      ),
    );
  },

  buildTable() {
    const weight = (row) => row.weight;
    this.table = new Table(
      [
        {
          id: "site",
          head: "Call site",
          row: true,
          cell: ({ site }) => [
            el("span", { class: "name" }, siteName(site)),
            el("span", { class: "place" }, sitePlace(site)),
          ],
          key: ({ site }) => siteName(site),
        },
        { id: "holds", head: "Holds", cell: ({ site }) => this.holds(site), hide: true, class: "holds" },
        {
          id: "verdict",
          head: "Verdict",
          cell: ({ site }) => badge(site.verdict),
          key: ({ site }) => VERDICTS.indexOf(site.verdict),
        },
        { id: "figure", head: "Figure", cell: (row) => measured(row.weight), key: weight, number: true },
        {
          id: "share",
          head: "Share",
          cell: (row) => share(row.weight, this.whole),
          number: true,
          hide: true,
        },
        {
          id: "whose",
          head: "Whose",
          cell: ({ site }) => siteWhose(site),
          hide: true,
        },
        {
          id: "requests",
          head: "Requests",
          cell: ({ site }) => count(site.requests),
          key: ({ site }) => site.requests,
          number: true,
          hide: true,
        },
      ],
      {
        label: "Call sites",
        class: "sites",
        onsort: (sort) => this.table.show(this.weighed, sort),
        onrow: ({ site }) => openSite(site),
        current: ({ site }) => site.fingerprint === state.site,
      },
    );
    if (data.sites.every((site) => site.types.length === 0)) {
      this.table.columns = this.table.columns.filter((column) => column.id !== "holds");
    }
    if (data.endpoints.length === 0) {
      const ofRequests = ["verdict", "whose", "requests"];
      this.table.columns = this.table.columns.filter((column) => !ofRequests.includes(column.id));
    }
    this.tree = new TreeTable();
  },

  /** The type that most of a site's blocks are of. */
  holds(site) {
    const [first] = site.types;
    return first && el("span", { class: "name" }, data.strings[first[0]]);
  },

  draw() {
    if (!this.section) return;
    this.defaultMeasure();
    this.weighed = weighedSites();
    this.whole = this.weighed.reduce((sum, row) => sum + row.weight, 0);
    this.drawControls();
    icicle.show(this.weighed);
    this.drawFound();
    this.drawTable();
  },

  /** Where nothing was retained, what is live is what there is to see. */
  defaultMeasure() {
    if (this.measured) return;
    this.measured = true;
    const isRetained = data.sites.some((site) => site.retained_bytes > 0 && !site.stack);
    DEFAULTS.metric = isRetained ? "retained" : "live";
    if (!location.hash.includes("metric=")) state.metric = DEFAULTS.metric;
  },

  drawControls() {
    const can = measures();
    const metric = choice("Measure", MEASURE_NAMES, measure(), (metric) => choose({ metric }));
    for (const one of metric.children) {
      if (can[one.dataset.value]) continue;
      one.disabled = true;
      one.title = "Known of the whole run and all requests only";
    }
    const offered = this.kinds();
    const kinds =
      Object.keys(offered).length > 1 &&
      choice("Kind", offered, state.kinds, (kinds) => choose({ kinds, zoom: "" }));
    const frames = choice(
      "Frames",
      { all: "all frames", program: "no runtime", own: "own code" },
      state.frames,
      (frames) => choose({ frames, zoom: "" }),
    );
    const narrowed =
      (state.endpoint || state.type || range()) &&
      button("show all", () => choose({ endpoint: "", status: "", type: "", from: 0, to: 0 }));
    fill(this.controls, metric, kinds, frames, narrowed);
    if (this.find.value !== state.find) this.find.value = state.find;
    this.types.value = state.type;
    const note =
      measure() === state.metric
        ? ""
        : `; ${MEASURE_NAMES[state.metric]} are known of all requests and types only`;
    this.sentence.textContent = `${measured(this.whole)} at ${counted(this.weighed.length, "call site")}: ${measureSentence()}${note}.`;
    this.limits.textContent = this.limited();
    this.limits.hidden = this.limits.textContent === "";
  },

  kinds() {
    const kinds = { all: "all" };
    if (data.sites.some((site) => site.python)) Object.assign(kinds, { python: "Python", native: "native" });
    if (data.sites.some((site) => site.stack)) kinds.stacks = "threads' stacks";
    return kinds;
  },

  /** What threads' stacks have of what is shown, and is in none of its figures. */
  stacksApart() {
    if (state.kinds === "stacks") return "";
    const figures = data.sites.filter((site) => site.stack).map(siteFigure);
    const found = figures.filter((figure) => figure > 0);
    if (found.length === 0) return "";
    const sum = found.reduce((sum, figure) => sum + figure, 0);
    return `Threads' stacks are in no sum, as most of a stack is never touched: ${measured(sum)} at ${counted(found.length, "call site")}.`;
  },

  limited() {
    const left = data.left_out;
    const parts = [this.stacksApart()].filter((text) => text !== "");
    if (left.sites > 0)
      parts.push(
        `For the page's size, ${counted(left.sites, "call site")} with ${bytes(left.site_retained_bytes)} retained and ${bytes(left.site_live_bytes)} live are left out.`,
      );
    const cut = range() || state.status !== "";
    if (left.details > 0 && cut)
      parts.push(
        `For the page's size, the last ${count(left.details)} call sites are not cut by time and status: they show nothing here.`,
      );
    if (state.type !== "")
      parts.push("Types are known of what the whole run retained, of the 25 largest of each call site.");
    if (data.sample_bytes > 0) parts.push("All figures are estimates of a sample.");
    return parts.join(" ");
  },

  drawFound() {
    if (state.find === "") {
      this.found.textContent = "";
      return;
    }
    const wanted = state.find.toLowerCase();
    const found = this.weighed.filter(({ site }) =>
      shownFrames(site).some((frame) => matches(frame, wanted)),
    );
    const sum = found.reduce((sum, row) => sum + row.weight, 0);
    this.found.textContent = `found in ${counted(found.length, "call site")}: ${measured(sum)}, ${share(sum, this.whole)}`;
  },

  drawTable() {
    fill(
      this.views,
      choice("Table", { sites: "by call site", down: "top-down", up: "bottom-up" }, state.view, (view) =>
        choose({ view }),
      ),
    );
    if (state.view === "sites") {
      const wanted = state.find.toLowerCase();
      const rows =
        wanted === ""
          ? this.weighed
          : this.weighed.filter(({ site }) => site.frames.some((frame) => matches(frame, wanted)));
      this.table.show(rows, this.table.sort);
      fill(this.tables, this.table.element);
    } else {
      this.tree.show(treeOf(this.weighed, state.view === "down"));
      fill(this.tables, this.tree.element);
    }
  },

  key(event) {
    const isTyping = event.target.closest?.("input, select, textarea");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.find.focus();
    this.find.select();
  },

  changed(names) {
    if (!this.section) return;
    if (
      ["from", "to", "endpoint", "status", "type", "metric", "kinds", "frames"].some((name) =>
        names.has(name),
      )
    ) {
      this.draw();
      return;
    }
    if (names.has("zoom") || names.has("find")) icicle.draw();
    if (names.has("find")) {
      if (this.find.value !== state.find) this.find.value = state.find;
      this.drawFound();
    }
    if (names.has("find") || names.has("view") || names.has("site")) this.drawTable();
  },
};

/** A tree of frames as a table whose rows open. */
class TreeTable {
  constructor() {
    this.body = el("tbody", { onkeydown: (event) => this.key(event) });
    const heads = ["Frame", "Total", "Share", "Own"].map((head, at) =>
      el("th", { scope: "col", class: [at ? "number" : "", at > 1 ? "wide-only" : ""].join(" ") }, head),
    );
    this.element = el(
      "div",
      { class: "scroll" },
      el(
        "table",
        { class: "tree", role: "treegrid", "aria-label": "Frames" },
        el("thead", null, el("tr", null, heads)),
        this.body,
      ),
    );
  }

  show(root) {
    this.root = root;
    this.open = new Set();
    // Down to where it branches, there is nothing to choose.
    for (let at = root; childrenOf(at).length === 1; at = childrenOf(at)[0]) this.open.add(childrenOf(at)[0]);
    this.at = 0;
    this.draw();
  }

  draw() {
    this.rows = [];
    const put = (at, level) => {
      const children = childrenOf(at);
      children.slice(0, 200).forEach((child) => {
        this.rows.push({ node: child, level });
        if (this.open.has(child)) put(child, level + 1);
      });
      if (children.length > 200) this.rows.push({ more: children.length - 200, level });
    };
    put(this.root, 1);
    fill(
      this.body,
      this.rows.map((row, at) => this.row(row, at)),
    );
  }

  row({ node: at, level, more }, place) {
    const tabindex = place === this.at ? "0" : "-1";
    const room = Math.min(level - 1, 24) * 12;
    if (!at)
      return el(
        "tr",
        { tabindex, "aria-level": level },
        el("td", { colspan: 4, class: "hint" }, `and ${count(more)} smaller ones`),
      );
    const hasChildren = at.children.size > 0;
    const mark = hasChildren ? (this.open.has(at) ? "▾" : "▸") : "·";
    const name = el(
      "td",
      { role: "gridcell" },
      el("span", { class: "mark", "aria-hidden": "true" }, mark),
      el("i", { class: `swatch ${verdictOf(at)}`, title: WORDS[verdictOf(at)] }),
      el("span", { class: "name" }, frameName(at.frame)),
      " ",
      el("span", { class: "place" }, framePlace(at.frame)),
    );
    name.style.paddingLeft = `${room + 4}px`;
    const number = (text, hide) =>
      el("td", { role: "gridcell", class: hide ? "number wide-only" : "number" }, text);
    const act = () => {
      this.at = place;
      this.toggle(at);
    };
    return el(
      "tr",
      {
        tabindex,
        role: "row",
        "aria-level": level,
        "aria-expanded": hasChildren ? String(this.open.has(at)) : null,
        onclick: act,
      },
      name,
      number(measured(at.weight)),
      number(share(at.weight, this.root.weight), true),
      number(at.own > 0 ? measured(at.own) : "–", true),
    );
  }

  toggle(at) {
    if (at.children.size === 0) {
      openSite(at.sites[0]);
      return;
    }
    if (!this.open.delete(at)) this.open.add(at);
    this.redraw();
  }

  redraw() {
    this.draw();
    this.body.children[this.at]?.focus();
  }

  key(event) {
    const place = [...this.body.children].indexOf(event.target);
    if (place < 0) return;
    const { node: at, level } = this.rows[place];
    const last = this.rows.length - 1;
    const go = (to) => {
      this.body.children[this.at]?.setAttribute("tabindex", "-1");
      this.at = Math.min(Math.max(to, 0), last);
      this.body.children[this.at].setAttribute("tabindex", "0");
      this.body.children[this.at].focus();
    };
    this.at = place;
    const parent = () => this.rows.slice(0, place).findLastIndex((row) => row.level < level);
    if (event.key === "ArrowDown" || event.key === "j") go(place + 1);
    else if (event.key === "ArrowUp" || event.key === "k") go(place - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(last);
    else if (event.key === "ArrowRight" && at && !this.open.has(at) && at.children.size > 0) this.toggle(at);
    else if (event.key === "ArrowRight") go(place + 1);
    else if (event.key === "ArrowLeft" && at && this.open.has(at)) this.toggle(at);
    else if (event.key === "ArrowLeft") go(parent() >= 0 ? parent() : place);
    else if (event.key === "Enter" && at) openSite(at.sites[0]);
    else if (event.key === " " && at) this.toggle(at);
    else return;
    event.preventDefault();
  }
}
