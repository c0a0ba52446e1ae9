//! What the page shows of one call site, of one request and of a part of the time is what the JSON has.

use leak_tests::artifacts;
use leak_tests::browser::Browser;
use leak_tests::http::{self, Request};
use leak_tests::python;
use leak_tests::report::{Report, leak_analyze, number as figure};
use leak_tests::run::{LIMIT, Place};
use serde_json::{Value, json};

use super::looks::picture;
use super::{assert_quiet, hash, number, page, served};

/// A usual page's bytes, at most.
const USUAL: u64 = 300_000;

/// `12.3 KiB`, as the page says it.
pub(super) fn in_words(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB"];
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", units[unit])
}

/// Cells of the rows that a selector finds, as texts.
fn cells(browser: &Browser, rows: &str) -> Vec<Vec<String>> {
    let cells = browser.eval(&format!(
        "[...document.querySelectorAll('{rows}')].map(r => [...r.children].map(c => c.textContent))"
    ));
    serde_json::from_value(cells).expect("texts")
}

/// The story that libleak was made for: a Python server of whose failed requests the objects stay.
fn story(place: &Place) -> Report {
    let port = http::free_port();
    let mut command = place.traced(python::SYSTEM);
    command
        .arg(artifacts::source("targets/python/city.py"))
        .arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let pair = |area| {
        [
            Request::get(format!("/areas/{area}/vehicles")),
            Request::get("/areas"),
        ]
    };
    let requests: Vec<Request> = (0..40).flat_map(pair).collect();
    http::drive(port, 1, None, &requests);
    server.signal(libc::SIGTERM);
    assert!(server.wait(LIMIT).status.success());
    place.report()
}

#[test]
fn the_evidence_is_the_jsons() {
    let place = Place::new();
    let report = story(&place);
    let page = page(&place);
    let size = std::fs::metadata(&page).expect("a page").len();
    assert!(size <= USUAL, "{size}");
    let is_vehicles = |site: &&Value| {
        site["types"].as_array().is_some_and(|types| {
            types
                .iter()
                .any(|row| row["name"] == "__main__.FloatingVehicle")
        })
    };
    let site = report.list("/sites").iter().find(is_vehicles);
    let site = site.expect("vehicles have a call site");
    let fingerprint = site["fingerprint"].as_str().expect("text");
    let browser = Browser::start();
    // As docs/page.png has it.
    browser.view(1180, 900, false);
    browser.open(&page, "");
    picture(&browser, "story-1180");
    browser.open(&page, &format!("#site={fingerprint}"));
    // The curve, and what it is drawn from.
    let points = browser.eval(
        "document.querySelector('#evidence polyline.curve').getAttribute('points').split(' ').length",
    );
    let lives = site["evidence"]["lives"].as_array().expect("lives");
    assert_eq!(points, 1 + 2 * lives.len());
    let shown: Vec<Vec<u64>> = cells(&browser, "#evidence details table tbody tr")
        .iter()
        .map(|row| row.iter().map(|cell| number(cell)).collect())
        .collect();
    let wanted: Vec<Vec<u64>> = lives
        .iter()
        .map(|row| {
            ["up_to_requests", "freed", "alive"]
                .map(|name| figure(&row[name], name))
                .into()
        })
        .collect();
    assert_eq!(shown, wanted);
    // A bar for each eighth of serving.
    let bars = browser.eval(
        "[...document.querySelectorAll('#evidence .drawing')].map((one) => one.querySelectorAll('rect.bar').length).filter((bars) => bars > 0)",
    );
    let bars = bars.as_array().expect("drawings");
    assert!(
        !bars.is_empty() && bars.iter().all(|bars| *bars == 8),
        "{bars:?}"
    );
    // Its types.
    let types = site["types"].as_array().expect("types");
    let shown = browser.text("#evidence");
    assert!(shown.contains("What the retained blocks are"), "{shown}");
    for row in types.iter().take(5) {
        let name = row["name"].as_str().expect("text");
        let found = cells(&browser, "#evidence tr");
        let found = found.iter().find(|cells| cells[0] == name);
        let found = found.unwrap_or_else(|| panic!("no {name}: {shown}"));
        assert_eq!(
            number(&found[1]),
            figure(&row["blocks"], "blocks"),
            "{found:?}"
        );
    }
    assert_quiet(&browser);
}

#[test]
fn a_usual_page_is_small() {
    let place = Place::new();
    served(&place);
    let size = std::fs::metadata(page(&place)).expect("a page").len();
    assert!(size <= USUAL, "{size}");
}

/// What a range that is drawn shows is what the requests retained that began in it.
#[test]
fn a_drawn_range_has_the_sum_of_its_requests() {
    let place = Place::new();
    let report = served(&place);
    let page = page(&place);
    let browser = Browser::start();
    browser.view(1280, 900, false);
    browser.open(&page, "");
    let duration = report.number("/trace/duration_ns");
    let requests = report.list("/requests");
    let begin = |request: &Value| figure(&request["start_ns"], "start_ns");
    // From before the first to after half of them, as parts of the chart's width.
    let mut begins: Vec<u64> = requests.iter().map(begin).collect();
    begins.sort_unstable();
    let half = begins[begins.len() / 2] as f64 / duration as f64;
    browser.drag("#time .u-over", 0.02, half);
    browser.wait_for("location.hash.includes('to=')");
    let hash = hash(&browser);
    let period = |name: &str| {
        let parts = hash.trim_start_matches('#').split('&');
        let value = parts.filter_map(|part| part.strip_prefix(name)).next();
        value.map_or(0, number)
    };
    let (from, to) = (period("from="), period("to="));
    let mut sum = 0;
    for request in requests {
        let at = begin(request) * 48 / duration;
        if (from..to).contains(&at) {
            sum += figure(&request["retained_bytes"], "retained_bytes");
        }
    }
    assert!(sum > 0, "{hash}");
    let told = browser.text("#sites p.told");
    assert!(
        told.starts_with(&format!("{} at ", in_words(sum))),
        "{sum}: {told}"
    );
    assert_quiet(&browser);
}

