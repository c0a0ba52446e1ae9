// The icicle: who called whom, as wide as what was left behind. Drawn on a canvas; all that it shows is in the tables
// below it, too.

const ROW = 21;
/** Below the text, for the strip of verdicts. */
const STRIP = 3;
/** Where a row's text has its middle: the strip hides nothing of it, no underscore either. */
const MIDDLE = (ROW - 1 - STRIP) / 2;
/** Narrower cells are not drawn. */
const NARROWEST = 0.6;
/** Rows that are shown, at most. */
const DEEPEST = 140;

const icicle = {
  build() {
    this.canvas = el("canvas", {
      tabindex: "0",
      role: "application",
      "aria-roledescription": "icicle chart",
      "aria-label":
        "Call sites as an icicle. Arrow keys go from frame to frame, Enter zooms in, Escape zooms out, C copies, O opens the evidence.",
      onmousemove: (event) => this.hover(event),
      onmouseleave: () => this.leave(),
      onclick: (event) => this.click(event),
      oncontextmenu: (event) => this.menu(event),
      onkeydown: (event) => this.key(event),
      onfocus: () => this.focusFirst(),
    });
    this.tip = el("div", { class: "tip", hidden: true });
    this.crumbs = el("nav", { class: "crumbs", "aria-label": "Zoomed to" });
    this.frame = el("div", { class: "icicle" }, this.canvas);
    this.element = el("div", null, this.crumbs, this.frame, this.tip);
    new ResizeObserver(() => this.width !== this.frame.clientWidth && this.draw()).observe(this.frame);
  },

  /** Shows the weighed sites. */
  show(weighed) {
    this.weighed = weighed;
    this.root = treeOf(weighed, true);
    this.focus = null;
    this.draw();
  },

  draw() {
    if (!this.root) return;
    this.width = this.frame.clientWidth;
    if (this.width === 0) return;
    this.top = nodeAt(this.root, state.zoom);
    this.lay();
    const rows = Math.min(1 + Math.max(...this.cells.map(({ row }) => row)), DEEPEST);
    this.drawing = context(this.canvas, this.width, Math.max(rows, 1) * ROW + 1);
    this.drawing.font = "12px system-ui, sans-serif";
    this.drawing.textBaseline = "middle";
    this.colors = Object.fromEntries([
      ...VERDICTS.map((verdict) => [verdict, color(`${verdict}-fill`)]),
      ["text", color("text")],
      ["grid", color("grid")],
      ["ground", color("ground")],
      ["strong", color("accent")],
    ]);
    this.cells.forEach((cell) => this.cell(cell));
    this.drawCrumbs();
  },

  /** Where each node lies: those above the zoomed one take the whole width. */
  lay() {
    this.cells = [];
    const above = [];
    for (let at = this.top.parent; at; at = at.parent) above.unshift(at);
    above.forEach((at, row) => this.cells.push({ at, row, x: 0, width: this.width, above: true }));
    const first = above.length;
    const put = (at, row, x, width) => {
      if (row >= DEEPEST) return;
      this.cells.push({ at, row, x, width });
      let left = x;
      const children = childrenOf(at);
      for (const [place, child] of children.entries()) {
        const part = (width * child.weight) / at.weight;
        if (part < NARROWEST) {
          // The largest come first: the others are no wider, and together they may be much.
          const others = children.slice(place);
          const rest = others.reduce((sum, other) => sum + other.weight, 0);
          this.rest(at, row + 1, left, (width * rest) / at.weight, others.length);
          break;
        }
        put(child, row + 1, left, part);
        left += part;
      }
    };
    put(this.top, first, 0, this.width);
  },

  rest(at, row, x, width, number) {
    if (width >= 3 && row < DEEPEST) this.cells.push({ at, row, x, width, number });
  },

  /** Many narrow cells, as one. */
  drawRest({ row, x, width, number }) {
    const { drawing, colors } = this;
    drawing.fillStyle = colors.grid;
    for (let left = x; left < x + width - 1; left += 4) drawing.fillRect(left, row * ROW, 2, ROW - 1);
    const text = `${count(number)} smaller`;
    if (width < drawing.measureText(text).width + 16) return;
    drawing.fillStyle = colors.ground;
    drawing.fillRect(x, row * ROW, drawing.measureText(text).width + 10, ROW - 1);
    this.text(text, x + 4, row * ROW + MIDDLE, width - 9);
  },

  cell({ at, row, x, width, above, number }) {
    if (number) {
      this.drawRest({ row, x, width, number });
      return;
    }
    const { drawing, colors } = this;
    const y = row * ROW;
    const found = state.find !== "" && at.frame >= 0 && matches(at.frame, state.find.toLowerCase());
    drawing.globalAlpha = above || (state.find !== "" && !found) ? 0.4 : 1;
    drawing.fillStyle = colors[verdictOf(at)];
    drawing.fillRect(x, y, width - 1, ROW - 1);
    if (width > 6 && this.isMixed(at)) this.strip(at, x, y, width - 1);
    if (found) {
      drawing.strokeStyle = colors.strong;
      drawing.lineWidth = 2;
      drawing.strokeRect(x + 1, y + 1, Math.max(width - 3, 1), ROW - 3);
    }
    drawing.globalAlpha = above ? 0.7 : 1;
    if (width > 24) this.text(this.title(at), x + 4, y + MIDDLE, width - 9);
    drawing.globalAlpha = 1;
    if (this.focus === at) {
      drawing.strokeStyle = colors.text;
      drawing.lineWidth = 2;
      drawing.strokeRect(x + 1, y + 1, Math.max(width - 3, 1), ROW - 3);
    }
  },

  /** Whether another verdict than most has a part that can be seen. */
  isMixed(at) {
    return at.verdicts.get(verdictOf(at)) < at.weight * 0.97;
  },

  /** Of a node with several verdicts: how much has which. */
  strip(at, x, y, width) {
    let left = x;
    for (const verdict of VERDICTS) {
      const part = (width * (at.verdicts.get(verdict) ?? 0)) / at.weight;
      this.drawing.fillStyle = color(verdict);
      this.drawing.fillRect(left, y + ROW - 1 - STRIP, part, STRIP);
      left += part;
    }
  },

  text(text, x, y, room) {
    const { drawing } = this;
    drawing.fillStyle = this.colors.text;
    if (drawing.measureText(text).width > room) {
      let shown = Math.max(Math.floor((text.length * room) / drawing.measureText(text).width) - 1, 0);
      while (shown > 0 && drawing.measureText(`${text.slice(0, shown)}…`).width > room) shown -= 1;
      text = shown > 1 ? `${text.slice(0, shown)}…` : "";
    }
    drawing.fillText(text, x, y);
  },

  title(at) {
    return at.frame < 0 ? `all: ${measured(at.weight)}` : frameName(at.frame);
  },

  drawCrumbs() {
    const path = [];
    for (let at = this.top; at; at = at.parent) path.unshift(at);
    const crumb = (at, place) =>
      place === path.length - 1
        ? el("b", null, this.title(at))
        : button(this.title(at), () => choose({ zoom: pathOf(at) }), { class: "link" });
    const shown = path.length > 5 ? [path[0], null, ...path.slice(-3)] : path;
    fill(
      this.crumbs,
      path.length > 1 &&
        shown.map((at) => [
          at ? crumb(at, path.indexOf(at)) : "…",
          at === path[path.length - 1] ? "" : " › ",
        ]),
    );
  },

  find(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, row] = [event.clientX - box.left, Math.floor((event.clientY - box.top) / ROW)];
    const isIn = (cell) => cell.row === row && x >= cell.x && x < cell.x + cell.width;
    return this.cells.find((cell) => !cell.number && isIn(cell))?.at;
  },

  hover(event) {
    const at = this.find(event);
    this.tip.hidden = !at;
    if (!at) return;
    fill(
      this.tip,
      el("b", null, this.title(at)),
      at.frame >= 0 && el("div", null, framePlace(at.frame)),
      this.describe(at).map((line) => el("div", null, line)),
    );
    const [room, height] = [this.tip.offsetWidth, this.tip.offsetHeight];
    this.tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, window.innerWidth - room - 8))}px`;
    this.tip.style.top = `${event.clientY + 18 + height > window.innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
  },

  leave() {
    this.tip.hidden = true;
  },

  /** A node's figures, a line each. */
  describe(at) {
    const lines = [
      `${measured(at.weight)}, ${share(at.weight, this.root.weight)} of what is shown`,
      counted(at.sites.length, "call site"),
    ];
    const verdicts = VERDICTS.filter((verdict) => at.verdicts.has(verdict));
    lines.push(
      verdicts.map((verdict) => `${WORDS[verdict]} ${share(at.verdicts.get(verdict), at.weight)}`).join(", "),
    );
    return lines;
  },

  click(event) {
    const at = this.find(event);
    if (at) this.zoom(at);
  },

  /** A click on what is zoomed to already opens its evidence, where it is one call site. */
  zoom(at) {
    this.focus = at;
    if (at.sites.length === 1) openSite(at.sites[0]);
    if (pathOf(at) === state.zoom) this.draw();
    else choose({ zoom: pathOf(at) });
    this.tell();
  },

  focusFirst() {
    if (this.focus) return;
    this.focus = this.top;
    this.draw();
    this.tell();
  },

  tell() {
    const at = this.focus;
    announce([this.title(at), at.frame >= 0 ? framePlace(at.frame) : "", ...this.describe(at)].join(", "));
  },

  key(event) {
    if (!this.focus || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.focus;
    const kin = at.parent ? childrenOf(at.parent) : [at];
    const beside = (step) => kin[kin.indexOf(at) + step];
    const moves = {
      ArrowDown: () => childrenOf(at)[0],
      ArrowUp: () => at.parent,
      ArrowRight: () => beside(1),
      ArrowLeft: () => beside(-1),
    };
    if (event.key in moves) this.focusOn(moves[event.key]() ?? at);
    else if (event.key === "Enter") this.zoom(at);
    else if (event.key === "Escape") choose({ zoom: pathOf(this.top.parent ?? this.root) });
    else if (event.key === "c" || event.key === "C")
      copyMenu(at.sites, this.canvas.getBoundingClientRect(), this.canvas);
    else if (event.key === "o" || event.key === "O") openSite(at.sites[0]);
    else return;
    event.preventDefault();
  },

  /** Goes to a node; one that is not in the zoomed part is zoomed to. */
  focusOn(at) {
    this.focus = at;
    const isSeen = this.cells.some((cell) => cell.at === at && !cell.above && !cell.number);
    if (!isSeen) choose({ zoom: pathOf(at) });
    this.draw();
    this.tell();
  },

  menu(event) {
    const at = this.find(event);
    if (!at) return;
    event.preventDefault();
    this.focus = at;
    this.draw();
    copyMenu(at.sites, { left: event.clientX, top: event.clientY }, this.canvas);
  },
};

