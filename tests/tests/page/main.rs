//! The HTML report in a real Chromium: it says what the other reports say, everything works with mouse and keyboard,
//! nothing comes from outside or gets in from a name, and it stays fast where there is much.

mod doubts;
mod figures;
mod looks;

use std::path::{Path, PathBuf};
use std::process::Command;

use leak_tests::browser::{Browser, keys};
use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::memory_group::MemoryGroup;
use leak_tests::report::{Report, leak_analyze};
use leak_tests::run::{LIMIT, Place};
use serde_json::{Value, json};

/// Makes the page of the place's trace; gives where it is.
fn page(place: &Place) -> PathBuf {
    page_with(place, &[])
}

/// The same with more options.
fn page_with(place: &Place, options: &[&str]) -> PathBuf {
    let (trace, page) = (place.trace(), place.path("leak.html"));
    let words = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let (from, to) = (words(&trace), words(&page));
    let mut arguments = vec![from.as_str(), "--format", "html", "-o", &to];
    arguments.extend(options);
    let output = leak_analyze(&arguments);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    page
}

/// The trace of a server whose `/leak` leaks, whose `/error` leaks on 500, and which has other endpoints.
fn served(place: &Place) -> Report {
    let port = http::free_port();
    let mut command = place.traced(Source::read("servers/epoll.c").program());
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let paths = [
        "/leak",
        "/error?fail",
        "/error",
        "/clean",
        "/cache",
        "/list",
    ];
    let requests: Vec<Request> = (0..300)
        .map(|at| Request::get(paths[at % paths.len()]))
        .collect();
    http::drive(port, 2, None, &requests);
    server.signal(libc::SIGTERM);
    assert!(server.wait(LIMIT).status.success());
    place.report()
}

/// No script failed, nothing was refused by the page's own policy.
fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.log(), Vec::<String>::new());
}

fn hash(browser: &Browser) -> String {
    let hash = browser.eval("location.hash");
    hash.as_str().expect("text").to_owned()
}

