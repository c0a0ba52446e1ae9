// Figures in words, as the text report has them.

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** `15.6 MiB`: binary units, one digit after the point. */
function bytes(number) {
  if (number < 1024) return `${Math.round(number)} B`;
  let value = number / 1024;
  let unit = 0;
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${tenths(value)} ${UNITS[unit]}`;
}

/** One digit after the point, halves to the even one: as the text report rounds. */
function tenths(value) {
  const scaled = value * 10;
  const isHalf = scaled - Math.floor(scaled) === 0.5;
  return isHalf ? ((2 * Math.round(scaled / 2)) / 10).toFixed(1) : value.toFixed(1);
}

/** `1,234,567`. */
function count(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 request`, `1,000 requests`. */
function counted(number, what) {
  return `${count(number)} ${what}${number === 1 ? "" : "s"}`;
}

/** `57 %`; `<1 %` for a little; never all while there is another part. */
function share(part, whole) {
  const percent = whole > 0 ? (part * 100) / whole : 0;
  if (part > 0 && percent < 1) return "<1 %";
  if (percent > 99 && part < whole) return "99 %";
  return `${percent.toFixed(0)} %`;
}

/** `1 h 02 min`, `3 min 07 s`, `12.3 s`, `45 ms`. */
function duration(ns) {
  const seconds = Math.floor(ns / 1e9);
  const two = (number) => String(number).padStart(2, "0");
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
  if (seconds >= 60) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds >= 1) return `${(Math.floor(ns / 1e8) / 10).toFixed(1)} s`;
  if (ns >= 1e6 || ns === 0) return `${Math.floor(ns / 1e6)} ms`;
  return `${Math.floor(ns / 1e3)} µs`;
}

/** `data.sample_bytes` of the page; with any, sizes are estimates. */
let sampleBytes = 0;

/** `bytes`, with the standard error of an estimate. */
function estimate(number) {
  const error = Math.sqrt(number * sampleBytes);
  return error >= 1 ? `${bytes(number)} ± ${bytes(error)}` : bytes(number);
}

const VERDICTS = ["leak", "growing_buffer", "too_few_requests", "bounded", "warm_up", "freed_later", "clean"];
const WORDS = {
  leak: "leak",
  growing_buffer: "growing",
  too_few_requests: "too few requests",
  bounded: "bounded",
  warm_up: "warm-up",
  freed_later: "freed later",
  clean: "clean",
};

/** Whether a verdict is bad news. */
function leaks(verdict) {
  return verdict === "leak" || verdict === "growing_buffer";
}

/** How it is known whose memory is, of which `associated` bytes are not proved. */
function whose(all, associated) {
  if (all === 0) return "";
  if (associated === 0) return "proved";
  return associated >= all ? "not proved" : `${share(associated, all)} not proved`;
}

/** A status code in words. */
function statusName(status) {
  return status === null ? "none" : String(status);
}