/** Closes the menu that is open. */
let closeMenu = () => {};

/** Offers what can be copied of call sites. `from`: what gets the focus back. */
function copyMenu(sites, { left, top }, from) {
  closeMenu();
  let isOpen = true;
  // What is removed loses the focus, which closes it, too: once is enough.
  closeMenu = () => {
    if (!isOpen) return;
    isOpen = false;
    menu.remove();
  };
  const close = () => {
    closeMenu();
    from?.focus?.();
  };
  const each = (of) => [...new Set(sites.map(of))].join("\n");
  const item = (text, of, what) =>
    el(
      "button",
      {
        type: "button",
        role: "menuitem",
        onclick: () => {
          copy(each(of), what);
          close();
        },
      },
      text,
    );
  const several = sites.length > 1 ? "s" : "";
  const menu = el(
    "div",
    { class: "menu", role: "menu", "aria-label": "Copy" },
    item(`Copy folded stack${several}`, folded, `folded stack${several}`),
    item(`Copy fingerprint${several}`, (site) => site.fingerprint, `fingerprint${several}`),
    item(`Copy suppression${several}`, suppression, `suppression${several}`),
  );
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement);
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") items[(at + 1) % items.length].focus();
    else if (event.key === "ArrowUp") items[(at + items.length - 1) % items.length].focus();
    else return;
    event.preventDefault();
  });
  menu.addEventListener("focusout", (event) => !menu.contains(event.relatedTarget) && closeMenu());
  document.body.append(menu);
  menu.style.left = `${Math.max(4, Math.min(left, window.innerWidth - menu.offsetWidth - 8))}px`;
  menu.style.top = `${Math.max(4, Math.min(top, window.innerHeight - menu.offsetHeight - 8))}px`;
  menu.querySelector("button").focus();
}