fn number(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn it_says_what_the_reports_say() {
    let place = Place::new();
    let report = served(&place);
    let page = page(&place);
    let browser = Browser::start();
    browser.open(&page, "");
    let text = leak_analyze(&[place.trace()]).stdout;
    let text = String::from_utf8(text).expect("text");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let headline = text.split("\n\n").next().expect("a paragraph");
    let band = words(&browser.text(".verdict"));
    assert!(band.contains(&words(headline)), "{headline}\n{band}");
    // Each endpoint's row has the JSON's figures.
    let endpoints = report.json["endpoints"].as_array().expect("endpoints");
    let rows = browser.eval(
        "[...document.querySelectorAll('table.endpoints tr.row')].map(r => [...r.children].map(c => c.textContent))",
    );
    assert_eq!(rows.as_array().map(Vec::len), Some(endpoints.len()));
    for (row, endpoint) in rows.as_array().expect("rows").iter().zip(endpoints) {
        assert_eq!(row[0], endpoint["label"]);
        assert_eq!(
            number(row[2].as_str().expect("text")),
            endpoint["requests"],
            "{row}"
        );
        let [low, high] = [0, 1].map(|at| endpoint["leaking_requests_range"][at].as_u64());
        if low == high {
            assert_eq!(
                number(row[3].as_str().expect("text")),
                endpoint["leaking_requests"],
                "{row}"
            );
        }
    }
    // No source lines where nobody asked for them.
    browser.click("#endpoints .site-list button");
    assert_eq!(
        browser.eval("document.querySelectorAll('#evidence .frame').length > 0"),
        true
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('.source').length"),
        0
    );
    assert_quiet(&browser);
}

#[test]
fn a_range_a_status_and_an_endpoint_cut_everything() {
    let place = Place::new();
    let report = served(&place);
    let page = page(&place);
    let browser = Browser::start();
    browser.view(1280, 900, false);
    browser.open(&page, "");
    // Drawn with the mouse; the sum of both halves is the whole.
    let requests = |browser: &Browser| -> u64 {
        let cells = browser.eval("[...document.querySelectorAll('table.endpoints tr.row td:nth-child(3)')].map(c => c.textContent)");
        cells
            .as_array()
            .expect("cells")
            .iter()
            .map(|cell| number(cell.as_str().expect("text")))
            .sum()
    };
    let all = requests(&browser);
    assert_eq!(
        all,
        report.json["requests"].as_array().map_or(0, Vec::len) as u64
    );
    let mut parts = 0;
    for range in ["#to=20", "#from=20&to=31", "#from=31"] {
        browser.open(&page, range);
        parts += requests(&browser);
    }
    assert_eq!(parts, all);
    browser.open(&page, "");
    browser.drag("#time .u-over", 0.2, 0.6);
    browser.wait_for("location.hash.includes('from=')");
    let drawn = hash(&browser);
    assert!(drawn.contains("from=") && drawn.contains("to="), "{drawn}");
    assert!(
        browser
            .text("#endpoints .told")
            .contains("requests that began from")
    );
    browser.click("#time .range button");
    assert_eq!(hash(&browser), "");
    // An endpoint's status: only its call sites, and what they retained.
    browser.open(&page, "#endpoint=GET+%2Ferror&status=500");
    let endpoint = report.endpoint("GET /error");
    let kept = endpoint["statuses"].as_array().expect("statuses");
    let kept = kept.iter().find(|row| row["status"] == 500).expect("500");
    let told = browser.text("#sites p.told");
    let bytes = kept["retained_bytes"].as_u64().expect("a number");
    let shown = if bytes < 1024 {
        format!("{bytes} B")
    } else {
        format!("{:.1} KiB", bytes as f64 / 1024.0)
    };
    assert!(told.starts_with(&shown), "{told}: {kept}");
    assert!(told.contains("answered 500"), "{told}");
    assert_quiet(&browser);
}

#[test]
fn everything_is_reached_without_a_mouse() {
    let place = Place::new();
    served(&place);
    let page = page(&place);
    let browser = Browser::start();
    browser.view(1280, 900, false);
    browser.open(&page, "");
    let focused = |expression: &str| browser.eval(&format!("document.activeElement.{expression}"));
    // The table of endpoints: down a row, open it, close it.
    browser.eval("document.querySelector('table.endpoints tr.row').focus()");
    browser.keys(keys::DOWN);
    browser.keys("j");
    let label = focused("querySelector('.label').textContent");
    let third = browser.eval("document.querySelectorAll('table.endpoints tr.row')[2].querySelector('.label').textContent");
    assert_eq!(label, third);
    let before = focused("getAttribute('aria-expanded')");
    browser.keys(keys::ENTER);
    assert_ne!(focused("getAttribute('aria-expanded')"), before);
    // A slash goes to the search, what is found is told, Tab leaves.
    browser.keys("/");
    assert_eq!(focused("type"), "search");
    browser.keys("leave_three");
    browser.wait_for("document.querySelector('#sites [role=status]').textContent.startsWith('found in 3 call sites')");
    assert!(hash(&browser).contains("find=leave_three"));
    // The icicle: from frame to frame, each told; zoomed in and out.
    browser.eval("document.querySelector('#sites canvas').focus()");
    let told = || browser.text("#status");
    browser.wait_for("document.querySelector('#status').textContent.startsWith('all: ')");
    browser.keys(keys::DOWN);
    browser.keys(keys::DOWN);
    let frame = browser.eval("document.querySelector('#status').textContent");
    assert!(
        frame
            .as_str()
            .is_some_and(|told| told.contains("call site")),
        "{frame} {}",
        told()
    );
    browser.keys(keys::ENTER);
    browser.wait_for("location.hash.includes('zoom=')");
    browser.keys(keys::ESCAPE);
    browser.keys(keys::ESCAPE);
    browser.wait_for("!location.hash.includes('zoom=')");
    // What is copied is offered in a menu.
    browser.keys("c");
    assert_eq!(focused("getAttribute('role')"), "menuitem");
    browser.keys(keys::ESCAPE);
    browser.wait_for("document.querySelector('.menu') === null");
    // A tree: the first row opens to the right, Enter shows the evidence, which gets the focus.
    browser.eval("document.querySelector('[data-value=down]').click()");
    browser.eval("document.querySelector('table.tree tbody tr').focus()");
    browser.keys(keys::RIGHT);
    browser.keys(keys::DOWN);
    browser.keys(keys::ENTER);
    browser.wait_for("document.activeElement.id === 'evidence-heading'");
    browser.keys(keys::TAB);
    assert_eq!(focused("tagName"), "BUTTON");
    // Each control has a name, and nothing that can be clicked is left out of the order.
    let nameless = browser.eval(
        "[...document.querySelectorAll('button, input, select, canvas:not(.u-wrap canvas)')]
            .filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length",
    );
    assert_eq!(nameless, 0);
    assert_quiet(&browser);
}

#[test]
fn a_link_opens_the_same_view() {
    let place = Place::new();
    let report = served(&place);
    let page = page_with(&place, &["--with-source"]);
    let browser = Browser::start();
    browser.open(&page, "");
    browser.click("#sites [data-value=blocks]");
    browser.click("#sites [data-value=up]");
    browser.click("#time [data-value=kind]");
    let site = report.json["sites"][0]["fingerprint"]
        .as_str()
        .expect("text");
    let link = format!("{}&site={site}&find=leave&from=3", hash(&browser));
    browser.open(&page, &link);
    let pressed = browser
        .eval("[...document.querySelectorAll('[aria-pressed=true]')].map(e => e.dataset.value)");
    let pressed = pressed.as_array().expect("values");
    for value in ["blocks", "up", "kind"] {
        assert!(pressed.contains(&json!(value)), "{pressed:?}");
    }
    assert!(browser.text("#evidence code").contains(site));
    let lines =
        browser.eval("[...document.querySelectorAll('#evidence .source')].map(e => e.textContent)");
    assert!(
        lines.as_array().is_some_and(|lines| !lines.is_empty()),
        "{lines}"
    );
    assert_eq!(
        browser.eval("document.querySelector('#sites input').value"),
        "leave"
    );
    // What somebody made up is passed over.
    for made_up in [
        "#from=90&to=2",
        "#endpoint=none",
        "#metric=x&view=y&zoom=1.2.x&site=0",
        "#%%%",
        "#sort=x",
    ] {
        browser.open(&page, made_up);
        assert!(browser.text("#sites p.told").contains("call site"));
    }
    assert_quiet(&browser);
}

#[test]
fn names_are_text() {
    const EVIL: &str = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\u{202e}{{data}}";
    let place = Place::new();
    let program = place.path("hostile");
    let mut objcopy = Command::new("objcopy");
    objcopy.args(["--strip-debug", "--redefine-sym"]);
    objcopy
        .arg("keep=keep</script><script>window.hacked(1)</script>")
        .arg(Source::read("page/hostile.c").program())
        .arg(&program);
    assert!(objcopy.status().expect("objcopy runs").success());
    let mut command = place.traced(program);
    command.arg(format!("{EVIL}&\"'"));
    assert!(place.run(command).status.success());
    let page = page(&place);
    let browser = Browser::start();
    browser.open(&page, "#view=down");
    assert_eq!(browser.eval("window.hacked === undefined"), true);
    assert_eq!(
        browser.eval("document.querySelectorAll('img, main script').length"),
        0
    );
    let label = browser.text("table.endpoints .label");
    assert_eq!(
        label,
        format!("{}&\"'", EVIL.replace('\u{202e}', "\\u{202e}"))
    );
    let frames = browser.text("table.tree");
    assert!(frames.contains("keep</script><script>"), "{frames}");
    browser.eval("document.querySelector('table.tree tbody tr:last-child').click()");
    browser.eval("document.querySelector('table.endpoints .row').click()");
    assert_eq!(browser.eval("window.hacked === undefined"), true);
    assert_quiet(&browser);
}

/// Nothing is said of call sites but what is live there.
#[test]
fn without_requests_there_are_no_verdicts() {
    let place = Place::new();
    let mut command = place.traced("/usr/bin/python3");
    command.args(["-S", "-c", "kept = [bytes(1000) for _ in range(1000)]"]);
    assert!(place.run(command).status.success());
    let page = page(&place);
    let browser = Browser::start();
    browser.open(&page, "");
    assert!(browser.text(".verdict").contains("No requests were seen"));
    assert!(
        browser
            .text("#sites p.told")
            .contains("live before the exit")
    );
    browser.click("table.sites tr.row");
    browser.wait_for("!document.querySelector('#evidence').hidden");
    assert_eq!(
        browser.eval("document.querySelectorAll('.badge').length"),
        0
    );
    assert_quiet(&browser);
}

#[test]
fn many_call_sites_and_endpoints() {
    let place = Place::new();
    let command = place.traced(Source::read("page/many.c").program());
    assert!(place.run(command).status.success());
    let page = page(&place);
    let size = std::fs::metadata(&page).expect("a page").len();
    assert!(size < 5_000_000, "{size}");
    let browser = Browser::start();
    browser.view(1280, 900, false);
    browser.open(&page, "");
    assert!(browser.text("#endpoints .told").contains("1,000 endpoints"));
    let told = browser.text("#sites p.told");
    // 800,000 bytes.
    assert!(
        told.starts_with("781.2 KiB") || told.starts_with("781.3 KiB"),
        "{told}"
    );
    browser.eval("document.querySelector('#endpoints input').focus()");
    browser.keys("/many/77");
    browser.wait_for(
        "document.querySelector('#endpoints .told').textContent.startsWith('11 of 1,000')",
    );
    browser.eval("document.querySelector('#sites input').focus()");
    browser.keys("site1000");
    browser.wait_for("document.querySelector('#sites [role=status]').textContent.startsWith('found in 1 call site')");
    assert_quiet(&browser);
}

#[test]
fn it_fits_every_screen_and_paper() {
    let place = Place::new();
    served(&place);
    let page = page(&place);
    let browser = Browser::start();
    for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        browser.view(width, 900, dark);
        browser.open(&page, "");
        let wide = browser.eval("document.documentElement.scrollWidth");
        assert!(wide.as_u64() <= Some(u64::from(width)), "{width}: {wide}");
        let ground = browser.eval("getComputedStyle(document.body).backgroundColor");
        assert_eq!(ground != "rgb(255, 255, 255)", dark, "{ground}");
    }
    let printed = browser.chromium("Page.printToPDF", json!({"printBackground": true}));
    assert!(
        printed["data"]
            .as_str()
            .is_some_and(|pdf| pdf.len() > 10_000)
    );
    // Without scripts the verdict and the text are there.
    browser.chromium(
        "Emulation.setScriptExecutionDisabled",
        json!({"value": true}),
    );
    browser.chromium(
        "Page.navigate",
        json!({"url": format!("file://{}", page.display())}),
    );
    let shown = |selector: &str| browser.text(selector);
    assert!(shown(".verdict").contains("endpoints leak"));
    assert!(shown("noscript").contains("JavaScript"));
    assert_quiet(&browser);
    let _: Value = browser.chromium(
        "Emulation.setScriptExecutionDisabled",
        json!({"value": false}),
    );
}

