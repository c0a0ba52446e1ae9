// The requests that leak, as points in time, and as a table.

const requestsPanel = {
  build() {
    const section = document.getElementById("requests");
    if (data.leaking_requests.length === 0) return;
    section.hidden = false;
    this.section = section;
    this.canvas = el("canvas", { role: "img", onclick: (event) => this.click(event) });
    this.told = el("p", { class: "told" });
    const request = (row) => row;
    const columns = [
      {
        id: "start",
        head: "Began",
        row: true,
        cell: ([start]) => duration(start),
        key: (row) => request(row)[0],
        number: true,
      },
      {
        id: "endpoint",
        head: "Endpoint",
        cell: ([, , endpoint]) => el("span", { class: "label" }, data.endpoints[endpoint].label),
        key: ([, , endpoint]) => data.endpoints[endpoint].label,
      },
      {
        id: "status",
        head: "Status",
        cell: ([, , , status]) => statusName(status),
        key: ([, , , status]) => status ?? 0,
      },
      {
        id: "took",
        head: "Took",
        cell: ([, took]) => (took === null ? "not ended" : duration(took)),
        key: ([, took]) => took ?? Infinity,
        number: true,
        hide: true,
      },
      { id: "kept", head: "Retained", cell: (row) => estimate(row[8]), key: (row) => row[8], number: true },
      {
        id: "blocks",
        head: "Blocks",
        cell: (row) => count(row[7]),
        key: (row) => row[7],
        number: true,
        hide: true,
      },
      { id: "whose", head: "Whose", cell: (row) => whose(row[8], row[9]), hide: true },
      {
        id: "where",
        head: "Where",
        cell: (row) => `pid ${data.processes[row[4]]?.pid ?? "?"}, thread ${row[5]}`,
        hide: true,
      },
    ];
    this.table = new Table(columns, {
      label: "Requests that leak",
      onsort: (sort) => this.table.show(this.rows, sort),
      onrow: (row) => this.pick(row, false),
      current: (row) => row === this.picked,
    });
    this.table.sort = "-kept";
    this.table.shown = 10;
    fill(
      section,
      el("h2", null, "Requests that leak"),
      this.told,
      el("div", { class: "scatter" }, this.canvas),
      this.table.element,
    );
    window.addEventListener("resize", () => this.plot());
  },

  draw() {
    if (!this.section) return;
    const chosen = range();
    const end = chosen && periodStart(chosen.to);
    this.rows = data.leaking_requests.filter(([start, , endpoint, status]) => {
      if (chosen && (start < periodStart(chosen.from) || (start >= end && chosen.to < data.periods)))
        return false;
      if (state.endpoint !== "" && endpoint !== endpointAt.get(state.endpoint)) return false;
      return state.status === "" || statusName(status) === state.status;
    });
    const left = data.left_out.leaking_requests;
    const parts = [
      `${counted(this.rows.length, "request")}${chosen ? ` that began from ${rangeName(chosen)}` : ""}${state.endpoint ? ` of ${state.endpoint}` : ""}`,
      "each at its begin, by what it retained",
    ];
    if (this.rows.some((row) => row[9] * 2 > row[8]))
      parts.push("hollow where more than half of it is not proved to be this one's");
    if (left > 0)
      parts.push(
        `${count(left)} more are left out for the page's size: the largest are all here, the others are thinned evenly`,
      );
    this.told.textContent = `${parts.join("; ")}.`;
    this.table.show(this.rows, this.table.sort);
    this.plot();
  },

  plot() {
    if (!this.section) return;
    const width = this.canvas.parentElement.clientWidth;
    const height = 200;
    if (width === 0) return;
    const drawing = context(this.canvas, width, height);
    const [left, right, top, bottom] = [70, 10, 8, 22];
    const sizes = this.rows.map((row) => row[8]);
    const most = Math.max(...sizes, 1);
    const least = Math.min(...sizes, most);
    const isWide = least > 0 && most / least > 50;
    const scale = isWide
      ? (size) => Math.log(Math.max(size, least) / least) / Math.log(most / least)
      : (size) => size / most;
    this.x = (ns) => left + ((width - left - right) * ns) / Math.max(data.duration_ns, 1);
    this.y = (size) => top + (height - top - bottom) * (1 - scale(size));
    this.axes(drawing, { width, height, left, right, top, bottom, most, least, isWide });
    for (const row of this.rows) this.point(drawing, row);
    this.canvas.setAttribute(
      "aria-label",
      `${counted(this.rows.length, "leaking request")} over time, from ${bytes(least)} to ${bytes(most)} each. The table below has the same.`,
    );
  },

  axes(drawing, { width, height, left, right, top, bottom, most, least, isWide }) {
    drawing.font = "11px system-ui, sans-serif";
    drawing.strokeStyle = color("grid");
    drawing.fillStyle = color("dim");
    drawing.lineWidth = 1;
    drawing.textAlign = "right";
    const marks = isWide ? [least, Math.sqrt(least * most), most] : [0, most / 2, most];
    for (const mark of marks) {
      const y = Math.round(this.y(mark)) + 0.5;
      drawing.beginPath();
      drawing.moveTo(left, y);
      drawing.lineTo(width - right, y);
      drawing.stroke();
      drawing.fillText(bytes(mark), left - 6, Math.max(y + 4, 11));
    }
    const ticks = width < 600 ? 3 : 6;
    for (let at = 0; at <= ticks; at++) {
      const ns = (data.duration_ns * at) / ticks;
      drawing.textAlign = at === 0 ? "left" : at === ticks ? "right" : "center";
      drawing.fillText(duration(ns), this.x(ns), height - 6);
    }
  },

  point(drawing, row) {
    const [x, y] = [this.x(row[0]), this.y(row[8])];
    drawing.beginPath();
    drawing.arc(x, y, row === this.picked ? 6 : 3.5, 0, 7);
    drawing.strokeStyle = color("leak");
    drawing.fillStyle = color("leak");
    drawing.globalAlpha = row === this.picked ? 1 : 0.75;
    drawing.lineWidth = 1.5;
    if (row[9] * 2 > row[8]) drawing.stroke();
    else drawing.fill();
    drawing.globalAlpha = 1;
  },

  click(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const far = (row) => Math.hypot(this.x(row[0]) - x, this.y(row[8]) - y);
    const nearest = this.rows.reduce(
      (best, row) => (best === null || far(row) < far(best) ? row : best),
      null,
    );
    if (nearest && far(nearest) < 24) this.pick(nearest, true);
  },

  pick(row, first) {
    this.picked = row;
    if (first) this.table.rows = [row, ...this.table.rows.filter((other) => other !== row)];
    this.table.draw();
    this.plot();
    announce(`Request at ${duration(row[0])}, ${data.endpoints[row[2]].label}, ${estimate(row[8])} retained`);
  },

  changed(names) {
    if (["from", "to", "endpoint", "status"].some((name) => names.has(name))) this.draw();
  },
};
