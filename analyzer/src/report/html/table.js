// A table that can be sorted by its heads and walked through with the keyboard.

/** Rows that are shown at first; a button shows more. */
const ROWS = 25;

/**
 * A sortable table. `columns`: {id, head, cell(row), key(row) to sort by, number, hide: on narrow screens}.
 * `options`: label, onrow(row) when a row is chosen, onsort(id), detail(row) below a row that is open,
 * name(row) for what is read out.
 */
class Table {
  constructor(columns, options) {
    this.columns = columns;
    this.options = options;
    this.rows = [];
    this.sort = "";
    this.shown = ROWS;
    this.open = new Set();
    this.at = 0;
    this.head = el("tr");
    this.body = el("tbody", { onkeydown: (event) => this.key(event) });
    this.more = el("p", { class: "more" });
    const table = el(
      "table",
      { "aria-label": options.label, class: options.class },
      el("thead", null, this.head),
      this.body,
    );
    this.element = el("div", null, el("div", { class: "scroll" }, table), this.more);
  }

  /** Shows rows; `sort`: a column's id, `-` before it for the largest first. */
  show(rows, sort) {
    this.rows = rows;
    this.sort = sort;
    const id = sort.replace(/^-/, "");
    const column = this.columns.find((column) => column.id === id);
    if (column) {
      const sign = sort.startsWith("-") ? -1 : 1;
      const keys = new Map(rows.map((row) => [row, column.key(row)]));
      const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
      this.rows = [...rows].sort((a, b) => sign * compare(keys.get(a), keys.get(b)));
    }
    this.draw();
  }

  draw() {
    fill(
      this.head,
      this.columns.map((column) => this.headCell(column)),
    );
    const shown = this.rows.slice(0, this.shown);
    fill(
      this.body,
      shown.map((row, at) => this.row(row, at)),
    );
    const more = this.rows.length - shown.length;
    const rest = () => {
      this.shown += 500;
      this.draw();
    };
    fill(
      this.more,
      more > 0 && button(`Show ${count(Math.min(more, 500))} more of ${count(this.rows.length)}`, rest),
      this.rows.length === 0 && (this.options.empty ?? "Nothing."),
    );
    this.focusable();
  }

  headCell(column) {
    const id = this.sort.replace(/^-/, "");
    const sorted = id !== column.id ? null : this.sort.startsWith("-") ? "descending" : "ascending";
    const first = column.number ? `-${column.id}` : column.id;
    const other = column.number ? column.id : `-${column.id}`;
    const next = this.sort === first ? other : first;
    const content = column.key ? button(column.head, () => this.options.onsort(next)) : column.head;
    return el("th", { scope: "col", "aria-sort": sorted, class: this.classOf(column) }, content);
  }

  classOf(column) {
    return (
      [column.number ? "number" : "", column.hide ? "wide-only" : "", column.class ?? ""].join(" ").trim() ||
      null
    );
  }

  row(row, at) {
    const { detail, onrow } = this.options;
    const isOpen = this.open.has(row);
    const act = (event) => {
      this.at = at;
      if (event?.target?.closest?.("button, a")) return;
      if (detail) this.toggle(row);
      onrow?.(row);
    };
    const cells = this.columns.map((column) =>
      el(
        column.row ? "th" : "td",
        { class: this.classOf(column), scope: column.row ? "row" : null },
        column.cell(row),
      ),
    );
    const main = el(
      "tr",
      {
        class: `row ${this.options.current?.(row) ? "current" : ""}`,
        tabindex: "-1",
        "aria-expanded": detail ? String(isOpen) : null,
        onclick: act,
      },
      cells,
    );
    main.act = act;
    if (!isOpen) return main;
    return [main, el("tr", { class: "detail" }, el("td", { colspan: this.columns.length }, detail(row)))];
  }

  toggle(row) {
    if (!this.open.delete(row)) this.open.add(row);
    this.draw();
    this.mains()[this.at]?.focus();
  }

  mains() {
    return [...this.body.querySelectorAll(":scope > tr.row")];
  }

  focusable() {
    const mains = this.mains();
    this.at = Math.min(this.at, Math.max(mains.length - 1, 0));
    mains.forEach((main, at) => main.setAttribute("tabindex", at === this.at ? "0" : "-1"));
  }

  key(event) {
    const mains = this.mains();
    const at = mains.indexOf(event.target);
    if (at < 0) return;
    const moves = {
      ArrowDown: 1,
      j: 1,
      ArrowUp: -1,
      k: -1,
      PageDown: 10,
      PageUp: -10,
      Home: -mains.length,
      End: mains.length,
    };
    if (event.key in moves && !event.ctrlKey && !event.metaKey) {
      this.at = Math.min(Math.max(at + moves[event.key], 0), mains.length - 1);
      this.focusable();
      mains[this.at].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      mains[at].act(null);
    } else {
      return;
    }
    event.preventDefault();
  }
}
