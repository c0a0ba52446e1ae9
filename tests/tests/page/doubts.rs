//! What is in no sum, and what is not sure, is told in the page as in the text report.

use leak_tests::browser::Browser;
use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::report::{Report, leak_analyze, number as figure};
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

use super::figures::in_words;
use super::{assert_quiet, page};

/// The sum of a figure over the call sites of a kind, or over all others.
fn sum(report: &Report, name: &str, of_stacks: bool) -> u64 {
    let sites = report.list("/sites").iter();
    let sites = sites.filter(|site| (site["kind"] == "stack") == of_stacks);
    sites.map(|site| figure(&site[name], name)).sum()
}

/// `targets/mapped/threads.c` leaves 120 stacks of 256 KiB, which nobody has touched.
#[test]
fn stacks_of_threads_are_apart() {
    let place = Place::new();
    let command = place.traced(Source::read("mapped/threads.c").program());
    assert!(place.run(command).status.success());
    let report = place.report();
    let page = page(&place);
    let browser = Browser::start();
    browser.view(1280, 900, false);
    browser.open(&page, "");
    let told = || browser.text("#sites p.told");
    let blocks = in_words(sum(&report, "retained_bytes", false));
    assert!(
        told().starts_with(&format!("{blocks} at ")),
        "{blocks}: {}",
        told()
    );
    let is_stack = |site: &&Value| site["kind"] == "stack" && site["retained_bytes"] != 0;
    let number = report.list("/sites").iter().filter(is_stack).count();
    let stacks = sum(&report, "retained_bytes", true);
    assert!(stacks >= 120 * (256 << 10), "{stacks}");
    let stacks = in_words(stacks);
    let stacks = format!("{stacks} at {number} call sites");
    let apart =
        format!("Threads' stacks are in no sum, as most of a stack is never touched: {stacks}.");
    assert!(
        browser.text("#sites").contains(&apart),
        "{}",
        browser.text("#sites")
    );
    browser.click("#sites [data-value=live]");
    let live = in_words(sum(&report, "live_bytes", false));
    assert!(
        told().starts_with(&format!("{live} at ")),
        "{live}: {}",
        told()
    );
    assert_by_themselves(&browser, (&stacks, &apart));
    assert_of_endpoint(&browser, &report);
    assert_quiet(&browser);
}

/// Chosen as a kind, they are all that is shown.
fn assert_by_themselves(browser: &Browser, (stacks, apart): (&str, &str)) {
    let told = || browser.text("#sites p.told");
    browser.click("#sites [data-value=retained]");
    browser.click("#sites [data-value=stacks]");
    assert!(
        told().starts_with(&format!("{stacks}: "))
            && told().ends_with("mapped for threads' stacks, most of which is never touched."),
        "{}",
        told()
    );
    assert!(!browser.text("#sites").contains(apart));
    browser.click("table.sites tr.row");
    browser.wait_for("!document.querySelector('#evidence').hidden");
    let evidence = browser.text("#evidence");
    assert!(
        evidence.contains("60 blocks") && evidence.contains("15.0 MiB"),
        "{evidence}"
    );
    assert!(evidence.contains("it is in no sum"), "{evidence}");
}

/// What an endpoint has kept over time, and its call sites.
fn assert_of_endpoint(browser: &Browser, report: &Report) {
    let endpoint = report.endpoint("/unjoined");
    let kept = match figure(&endpoint["retained_bytes"], "retained_bytes") {
        0 => Value::Null,
        kept => format!("kept memory rises to {}", in_words(kept)).into(),
    };
    let row = "[...document.querySelectorAll('table.endpoints tr.row')].find((row) => row.children[0].textContent === '/unjoined')";
    let curve = browser.eval(&format!(
        "{row}.querySelector('.spark')?.getAttribute('aria-label') ?? null"
    ));
    assert_eq!(curve, kept);
    browser.eval(&format!(
        "{row}.getAttribute('aria-expanded') === 'false' && {row}.click()"
    ));
    let sites = browser.text("#endpoints");
    assert!(sites.contains("60 thread stacks"), "{sites}");
}

/// Drives a server with these requests; its report.
fn served(place: &Place, source: &str, connections: usize, requests: &[Request]) -> Report {
    let port = http::free_port();
    let mut command = place.traced(Source::read(source).program());
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    http::drive(port, connections, None, requests);
    server.signal(libc::SIGTERM);
    assert!(server.wait(LIMIT).status.success());
    place.report()
}

fn text(place: &Place) -> String {
    String::from_utf8(leak_analyze(&[place.trace()]).stdout).expect("text")
}

/// 20 requests that kept blocks, of which none was freed, are a leak, with low confidence.
#[test]
fn a_leak_that_is_not_sure_is_told_as_such() {
    let place = Place::new();
    let paths = ["/clean", "/error?fail", "/error?fail", "/leak"];
    let requests: Vec<Request> = (0..80).map(|at| Request::get(paths[at % 4])).collect();
    let report = served(&place, "servers/epoll.c", 1, &requests);
    let page = page(&place);
    let browser = Browser::start();
    browser.open(&page, "");
    let rows = browser.eval(
        "[...document.querySelectorAll('table.endpoints tr.row')].map((row) => [...row.children].map((cell) => cell.textContent))",
    );
    let text = text(&place);
    for (label, confidence, words) in [
        ("GET /leak", "low", "leak, unsure"),
        ("GET /error", "high", "leak"),
    ] {
        assert_eq!(report.endpoint(label)["confidence"], confidence, "{label}");
        let rows = rows.as_array().expect("rows").iter();
        let mut rows = rows.filter(|row| row[0] == label);
        let found = rows.next();
        assert_eq!(found.expect(label)[1], words, "{label}");
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with(&format!("  {label} ")));
        assert!(line.is_some_and(|line| line.ends_with(words)), "{text}");
    }
    assert_quiet(&browser);
}

/// Of a server whose helper works for nobody that is known, it is not proved which requests leak.
#[test]
fn what_is_not_proved_is_told_nothing_of() {
    let place = Place::new();
    let paths = ["/x?keep", "/y", "/x?none", "/y", "/x?keep", "/y"];
    let requests: Vec<Request> = (0..600).map(|at| Request::get(paths[at % 6])).collect();
    let report = served(&place, "servers/helped.c", 4, &requests);
    let endpoint = report.endpoint("GET /x");
    assert_eq!(endpoint["apart_unproved"], true, "{endpoint}");
    let words = "ot told: which requests leak is not proved";
    let text = text(&place);
    assert!(text.contains(&format!("  GET /x  n{words}")), "{text}");
    let page = page(&place);
    let browser = Browser::start();
    browser.open(&page, "");
    // The first that leaks is open.
    let shown = browser.text("#endpoints .unproved");
    assert!(shown.contains(&format!("N{words}.")), "{shown}");
    assert_quiet(&browser);
}