/// Of an endpoint that leaks only where it answers 500: what goes with leaking, as the JSON has it. Of one that always
/// leaks there is nobody to tell its requests from.
#[test]
fn what_tells_leaking_requests_apart() {
    let place = Place::new();
    let report = served(&place);
    let page = page(&place);
    let browser = Browser::start();
    browser.open(&page, "");
    let apart = &report.endpoint("GET /error")["apart"]["single"];
    assert_eq!(apart["facts"], json!(["status 500"]));
    for label in ["GET /error", "GET /leak"] {
        browser.eval(&format!(
            "[...document.querySelectorAll('table.endpoints tr.row[aria-expanded=false]')]
                .find((row) => row.children[0].textContent === '{label}')?.click()"
        ));
    }
    let cells = browser.eval(
        "[...document.querySelectorAll('table.apart tbody tr')].map(r => [...r.children].map(c => c.textContent))",
    );
    let of = |some: &str, all: &str| format!("{} of {}", apart[some], apart[all]);
    let leaking = of("leaking_requests_with", "leaking_requests");
    let others = of("other_requests_with", "other_requests");
    assert_eq!(cells, json!([["status 500", leaking, others]]));
    for width in [1280, 390] {
        browser.view(width, 900, false);
        let wide = browser.eval("document.documentElement.scrollWidth");
        assert!(wide.as_u64() <= Some(u64::from(width)), "{width}: {wide}");
    }
    assert_quiet(&browser);
}

