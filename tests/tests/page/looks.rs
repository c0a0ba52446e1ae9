//! How the page looks: no two texts stand on each other, nothing is wider than the screen, and areas agree with lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use leak_tests::artifacts;
use leak_tests::browser::Browser;
use leak_tests::compile::Source;
use leak_tests::run::Place;
use serde_json::{Value, json};

use super::{assert_quiet, page, served};

/// Gives what is wrong: texts that stand on each other, and elements beyond the right edge of the screen. A box is
/// what is left of it within all that clips it.
const FAULTS: &str = r##"(() => {
  const edge = document.documentElement.clientWidth;
  const clipped = (box, element) => {
    let { left, top, right, bottom } = box;
    for (let at = element; at; at = at.parentElement) {
      const { overflowX, overflowY, position } = getComputedStyle(at);
      const frame = at.getBoundingClientRect();
      if (overflowX !== "visible" && at !== document.body && at !== document.documentElement) {
        left = Math.max(left, frame.left);
        right = Math.min(right, frame.right);
      }
      if (overflowY !== "visible" && at !== document.body && at !== document.documentElement) {
        top = Math.max(top, frame.top);
        bottom = Math.min(bottom, frame.bottom);
      }
      if (position === "fixed") break;
    }
    return { left, top, right, bottom };
  };
  const isSeen = ({ left, top, right, bottom }) => right > 0 && right - left > 1 && bottom - top > 1;
  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.textContent.trim() || !node.parentElement.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      const seen = clipped(box, node.parentElement);
      if (isSeen(seen)) boxes.push({ ...seen, node });
    }
  }
  const faults = [];
  const told = (node) => node.textContent.trim().slice(0, 40);
  boxes.sort((a, b) => a.top - b.top);
  boxes.forEach((one, at) => {
    for (const other of boxes.slice(at + 1)) {
      if (other.top > one.bottom - 2) break;
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - other.top;
      if (one.node !== other.node && wide > 2 && high > 3)
        faults.push(`"${told(one.node)}" and "${told(other.node)}" overlap by ${wide} × ${high}`);
    }
  });
  for (const element of document.body.querySelectorAll("*")) {
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    const seen = clipped(element.getBoundingClientRect(), element.parentElement);
    if (isSeen(seen) && seen.right > edge + 0.5)
      faults.push(`${element.tagName}.${element.className} ends at ${seen.right} of ${edge}`);
  }
  return [boxes.length, faults];
})()"##;

/// Takes a picture of the whole page into `target/page`, for the eye.
pub(super) fn picture(browser: &Browser, name: &str) {
    let profile = artifacts::directory();
    let folder = profile
        .parent()
        .expect("a profile lies in target/")
        .join("page");
    std::fs::create_dir_all(&folder).expect("target/ can be written");
    let size = browser.eval("[innerWidth, document.documentElement.scrollHeight]");
    let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
    let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
    let taken = browser.chromium("Page.captureScreenshot", wanted);
    let data = STANDARD.decode(taken["data"].as_str().expect("a picture"));
    let written = std::fs::write(folder.join(format!("{name}.png")), data.expect("base64"));
    written.expect("target/page can be written");
}

/// With all that can be opened, at the width of a desk's screen and of a telephone's.
#[test]
fn no_text_stands_on_another_and_nothing_is_too_wide() {
    let place = Place::new();
    let report = served(&place);
    let page = page(&place);
    let site = report.text("/sites/0/fingerprint");
    let browser = Browser::start();
    for width in [1280, 390] {
        browser.view(width, 900, false);
        for (name, link, open) in [
            ("start", String::new(), ""),
            (
                "site",
                format!("#site={site}&view=down"),
                "tr.row[aria-expanded=false], details > summary",
            ),
        ] {
            browser.open(&page, &link);
            if !open.is_empty() {
                browser.eval(&format!(
                    "document.querySelectorAll('{open}').forEach((one) => one.click())"
                ));
            }
            let found = browser.eval(FAULTS);
            picture(&browser, &format!("{name}-{width}"));
            assert!(found[0].as_u64() > Some(100), "{name}, {width}: {found}");
            assert_eq!(found[1], json!([]), "{name}, {width}");
        }
    }
    assert_quiet(&browser);
}

/// Of each column of the chart: how far the topmost pixel of a layer stands above the topmost one of the live line, in
/// pixels of the screen. Columns without both are left out.
const ABOVE: &str = r##"((layers) => {
  const canvas = document.querySelector("#time .uplot canvas");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (name) => {
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const is = ([r, g, b], at) => data[at] === r && data[at + 1] === g && data[at + 2] === b && data[at + 3] === 255;
  const [line, fills] = [rgb("text"), layers.map(rgb)];
  const above = [];
  for (let x = 0; x < width; x++) {
    let [fill, live] = [null, null];
    for (let y = 0; y < height; y++) {
      const at = 4 * (y * width + x);
      if (live === null && is(line, at)) live = y;
      if (fill === null && fills.some((color) => is(color, at))) fill = y;
    }
    if (fill !== null && live !== null) above.push(live - fill);
  }
  return above;
})"##;

/// Blocks that lived for a moment are as thin in the stack as in the line of live bytes.
#[test]
fn no_layer_of_blocks_stands_above_the_live_line() {
    let place = Place::new();
    let command = place.traced(Source::read("page/moments.c").program());
    assert!(place.run(command).status.success());
    let page = page(&place);
    let browser = Browser::start();
    browser.view(1280, 900, false);
    let verdicts = json!([
        "leak",
        "growing_buffer",
        "too_few_requests",
        "bounded",
        "warm_up",
        "freed_later",
        "clean"
    ]);
    for (by, layers) in [
        ("verdict", verdicts),
        ("kind", json!(["native", "python", "mapped"])),
    ] {
        browser.open(&page, &format!("#by={by}"));
        let above = browser.eval(&format!("{ABOVE}({layers})"));
        let above: Vec<i64> = above
            .as_array()
            .expect("columns")
            .iter()
            .filter_map(Value::as_i64)
            .collect();
        assert!(above.len() > 500, "{by}: {}", above.len());
        let most = above.iter().max();
        assert!(most <= Some(&1), "{by}: {most:?} pixels above the line");
    }
    // What is no allocator's has layers of its own.
    let legend = browser.text("#time .legend");
    for layer in [
        "malloc's blocks",
        "mapped by the program",
        "threads' stacks",
        "live and mapped",
    ] {
        assert!(legend.contains(layer), "{layer}: {legend}");
    }
    assert_quiet(&browser);
}
