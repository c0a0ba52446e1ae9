// What the figures are for a part of the time, an endpoint, a status: sums of rows that the page has, never guesses.

/** The chosen range of periods, from (included) to (excluded); null: the whole time. */
function range() {
  if (state.from === 0 && state.to === 0) return null;
  return { from: state.from, to: state.to || data.periods };
}

function periodStart(period) {
  return (data.duration_ns * period) / data.periods;
}

/** `12.0 s to 30.5 s`. */
function rangeName(chosen) {
  return `${duration(periodStart(chosen.from))} to ${duration(periodStart(chosen.to))}`;
}

/** An endpoint's figures in the range. */
function endpointFigures(endpoint, chosen) {
  const sum = { requests: 0, leaking: 0, retained: 0, associated: 0, leaked: 0 };
  for (const [, period, requests, leaking, retained, associated, leaked] of endpoint.course) {
    if (chosen && (period < chosen.from || period >= chosen.to)) continue;
    sum.requests += requests;
    sum.leaking += leaking;
    sum.retained += retained;
    sum.associated += associated;
    sum.leaked += leaked;
  }
  return sum;
}

/** What an endpoint kept, summed up over the periods. */
function keptCourse(endpoint) {
  const sums = new Array(data.periods).fill(0);
  for (const [, period, , , retained] of endpoint.course) sums[period] += retained;
  for (let at = 1; at < sums.length; at++) sums[at] += sums[at - 1];
  return sums;
}

/** Which measures can be told with what is chosen; the others' figures are known of the whole only. */
function measures() {
  const narrowed = state.endpoint !== "" || state.status !== "";
  return {
    retained: true,
    blocks: true,
    survivors: !narrowed && !range() && state.type === "",
    live: !narrowed && state.type === "",
  };
}

/** The measure that is shown: the chosen one, where it can be told. */
function measure() {
  return measures()[state.metric] ? state.metric : "retained";
}

const MEASURE_NAMES = {
  retained: "retained bytes",
  blocks: "retained blocks",
  survivors: "survivors' bytes",
  live: "live bytes",
};

/** A figure of the shown measure in words. */
function measured(number) {
  return measure() === "blocks" ? counted(number, "block") : estimate(number);
}

/** Whether a site's blocks are of the chosen kind. Threads' stacks are in no sum, as most of a stack is never touched:
 * they are seen by themselves. */
function isOfKind(site) {
  if (site.stack || state.kinds === "stacks") return site.stack && state.kinds === "stacks";
  return state.kinds === "all" || site.python === (state.kinds === "python");
}

/** A site's figure in the shown measure, for what is chosen, whatever its kind. */
function siteFigure(site) {
  const chosen = range();
  const at = measure() === "blocks" ? 0 : 1;
  if (state.type !== "") {
    const row = site.types.find(([name]) => data.strings[name] === state.type);
    return row && site.retained_blocks > 0 ? row[1 + at] : 0;
  }
  switch (measure()) {
    case "survivors":
      return site.survivor_bytes;
    case "live":
      return chosen ? livedFigure(site, chosen) : site.live_bytes;
    default:
      return retainedFigure(site, chosen, at);
  }
}

/** What a site's requests retained: blocks (`at` 0), bytes (1), or what of the bytes is not proved to be theirs (2). */
function retainedFigure(site, chosen, at) {
  if (!chosen && state.status === "") {
    if (state.endpoint === "") return [site.retained_blocks, site.retained_bytes, site.associated_bytes][at];
    const label = site.labels.find(([endpoint]) => endpoint === endpointAt.get(state.endpoint));
    return label ? label[2 + at] : 0;
  }
  let sum = 0;
  for (const [endpoint, status, period, ...figures] of site.kept) {
    if (chosen && (period < chosen.from || period >= chosen.to)) continue;
    if (state.endpoint !== "" && endpoint !== endpointAt.get(state.endpoint)) continue;
    if (state.status !== "" && statusName(status) !== state.status) continue;
    sum += figures[at];
  }
  return sum;
}

/** How it is known whose a site's shown bytes are: only what requests retained has owners. */
function siteWhose(site) {
  if (measure() === "live" || measure() === "survivors" || state.type !== "") return "";
  return whose(retainedFigure(site, range(), 1), retainedFigure(site, range(), 2));
}

/** Bytes made in the range and alive at its end. */
function livedFigure(site, chosen) {
  let sum = 0;
  for (const [born, died, , size] of site.lived) {
    if (born >= chosen.from && born < chosen.to && died >= chosen.to) sum += size;
  }
  return sum;
}

/** What the shown figures are of, in a sentence. */
function measureSentence() {
  const chosen = range();
  const parts = [];
  if (measure() === "live") {
    parts.push(
      chosen
        ? `live: made from ${rangeName(chosen)} and alive at that time's end`
        : `live ${data.live_moment}, in a request or not`,
    );
  } else {
    const what =
      measure() === "survivors"
        ? "alive when their request had ended"
        : "left behind by requests and alive when serving ended";
    parts.push(`${measure() === "blocks" ? "blocks" : "bytes"} ${what}`);
    if (chosen) parts.push(`of requests that began from ${rangeName(chosen)}`);
    if (state.endpoint) parts.push(`of ${state.endpoint}`);
    if (state.status) parts.push(state.status === "none" ? "without an answer" : `answered ${state.status}`);
    if (state.type) parts.push(`of type ${state.type}`);
  }
  if (state.kinds === "stacks") parts.push("mapped for threads' stacks, most of which is never touched");
  return parts.join(", ");
}
