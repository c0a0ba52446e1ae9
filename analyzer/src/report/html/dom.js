// Elements. Names of strangers become text, never markup: nothing here parses HTML.

/** An element with attributes, handlers (`onclick`) and children (text or elements; null is left out). */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Puts other children into an element. */
function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
}

/** A verdict's mark: its word, whether it is sure, and its colour beside it. */
function badge(verdict, isUnsure = false) {
  return el("span", { class: `badge ${verdict}` }, WORDS[verdict], isUnsure && ", unsure");
}

/** Tells what happened to those who don't see it. */
function announce(text) {
  document.getElementById("status").textContent = text;
}

/** Copies text; where the browser has no clipboard for a page, a hidden field is used. */
async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = el("textarea", { class: "offscreen", readonly: true, "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  announce(`Copied: ${what}`);
  flash(`Copied ${what}`);
}

let flashing = null;

/** Shows a word for a moment. */
function flash(text) {
  flashing?.remove();
  flashing = el("div", { class: "flash", "aria-hidden": "true" }, text);
  document.body.append(flashing);
  const mine = flashing;
  setTimeout(() => mine.remove(), 1800);
}

/** A button. */
function button(text, onclick, more) {
  return el("button", { type: "button", onclick, ...more }, text);
}

/** Buttons of which one is on. `options`: value → text. */
function choice(label, options, value, onchange) {
  const buttons = Object.entries(options).map(([option, text]) =>
    button(text, () => onchange(option), { "aria-pressed": String(option === value), "data-value": option }),
  );
  return el("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** A colour of the style sheet, for a canvas. */
function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A canvas's context, as large as its element is shown, sharp on every screen. */
function context(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const drawing = canvas.getContext("2d");
  drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
  return drawing;
}

/** A small line of figures; what it shows is said in `title`. */
function sparkline(values, title, verdict) {
  const [width, height] = [96, 22];
  const NS = "http://www.w3.org/2000/svg";
  const most = Math.max(...values, 1);
  const step = width / Math.max(values.length - 1, 1);
  const points = values.map(
    (value, at) => `${(at * step).toFixed(1)},${(height - 2 - (value / most) * (height - 4)).toFixed(1)}`,
  );
  const svg = document.createElementNS(NS, "svg");
  const set = (element, attributes) =>
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  set(svg, {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    class: `spark ${verdict}`,
    role: "img",
    "aria-label": title,
  });
  const area = document.createElementNS(NS, "polygon");
  set(area, { points: `0,${height} ${points.join(" ")} ${width},${height}`, class: "area" });
  const line = document.createElementNS(NS, "polyline");
  set(line, { points: points.join(" ") });
  svg.append(area, line);
  return svg;
}