/// A limit that resident memory comes near is a line in the chart; one far above it is a word below.
#[test]
fn the_memory_limit_is_shown() {
    const LIMIT: u64 = 128 << 20;
    let place = Place::new();
    let Some(group) = MemoryGroup::of(LIMIT) else {
        eprintln!("no groups of processes can be made here: not tested");
        return;
    };
    let program = Source::read("mapped/until_killed.c").program();
    assert_eq!(group.run(&place, &program).status.code(), None);
    let browser = Browser::start();
    browser.open(&page(&place), "");
    let limit = browser.text("#time .legend li.limit");
    assert_eq!(limit, "limit, 128.0 MiB (cgroup)");
    let label = browser.eval("document.querySelector('#time .uplot').getAttribute('aria-label')");
    let label = label.as_str().expect("a text");
    assert!(
        label.ends_with("The limit of resident memory is 128.0 MiB."),
        "{label}"
    );
    assert_quiet(&browser);
}

/// A comparison is a page without any script, on every screen.
#[test]
fn a_comparison_is_a_page() {
    let place = Place::new();
    served(&place);
    let trace = place.trace().display().to_string();
    let page = place.path("diff.html");
    let path = page.display().to_string();
    let output = leak_analyze(&["diff", &trace, &trace, "--format", "html", "-o", &path]);
    assert!(output.status.success(), "{output:?}");
    let browser = Browser::start();
    for (width, dark) in [(1280, false), (390, true)] {
        browser.view(width, 900, dark);
        let url = format!("file://{path}");
        browser.chromium("Page.navigate", json!({ "url": url }));
        browser.wait_for("document.querySelector('footer') !== null");
        let wide = browser.eval("document.documentElement.scrollWidth");
        assert!(wide.as_u64() <= Some(u64::from(width)), "{width}: {wide}");
    }
    let rows = browser.text("table.endpoints");
    assert!(
        rows.contains("same") && rows.contains("GET /leak"),
        "{rows}"
    );
    assert!(browser.text(".sites").contains("leave_three"));
    let style = browser.eval("getComputedStyle(document.body).backgroundColor");
    assert_ne!(
        style, "rgba(0, 0, 0, 0)",
        "its style is let in by its own policy"
    );
    assert_quiet(&browser);
}