#[test]
fn endpoints_are_sorted_by_any_column() {
    let place = Place::new();
    served(&place);
    let page = page(&place);
    let browser = Browser::start();
    browser.view(1280, 900, false);
    browser.open(&page, "");
    for (head, column) in [("Endpoint", 0), ("Requests", 2), ("Leaking", 3)] {
        let mut orders = Vec::new();
        for _ in 0..2 {
            browser.eval(&format!(
                "[...document.querySelectorAll('table.endpoints thead button')].find((one) => one.textContent === '{head}').click()"
            ));
            let rows = cells(&browser, "table.endpoints tr.row");
            let values: Vec<String> = rows.into_iter().map(|row| row[column].clone()).collect();
            let sorted = browser.eval(&format!(
                "[...document.querySelectorAll('table.endpoints th[aria-sort]')].filter((one) => one.textContent === '{head}').map((one) => one.getAttribute('aria-sort'))[0]"
            ));
            let mut rising = values.clone();
            match sorted.as_str() {
                Some("ascending") => {}
                Some("descending") => rising.reverse(),
                other => panic!("{head} is sorted {other:?}"),
            }
            let is_rising = match column {
                0 => rising.is_sorted(),
                _ => rising.is_sorted_by_key(|value| number(value)),
            };
            assert!(is_rising, "{head}, {sorted}: {values:?}");
            orders.push(sorted);
        }
        assert_ne!(orders[0], orders[1]);
    }
    assert_quiet(&browser);
}

/// A point in the picture of the leaking requests, clicked with the mouse: told, and first in the table.
#[test]
fn a_point_is_a_request() {
    let place = Place::new();
    let report = served(&place);
    let page = page(&place);
    let browser = Browser::start();
    browser.view(1280, 900, false);
    browser.open(&page, "");
    let at = browser.eval(
        r##"(() => {
          const canvas = document.querySelector("#requests canvas");
          canvas.scrollIntoView({ block: "center" });
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          const box = canvas.getBoundingClientRect();
          const isPoint = (x, y) => {
            const at = 4 * (y * width + x);
            return data[at] > 150 && data[at + 1] < 120 && data[at + 2] < 120 && data[at + 3] > 150;
          };
          for (let x = width - 1; x > 0; x--)
            for (let y = 0; y < height; y++) if (isPoint(x, y)) return [box.left + x - 2, box.top + y];
          return null;
        })()"##,
    );
    let place_of = |at: &Value| at.as_f64().expect("a point is drawn");
    browser.click_at(place_of(&at[0]), place_of(&at[1]));
    browser.wait_for("document.querySelector('#status').textContent.startsWith('Request at ')");
    let rows = cells(&browser, "#requests tr.row");
    assert!(
        browser
            .eval("document.querySelector('#requests tr.row').className")
            .as_str()
            .is_some_and(|class| class.contains("current"))
    );
    let told = browser.eval("document.querySelector('#status').textContent");
    let told = told.as_str().expect("text");
    assert!(told.contains(&rows[0][1]), "{told}: {:?}", rows[0]);
    // It is one of the report's.
    let label = &rows[0][1];
    let leaking = report
        .list("/requests")
        .iter()
        .filter(|one| one["label"] == **label);
    let mut sizes = leaking.map(|one| in_words(figure(&one["retained_bytes"], "retained_bytes")));
    assert!(
        sizes.any(|size| told.ends_with(&format!(", {size} retained"))),
        "{told}"
    );
    assert_quiet(&browser);
}

#[test]
fn what_is_copied_can_be_pasted() {
    let place = Place::new();
    let report = served(&place);
    let page = page(&place);
    let site = report.text("/sites/0/fingerprint");
    let browser = Browser::start();
    browser.view(1280, 900, false);
    browser.open(&page, &format!("#site={site}"));
    browser.chromium(
        "Browser.grantPermissions",
        json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    );
    browser.click("#evidence button[aria-haspopup=menu]");
    browser.click(".menu button:nth-of-type(2)");
    browser.wait_for("document.querySelector('#status').textContent === 'Copied: fingerprint'");
    browser.click("#endpoints input");
    browser.chord(leak_tests::browser::keys::CONTROL, "v");
    browser.wait_for("document.querySelector('#endpoints input').value !== ''");
    assert_eq!(
        browser.eval("document.querySelector('#endpoints input').value"),
        site
    );
    assert_quiet(&browser);
}

/// The desktop's opener gets the page; where it fails, the report is there none the less, and how to open it is said.
#[test]
fn the_desktop_opens_it() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    served(&place);
    let folder = place.path("bin");
    std::fs::create_dir(&folder).expect("a directory of ours");
    let open = |script: &str| {
        let opener = folder.join("xdg-open");
        std::fs::write(&opener, format!("#!/bin/sh\n{script}\n")).expect("a file of ours");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&opener, executable).expect("a file of ours");
        let mut command = place.plain(artifacts::leak_analyze());
        command.env("PATH", &folder).arg(place.trace());
        command.args(["--format", "html", "-o", "opened.html", "--open"]);
        command.output().expect("leak-analyze runs")
    };
    let output = open("echo \"$@\" > asked");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let asked = std::fs::read_to_string(place.path("asked")).expect("it was asked");
    assert!(asked.trim_end().ends_with("opened.html"), "{asked}");
    let output = open("exit 3");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("xdg-open failed") && said.contains("opened.html"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(leak_analyze(&[place.trace()]).status.success());
}
