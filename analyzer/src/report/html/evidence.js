// One call site: what it holds, why it has its verdict, whose its blocks are, what they are, and its backtrace.

const evidencePanel = {
  draw() {
    const section = document.getElementById("evidence");
    const site = data.sites.find((site) => site.fingerprint === state.site);
    section.hidden = !site;
    if (!site) return;
    const { evidence } = site;
    const heading = el(
      "h2",
      { tabindex: "-1", id: "evidence-heading" },
      "Call site ",
      el("span", { class: "name" }, siteName(site)),
    );
    const copying = (event) => {
      const { left, bottom } = event.target.getBoundingClientRect();
      copyMenu([site], { left, top: bottom }, event.target);
    };
    const controls = el(
      "div",
      { class: "controls" },
      data.endpoints.length > 0 && badge(site.verdict),
      el("code", { class: "fingerprint" }, `site ${site.fingerprint}`),
      button("Copy …", copying, { "aria-haspopup": "menu" }),
      button("Close", () => this.close()),
    );
    const left = el(
      "div",
      null,
      this.figures(site),
      evidence ? this.why(site) : this.without(site),
      this.labels(site),
    );
    const right = el(
      "div",
      null,
      evidence && this.survival(evidence),
      evidence && this.slices(evidence),
      site.types.length > 0 &&
        el(
          "div",
          null,
          el(
            "h3",
            null,
            site.retained_blocks > 0 ? "What the retained blocks are" : "What the live blocks are",
          ),
          typeTable(site.types),
        ),
    );
    fill(section, heading, controls, el("div", { class: "two" }, left, right), this.frames(site));
  },

  without(site) {
    if (data.endpoints.length === 0) return null;
    const isPlain = site.verdict === "clean" && site.labels.length === 0;
    const told = "The evidence of this call site is left out for the page's size; --format json has it.";
    return el(
      "p",
      { class: "hint" },
      isPlain ? "No request left anything behind here, and it is not known to grow." : told,
    );
  },

  close() {
    const sites = document.getElementById("sites");
    choose({ site: "" });
    sites.scrollIntoView({ block: "start" });
  },

  figures(site) {
    const row = (name, blocks, size, more) =>
      el(
        "tr",
        null,
        el("th", { scope: "row" }, name),
        el("td", { class: "number" }, estimate(size)),
        el("td", { class: "number" }, counted(blocks, "block")),
        el("td", null, more ?? ""),
      );
    const note = "The sizes are what is mapped; most of a stack is never touched, and it is in no sum.";
    const table = el(
      "table",
      { "aria-label": "Figures" },
      el(
        "tbody",
        null,
        row("outlived their request", site.survivor_blocks, site.survivor_bytes),
        row(
          "retained when serving ended",
          site.retained_blocks,
          site.retained_bytes,
          whose(site.retained_bytes, site.associated_bytes),
        ),
        row(`live ${data.live_moment}`, site.live_blocks, site.live_bytes),
      ),
    );
    return [table, site.stack && el("p", { class: "hint" }, note)];
  },

  why(site) {
    const { evidence } = site;
    const said = [el("h3", null, "Why"), el("p", null, evidence.text || "Nothing more is known.")];
    if (!evidence.sure && site.verdict !== "clean")
      said.push(el("p", { class: "hint" }, "The figures leave room for another verdict."));
    if (evidence.needed !== null)
      said.push(
        el("p", { class: "hint" }, `At least ${counted(evidence.needed, "more request")} would tell.`),
      );
    if (evidence.whose) said.push(el("h3", null, "Whose"), el("p", null, evidence.whose));
    const groups = evidence.groups.filter(([, , verdict]) => verdict !== "clean");
    if (groups.length > 0) {
      const rows = groups
        .slice(0, 20)
        .map(([endpoint, status, verdict, text]) =>
          el(
            "li",
            null,
            badge(verdict),
            ` ${data.endpoints[endpoint].label} ${status === null ? "" : status}`,
            el("div", { class: "hint" }, text),
          ),
        );
      said.push(
        el(
          "details",
          { open: groups.length <= 3 },
          el("summary", null, "By endpoint and status"),
          el("ul", { class: "groups" }, rows),
        ),
      );
    }
    if (evidence.outside_bytes > 0 && evidence.outside_text)
      said.push(
        el("h3", null, "Outside requests"),
        el(
          "p",
          null,
          badge(evidence.outside_verdict),
          ` ${estimate(evidence.outside_bytes)}: ${evidence.outside_text}`,
        ),
      );
    for (const [endpoint, requests, size, verdict, text] of evidence.open) {
      said.push(
        el(
          "p",
          null,
          badge(verdict),
          ` ${counted(requests, "request")} of ${data.endpoints[endpoint].label} that had not ended: ${estimate(size)}. ${text}`,
        ),
      );
    }
    return said;
  },

  labels(site) {
    const labels = site.labels.filter(([, , blocks]) => blocks > 0);
    if (labels.length === 0) return null;
    const rows = labels.slice(0, 20).map(([endpoint, requests, , size, associated]) => {
      const { label } = data.endpoints[endpoint];
      return el(
        "tr",
        null,
        el(
          "td",
          null,
          button(label, () => choose({ endpoint: label, status: "", type: "" }), {
            class: "link",
            title: "Show its call sites only",
          }),
        ),
        el("td", { class: "number" }, `${count(requests)} of ${count(data.endpoints[endpoint].requests)}`),
        el("td", { class: "number" }, estimate(size)),
        el("td", null, whose(size, associated)),
      );
    });
    const heads = ["Endpoint", "Requests", "Retained", "Whose"].map((head, at) =>
      el("th", { scope: "col", class: at === 1 || at === 2 ? "number" : null }, head),
    );
    return [
      el("h3", null, "Left behind by"),
      el(
        "table",
        { "aria-label": "Endpoints of this call site" },
        el("thead", null, el("tr", null, heads)),
        el("tbody", null, rows),
      ),
      labels.length > 20 && el("p", { class: "hint" }, `and ${count(labels.length - 20)} more`),
    ];
  },

  /** The share of survivors that is still alive after so many requests: Kaplan and Meier's estimate, since those that
   * are alive have not lived to their end. */
  survival(evidence) {
    if (evidence.lives.length === 0) return null;
    let atRisk = evidence.lives.reduce((sum, [, freed, alive]) => sum + freed + alive, 0);
    let alive = 1;
    const steps = [[1, 1]];
    for (const [age, freed, censored] of evidence.lives) {
      steps.push([age, alive]);
      if (atRisk > 0) alive *= 1 - freed / atRisk;
      steps.push([age, alive]);
      atRisk -= freed + censored;
    }
    const most = Math.max(...evidence.lives.map(([age]) => age), evidence.typical_life ?? 1, 2);
    const [width, height, left, bottom] = [420, 150, 40, 24];
    const x = (age) => left + ((width - left - 8) * Math.log(Math.max(age, 1))) / Math.log(most);
    const y = (part) => 6 + (height - bottom - 6) * (1 - part);
    const shapes = [
      ["line", { x1: left, x2: width, y1: y(0), y2: y(0), class: "axis" }],
      ["line", { x1: left, x2: left, y1: y(1), y2: y(0), class: "axis" }],
      [
        "polyline",
        {
          points: steps.map(([age, part]) => `${x(age).toFixed(1)},${y(part).toFixed(1)}`).join(" "),
          class: "curve",
        },
      ],
      ...[
        [0, "0 %"],
        [0.5, "50 %"],
        [1, "100 %"],
      ].map(([part, text]) => ["text", { x: left - 4, y: y(part) + 4, "text-anchor": "end" }, text]),
      ...ages(most).map((age) => [
        "text",
        { x: x(age), y: height - 8, "text-anchor": age === 1 ? "start" : "middle" },
        count(age),
      ]),
    ];
    if (evidence.typical_life !== null) {
      const at = x(evidence.typical_life);
      shapes.push(["line", { x1: at, x2: at, y1: y(1), y2: y(0), class: "limit" }]);
    }
    const typical =
      evidence.typical_life === null
        ? "None was freed."
        : `98 of 100 that were freed lived no longer than ${counted(evidence.typical_life, "request")} (dashed).`;
    const rows = evidence.lives.map(([age, freed, alive]) =>
      el(
        "tr",
        null,
        [age, freed, alive].map((number) => el("td", { class: "number" }, count(number))),
      ),
    );
    const table = el(
      "table",
      null,
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          ["Up to so many requests", "Freed", "Alive"].map((head) =>
            el("th", { scope: "col", class: "number" }, head),
          ),
        ),
      ),
      el("tbody", null, rows),
    );
    return [
      el("h3", null, "How long survivors live, in requests"),
      drawn(width, height, shapes, `Share of survivors alive by age. ${typical}`),
      el("p", { class: "hint" }, `Share that is still alive (Kaplan–Meier). ${typical}`),
      el("details", null, el("summary", null, "its figures"), table),
    ];
  },

  slices(evidence) {
    const rows = [
      ["Live here at the end of each eighth of serving", evidence.live_by_slice],
      ["Retained by the requests of each eighth", evidence.retained_by_slice],
    ].filter(([, values]) => values.some((value) => value > 0));
    return rows.map(([name, values]) => {
      const [width, height] = [420, 70];
      const most = Math.max(...values, 1);
      const step = width / values.length;
      const shapes = values.flatMap((value, at) => {
        const size = ((height - 18) * value) / most;
        return [
          ["rect", { x: at * step + 2, y: height - size, width: step - 4, height: size, class: "bar" }],
          [
            "text",
            { x: at * step + step / 2, y: height - size - 4, "text-anchor": "middle", class: "small" },
            value > 0 ? short(value) : "",
          ],
        ];
      });
      return [el("h3", null, name), drawn(width, height, shapes, values.map(bytes).join(", "))];
    });
  },

  frames(site) {
    if (site.frames.length === 0) return el("p", { class: "hint" }, "No backtrace was recorded.");
    const kinds = ["own", "own, an allocator's wrapper", "library", "runtime"];
    const rows = site.frames.map((at, place) => {
      const [, , kind, isPython] = data.frames[at];
      return el(
        "tr",
        { class: `frame kind-${kind} ${place === site.head ? "head" : ""}` },
        el("td", { class: "number" }, String(place)),
        el("td", { class: "name" }, frameName(at)),
        el("td", { class: "place" }, framePlace(at), sourceOf(at)),
        el("td", { class: "wide-only" }, `${kinds[kind]}${isPython ? ", Python" : ""}`),
      );
    });
    const heads = ["", "Function", "Where", "Whose code"].map((head, at) =>
      el("th", { scope: "col", class: at === 3 ? "wide-only" : null }, head),
    );
    return [
      el("h3", null, "Backtrace, the innermost frame first"),
      el(
        "div",
        { class: "scroll" },
        el(
          "table",
          { class: "frames", "aria-label": "Backtrace" },
          el("thead", null, el("tr", null, heads)),
          el("tbody", null, rows),
        ),
      ),
    ];
  },

  changed(names) {
    if (names.has("site")) this.draw();
  },
};

/** A frame's source line, where the page has it. */
function sourceOf(frame) {
  const row = data.sources.find(([at]) => at === frame);
  return row && el("code", { class: "source" }, row[1]);
}

/** Ages to name on an axis of powers of ten. */
function ages(most) {
  const ages = [];
  for (let age = 1; age <= most; age *= 10) ages.push(age);
  return ages.length > 6 ? ages.filter((_, at) => at % 2 === 0) : ages;
}

/** `1.2M`: bytes where there is little room. */
function short(number) {
  return bytes(number)
    .replace(" B", "")
    .replace(/ ([KMGTPE])iB/, "$1");
}

/** A drawing: shapes are [tag, attributes, text]. */
function drawn(width, height, shapes, title) {
  const NS = "http://www.w3.org/2000/svg";
  const make = ([tag, attributes, text]) => {
    const element = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const svg = make([
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "drawing", role: "img", "aria-label": title },
  ]);
  svg.append(...shapes.map(make));
  return svg;
}

/** Shows a call site's evidence. */
function openSite(site) {
  choose({ site: site.fingerprint });
  document.getElementById("evidence").scrollIntoView({ block: "start" });
  document.getElementById("evidence-heading")?.focus({ preventScroll: true });
}
