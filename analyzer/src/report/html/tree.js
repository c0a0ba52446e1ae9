// Call sites put together by their frames: from the outermost inwards, or from the innermost outwards.

const [OWN, WRAPPER, LIBRARY, RUNTIME] = [0, 1, 2, 3];

function frameName(frame) {
  return data.strings[data.frames[frame][0]];
}

function framePlace(frame) {
  return data.strings[data.frames[frame][1]];
}

/** The function that a person looks for. */
function siteName(site) {
  return site.frames.length > 0 ? frameName(site.frames[site.head]) : "(no backtrace)";
}

function sitePlace(site) {
  return site.frames.length > 0 ? framePlace(site.frames[site.head]) : "";
}

/** A site's frames, the innermost first, less those that are hidden. */
function shownFrames(site) {
  if (state.frames === "all" || site.frames.length === 0) return site.frames;
  const wanted = state.frames === "own" ? (kind) => kind === OWN : (kind) => kind !== RUNTIME;
  const shown = site.frames.filter((frame) => wanted(data.frames[frame][2]));
  return shown.length > 0 ? shown : [site.frames[site.head]];
}

/** What is chosen to be seen: sites with their figures, the largest first. */
function weighedSites() {
  const weighed = data.sites
    .filter(isOfKind)
    .map((site) => ({ site, weight: siteFigure(site) }))
    .filter(({ weight }) => weight > 0);
  return weighed.sort((a, b) => b.weight - a.weight);
}

function node(frame, depth, parent) {
  return { frame, depth, parent, weight: 0, verdicts: new Map(), children: new Map(), sites: [], own: 0 };
}

/** The tree of weighed sites; `inwards`: the outermost frames first. */
function treeOf(weighed, inwards) {
  const root = node(-1, 0, null);
  for (const { site, weight } of weighed) {
    let at = root;
    grow(at, site, weight);
    const frames = shownFrames(site);
    for (let index = 0; index < frames.length; index++) {
      const frame = frames[inwards ? frames.length - 1 - index : index];
      let child = at.children.get(frame);
      if (!child) at.children.set(frame, (child = node(frame, at.depth + 1, at)));
      at = child;
      grow(at, site, weight);
    }
    at.own += weight;
  }
  return root;
}

function grow(at, site, weight) {
  at.weight += weight;
  at.verdicts.set(site.verdict, (at.verdicts.get(site.verdict) ?? 0) + weight);
  at.sites.push(site);
}

/** A node's children, the largest first. */
function childrenOf(at) {
  at.sorted ??= [...at.children.values()].sort((a, b) => b.weight - a.weight);
  return at.sorted;
}

/** The verdict that most of a node has. */
function verdictOf(at) {
  let most = ["clean", -1];
  for (const row of at.verdicts) if (row[1] > most[1]) most = row;
  return most[0];
}

/** Its frames' places from the root, as the URL has them. */
function pathOf(at) {
  const path = [];
  for (; at.parent; at = at.parent) path.unshift(at.frame);
  return path.join(".");
}

/** The node of a path, as far as there is one. */
function nodeAt(root, path) {
  let at = root;
  for (const frame of path === "" ? [] : path.split(".")) {
    const child = at.children.get(Number(frame));
    if (!child) break;
    at = child;
  }
  return at;
}

/** `main;handle;Cache.put 1024`, as flame graph tools read it. */
function folded(site) {
  const clean = (frame) => frameName(frame).replace(/[;\n]/g, ":");
  const frames = shownFrames(site).map(clean).reverse();
  return `${frames.join(";")} ${siteFigure(site)}`;
}

/** The line of a LeakSanitizer suppression file that names the site's function. */
function suppression(site) {
  return `leak:${siteName(site)}`;
}

/** Whether a frame has the text in its function or its place. */
function matches(frame, text) {
  return frameName(frame).toLowerCase().includes(text) || framePlace(frame).toLowerCase().includes(text);
}
