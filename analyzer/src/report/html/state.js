// What the reader chose. It stands in the URL's fragment, so that a link opens the same view.

const DEFAULTS = {
  from: 0, // periods: the range is [from, to)
  to: 0, // 0: to the end
  endpoint: "", // a label
  status: "", // a status, "none" for no answer
  type: "",
  metric: "retained",
  kinds: "all", // all but stacks, python, native, stacks
  frames: "all", // all, program (no runtime's), own
  find: "",
  zoom: "", // names of frames from the root, see icicle.js
  view: "sites", // sites, down, up
  site: "", // a fingerprint
  by: "verdict", // what the time panel is stacked by
  filter: "", // of endpoints
  sort: "",
};

let state = { ...DEFAULTS };
const listeners = [];

/** Calls `listener` with the names of what changed, now and at each change. */
function onState(listener) {
  listeners.push(listener);
}

function readFragment() {
  const read = { ...DEFAULTS };
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    if (!(name in DEFAULTS)) continue;
    read[name] = typeof DEFAULTS[name] === "number" ? Math.max(0, Math.trunc(Number(value)) || 0) : value;
  }
  return read;
}

function writeFragment() {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value !== DEFAULTS[name]) parts.set(name, value);
  }
  const fragment = parts.toString();
  history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
}

/** Changes the state; all that show it are told. */
function choose(changes) {
  change({ ...state, ...changes }, true);
}

function change(next, write) {
  const changed = Object.keys(DEFAULTS).filter((name) => next[name] !== state[name]);
  state = next;
  if (changed.length === 0) return;
  if (write) writeFragment();
  for (const listener of listeners) listener(new Set(changed));
}

/** Begins with what the URL says, and follows it. */
function startState() {
  state = sane(readFragment());
  window.addEventListener("hashchange", () => change(sane(readFragment()), false));
  const all = new Set(Object.keys(DEFAULTS));
  for (const listener of listeners) listener(all);
}

/** A fragment that somebody wrote by hand may name what is not there. */
function sane(read) {
  const periods = data.periods;
  if (read.from >= periods || read.to > periods || (read.to !== 0 && read.to <= read.from)) {
    read.from = 0;
    read.to = 0;
  }
  if (read.to === periods) read.to = 0;
  if (read.endpoint && !endpointAt.has(read.endpoint)) read.endpoint = "";
  const known = {
    metric: ["retained", "blocks", "survivors", "live"],
    kinds: ["all", "python", "native", ...(data.sites.some((site) => site.stack) ? ["stacks"] : [])],
    frames: ["all", "program", "own"],
    view: ["sites", "down", "up"],
    by: ["verdict", "kind"],
  };
  for (const [name, values] of Object.entries(known)) {
    if (!values.includes(read[name])) read[name] = DEFAULTS[name];
  }
  return read;
}
