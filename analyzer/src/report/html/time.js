// Memory over time: what is live, by verdict or by kind, beside resident memory, and the requests below it. A range
// that is drawn here holds for all that follows.

const timePanel = {
  plots: [],

  build() {
    const section = document.getElementById("time");
    const time = data.time;
    if (time.t_ns.length < 2 || data.duration_ns === 0) return;
    section.hidden = false;
    this.controls = el("div", { class: "controls" });
    this.charts = el("div", { class: "charts" });
    this.from = this.slider("from", (value) => ({ from: Math.min(value, (state.to || data.periods) - 1) }));
    this.to = this.slider("to", (value) => ({ to: this.until(Math.max(value, state.from + 1)) }));
    this.told = el("span", { class: "told" });
    this.reset = button("whole time", () => choose({ from: 0, to: 0 }));
    const sliders = el(
      "div",
      { class: "range" },
      el("label", null, "from ", this.from),
      el("label", null, "to ", this.to),
      this.told,
      this.reset,
    );
    this.legend = el("ul", { class: "legend", "aria-label": "What the colours mean" });
    fill(
      section,
      el("h2", null, "Memory over time"),
      this.controls,
      this.charts,
      this.legend,
      sliders,
      this.note(),
    );
    window.addEventListener("resize", () => this.size());
  },

  note() {
    const leaking = data.leaking_requests.length;
    const left = data.left_out.leaking_requests;
    const parts = [
      "Drag over the chart, or move the sliders, to choose a part of the time: all that follows is cut by it.",
      "Stacked are the blocks of each process's own, by what is thought of their call site at the end, or by kind,",
      "as they were at the ends of 48 periods; in between they follow the line of live bytes.",
      "What came and went within a period, and what was inherited by fork, is in the line alone.",
    ];
    if (leaking > 0) parts.push("A red tick is a request that leaks.");
    if (left > 0) parts.push(`${count(left)} of them are left out for the page's size.`);
    return el("p", { class: "hint" }, parts.join(" "));
  },

  until(value) {
    return value >= data.periods ? 0 : value;
  },

  slider(name, changes) {
    return el("input", {
      type: "range",
      min: 0,
      max: data.periods,
      "aria-label": `${name}: a moment in the recorded time`,
      oninput: (event) => choose(changes(Number(event.target.value))),
    });
  },

  /** Layers from the bottom up: name, colour, rows of levels. */
  layers() {
    const of = (wanted) => data.time.levels.filter(wanted);
    const kinds = [
      ["malloc's blocks", "native", "malloc"],
      ["Python's objects", "python", "python"],
      ["mapped by the program", "mapped", "mapped"],
      ["threads' stacks: addresses, most of them never touched, above the line", "stacks", "stack"],
    ];
    const layers =
      state.by === "kind"
        ? kinds.map(([name, colour, kind]) => [name, colour, of((row) => row[1] === kind)])
        : // Stacks would stand above all that is in use.
          [...VERDICTS]
            .reverse()
            .map((verdict) => [
              verdict === "clean" ? "no survivors (startup, in use)" : WORDS[verdict],
              verdict,
              of((row) => row[0] === verdict && row[1] !== "stack"),
            ]);
    return layers
      .filter(([, , rows]) => rows.length > 0)
      .map(([name, colour, rows]) => ({ name, colour, rows }));
  },

  /** What the rows come to at the moments of the lines: from level to level in a straight line, what of it lives from
   * the period's begin to its end at most, and what was there at the last level. */
  between(rows) {
    const levels = rows.reduce(
      (sums, row) => sums.map((value, at) => value + row[2][at]),
      new Array(data.periods + 1).fill(0),
    );
    const points = data.time.t_ns.length;
    return data.time.t_ns.map((_, point) => {
      const place = (point * data.periods) / (points - 1);
      const at = Math.min(Math.floor(place), data.periods - 1);
      const [from, to] = [levels[at], levels[at + 1]];
      const value = from + (to - from) * (place - at);
      return { value, lasting: Math.min(from, to), last: levels[Math.floor(place)] };
    });
  },

  hasMapped() {
    return data.time.levels.some((row) => row[1] === "mapped");
  },

  /** Sums of mappings at the moments of the lines: they are no allocator's, and not in its live bytes. */
  mapped() {
    return this.between(data.time.levels.filter((row) => row[1] === "mapped")).map(({ last }) => last);
  },

  /** The stacked sums at the moments of the lines, the highest first. Levels are known at the periods' ends. Between
   * them blocks come and go, and the line of live bytes tells when: what does not last for the whole period has the
   * room that it leaves, so that an allocator's blocks never stand above it. Of mappings no line tells: they are drawn
   * in steps. */
  stacked(layers) {
    const isApart = (row) => row[1] === "mapped" || row[1] === "stack";
    const parts = layers.map(({ rows }) => ({
      own: this.between(rows.filter((row) => !isApart(row))),
      apart: this.between(rows.filter(isApart)),
    }));
    const stacked = layers.map(({ name, colour }) => ({ name, colour, values: [] }));
    data.time.live_bytes.forEach((live, at) => {
      const total = (figure) => parts.reduce((sum, { own }) => sum + figure(own[at]), 0);
      const lasting = total((own) => own.lasting);
      const passing = total((own) => own.value - own.lasting);
      const part = passing > 0 ? Math.min(Math.max((live - lasting) / passing, 0), 1) : 0;
      let excess = Math.max(lasting - live, 0);
      let below = 0;
      parts.forEach(({ own, apart }, layer) => {
        const size = own[at].lasting + (own[at].value - own[at].lasting) * part;
        const less = Math.min(size, excess);
        excess -= less;
        below += size - less + apart[at].last;
        stacked[layer].values.push(below);
      });
    });
    return stacked.reverse();
  },

  draw() {
    if (!this.charts) return;
    this.plots.forEach((plot) => plot.destroy());
    this.plots = [];
    fill(
      this.controls,
      choice("Stacked by", { verdict: "by verdict", kind: "by kind" }, state.by, (by) => choose({ by })),
    );
    const stacked = this.stacked(this.layers());
    fill(
      this.legend,
      stacked.map(({ name, colour }) => el("li", null, el("i", { class: `swatch ${colour}` }), name)),
      el("li", null, el("i", { class: "swatch line live" }), this.hasMapped() ? "live and mapped" : "live"),
      el("li", null, el("i", { class: "swatch line rss" }), "resident (RSS)"),
      this.limitName(),
    );
    this.plots = [this.memory(stacked)];
    if (data.endpoints.length > 0) this.plots.push(this.begins());
    this.controls.hidden = data.endpoints.length === 0;
  },

  /** Whether the limit is so near that its line stands in the chart: far above, it would press all else flat. */
  showsLimit() {
    const limit = data.time.limit;
    return limit !== null && limit[0] <= 3 * Math.max(...data.time.live_bytes, ...data.time.rss_bytes);
  },

  limitName() {
    if (data.time.limit === null) return null;
    const [size, what] = data.time.limit;
    const name = `limit, ${bytes(size)} (${what})`;
    return this.showsLimit()
      ? el("li", { class: "limit" }, el("i", { class: "swatch line limit" }), name)
      : el("li", { class: "limit" }, `${name}: far above the chart`);
  },

  axes(label, values) {
    const stroke = color("dim");
    const grid = { stroke: color("grid"), width: 1 };
    const size = 76;
    return [
      {
        stroke,
        grid,
        ticks: grid,
        values: (_, ticks) => ticks.map((tick) => duration(tick * 1e9)),
        space: 70,
        font: "11px sans-serif",
      },
      {
        stroke,
        grid,
        ticks: grid,
        values: (_, ticks) => ticks.map(values),
        size,
        label: null,
        font: "11px sans-serif",
      },
    ];
  },

  options(height, series, axes, hooks) {
    return {
      width: this.charts.clientWidth,
      height,
      series,
      axes,
      legend: { show: false },
      padding: [6, 20, 6, 0],
      scales: {
        x: { time: false, range: () => [0, data.duration_ns / 1e9] },
        y: { range: (_, low, high) => [0, (high || 1) * 1.08] },
      },
      cursor: {
        sync: { key: "time" },
        drag: { x: true, y: false, setScale: false },
        points: { show: false },
      },
      hooks: { ready: [() => this.select()], setSelect: [(plot) => this.dragged(plot)], ...hooks },
    };
  },

  memory(stacked) {
    const { t_ns, live_bytes, rss_bytes } = data.time;
    const seconds = t_ns.map((t) => t / 1e9);
    const series = [
      {},
      ...stacked.map(({ colour }) => ({
        fill: color(colour),
        stroke: color(colour),
        width: 0,
        points: { show: false },
      })),
      { stroke: color("text"), width: 1.2, points: { show: false } },
      { stroke: color("rss"), width: 2, dash: [6, 3], spanGaps: true, points: { show: false } },
      ...(this.showsLimit()
        ? [{ stroke: color("leak"), width: 1.5, dash: [2, 3], points: { show: false } }]
        : []),
    ];
    const axes = this.axes("bytes", bytes);
    axes[1].incrs = [1, 2, 5, 10, 20, 50]
      .flatMap((n) => [0, 10, 20, 30, 40].map((shift) => n * 2 ** shift))
      .concat([100, 200, 500].flatMap((n) => [0, 10, 20, 30].map((shift) => n * 2 ** shift)))
      .sort((a, b) => a - b);
    const limit = this.showsLimit() ? [seconds.map(() => data.time.limit[0])] : [];
    const mapped = this.mapped();
    const live = live_bytes.map((size, at) => size + mapped[at]);
    const rows = [seconds, ...stacked.map(({ values }) => values), live, rss_bytes, ...limit];
    const plot = new uPlot(this.options(240, series, axes, {}), rows, this.charts);
    plot.root.setAttribute("role", "img");
    const last = live_bytes.length - 1;
    plot.root.setAttribute(
      "aria-label",
      `Live bytes over time: ${bytes(live_bytes[0])} at first, ${bytes(live_bytes[Math.round(last / 2)])} in the middle, ${bytes(live_bytes[last])} at last.${data.time.limit ? ` The limit of resident memory is ${bytes(data.time.limit[0])}.` : ""}`,
    );
    return plot;
  },

  begins() {
    const { t_ns, begins } = data.time;
    const seconds = t_ns.slice(0, -1).map((t) => t / 1e9);
    const width = data.duration_ns / 1e9 / begins.length;
    const rates = begins.map((number) => number / width);
    const series = [
      {},
      {
        fill: color("rate"),
        stroke: color("rate"),
        width: 1,
        paths: uPlot.paths.stepped({ align: 1 }),
        points: { show: false },
      },
    ];
    const axes = this.axes("requests a second", (tick) => `${tick >= 10 ? count(tick) : tick}/s`);
    axes[0].show = false;
    const ticks = (plot) => this.ticks(plot);
    const plot = new uPlot(this.options(86, series, axes, { draw: [ticks] }), [seconds, rates], this.charts);
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute(
      "aria-label",
      `Requests a second over time: ${count(Math.max(...rates))} at most.`,
    );
    return plot;
  },

  /** A tick at each leaking request. */
  ticks(plot) {
    const { ctx } = plot;
    const height = plot.bbox.height * 0.35;
    ctx.save();
    ctx.fillStyle = color("leak");
    const width = Math.max(1, window.devicePixelRatio || 1);
    for (const [start] of data.leaking_requests) {
      const x = Math.round(plot.valToPos(start / 1e9, "x", true));
      ctx.fillRect(x, plot.bbox.top, width, height);
    }
    ctx.restore();
  },

  /** Somebody drew a range. */
  dragged(plot) {
    if (this.selecting || plot.select.width < 3) return;
    const seconds = (x) => plot.posToVal(x, "x");
    const period = (x) => (seconds(x) * 1e9 * data.periods) / data.duration_ns;
    const from = Math.min(Math.max(Math.round(period(plot.select.left)), 0), data.periods - 1);
    const to = Math.min(
      Math.max(Math.round(period(plot.select.left + plot.select.width)), from + 1),
      data.periods,
    );
    choose(from === 0 && to === data.periods ? { from: 0, to: 0 } : { from, to: this.until(to) });
    this.select();
  },

  /** Shows the range that is chosen. */
  select() {
    if (!this.charts) return;
    const chosen = range();
    this.selecting = true;
    for (const plot of this.plots) {
      const at = (period) => plot.valToPos(periodStart(period) / 1e9, "x");
      const box = chosen
        ? {
            left: at(chosen.from),
            width: at(chosen.to) - at(chosen.from),
            top: 0,
            height: plot.over.clientHeight,
          }
        : { left: 0, width: 0, top: 0, height: 0 };
      plot.setSelect(box, false);
    }
    this.selecting = false;
    const { from, to } = chosen ?? { from: 0, to: data.periods };
    this.from.value = from;
    this.to.value = to;
    this.from.setAttribute("aria-valuetext", duration(periodStart(from)));
    this.to.setAttribute("aria-valuetext", duration(periodStart(to)));
    this.told.textContent = chosen ? rangeName(chosen) : `all of ${duration(data.duration_ns)}`;
    this.reset.disabled = !chosen;
  },

  size() {
    for (const plot of this.plots) plot.setSize({ width: this.charts.clientWidth, height: plot.height });
    this.select();
  },

  changed(names) {
    if (names.has("by")) this.draw();
    else if (names.has("from") || names.has("to")) this.select();
  },
};
