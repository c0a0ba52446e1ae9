// Unpacks the page's data and shows it.

let data = null;
/** Label → index of the endpoint. */
let endpointAt = new Map();

const PANELS = [timePanel, endpointsPanel, sitesPanel, evidencePanel, requestsPanel];

async function unpacked() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

/** Colours of canvases are not the style sheet's own: they are drawn anew. */
function redraw() {
  timePanel.draw();
  icicle.draw();
  requestsPanel.plot();
}

/** On paper it is light, and nothing is folded away. */
function printing(begins) {
  document.documentElement.classList.toggle("printing", begins);
  document.getElementById("text-details").open = begins;
  redraw();
}

/** Verdicts come from requests: without any, nothing is said of a call site but what is live. */
function withoutVerdicts() {
  for (const site of data.sites) {
    site.verdict = "clean";
    site.evidence = null;
  }
  for (const row of data.time.levels) row[0] = "clean";
  WORDS.clean = "no verdict";
  DEFAULTS.by = "kind";
}

async function start() {
  data = await unpacked();
  if (data.endpoints.length === 0) withoutVerdicts();
  sampleBytes = data.sample_bytes;
  endpointAt = new Map(data.endpoints.map((endpoint, at) => [endpoint.label, at]));
  for (const panel of PANELS) {
    panel.build?.();
    onState((names) => panel.changed(names));
  }
  startState();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => printing(true));
  addEventListener("afterprint", () => printing(false));
  document.documentElement.classList.add("ready");
}

function failing(error) {
  const failed = document.getElementById("failed");
  failed.hidden = false;
  failed.textContent = `The charts can't be shown (${error.message}). The report as text is below; a newer browser may show them.`;
  document.getElementById("text-details").open = true;
}

// The verdict is painted before anything is unpacked.
requestAnimationFrame(() => setTimeout(() => start().catch(failing)));
