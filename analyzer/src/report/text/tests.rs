//! Reports as they are printed. `UPDATE_GOLDEN=1 cargo test -p leak-analyze` writes them anew.

use std::path::Path;

use unicode_width::UnicodeWidthStr;

use crate::analysis::{Hidden, Verdict};
use crate::report::example::{self, Example};
use crate::report::{Options, text};
use crate::sample::Amount;

fn assert_golden(name: &str, example: &Example, options: &Options) {
    let printed = example.print(options, text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/report/text/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(printed, expected, "{}", path.display());
}

#[test]
fn a_leaking_server() {
    assert_golden("leaking.txt", &example::leaking(), &Options::default());
}

#[test]
fn a_clean_server() {
    assert_golden("clean.txt", &example::clean(), &Options::default());
}

#[test]
fn a_program_without_requests() {
    assert_golden("plain.txt", &example::plain(), &Options::default());
}

#[test]
fn a_program_whose_tear_down_frees_what_it_made() {
    assert_golden("torn_down.txt", &example::torn_down(), &Options::default());
}

#[test]
fn of_a_sample_it_is_said_what_would_not_show() {
    let mut example = example::leaking();
    example.facts.sample_bytes = 1_000;
    for endpoint in &mut example.analysis.endpoints {
        endpoint.hidden = Some(Hidden {
            bytes_each: 300,
            verdict: endpoint.verdict,
            leaking: endpoint.leaking_requests_range,
        });
        if endpoint.verdict == Verdict::Clean {
            endpoint.verdict = Verdict::TooFewRequests;
        }
        endpoint.leaking_requests_range = [endpoint.leaking_requests, endpoint.requests];
    }
    let options = Options {
        width: 200,
        ..Options::default()
    };
    let printed = example.print(&options, text);
    let said = "a leak of less than so much a request would not show: GET / (300 B)";
    assert!(printed.contains(said), "{printed}");
    assert!(!printed.contains("Clean"), "{printed}");
    assert!(!printed.contains("only 5"), "{printed}");
    assert!(printed.contains("≥ "), "{printed}");
}

#[test]
fn every_line_fits_and_none_steers_the_terminal() {
    for width in [60, 80, 100, 200] {
        let options = Options {
            width,
            ..Options::default()
        };
        for example in [
            example::leaking(),
            example::clean(),
            example::plain(),
            example::torn_down(),
        ] {
            for line in example.print(&options, text).lines() {
                assert!(line.width() <= width, "{width}: {line}");
                assert!(!line.contains(char::is_control), "{line:?}");
                assert_eq!(line, line.trim_end());
            }
        }
    }
}

#[test]
fn colours_change_nothing_else() {
    let plain = example::leaking().print(&Options::default(), text);
    let options = Options {
        color: true,
        ..Options::default()
    };
    let colored = example::leaking().print(&options, text);
    assert!(colored.contains("\x1b["));
    let stripped = anstream::adapter::strip_str(&colored).to_string();
    assert_eq!(stripped, plain);
}

#[test]
fn what_is_left_out_is_said() {
    let options = Options {
        most_sites: 1,
        ..Options::default()
    };
    let printed = example::leaking().print(&options, text);
    assert!(
        printed.contains("… and 1 more call site: --sites 2 shows all"),
        "{printed}"
    );
}

/// The rows of endpoints: label and curve.
fn rows(printed: &str) -> Vec<(String, String)> {
    let lines = printed.lines().take_while(|line| *line != SITES);
    let rows = lines.filter(|line| line.starts_with("  GET ") && line.contains('█'));
    let row = rows.filter_map(|line| line.trim().rsplit_once("  "));
    row.map(|(label, curve)| (label.trim_end().to_owned(), curve.to_owned()))
        .collect()
}

const SITES: &str = "Call sites behind them";

#[test]
fn no_more_than_a_screen_stands_before_the_call_sites() {
    let before = |printed: &str| printed.lines().position(|line| line == SITES);
    for number in [1, 2, 9, 30, 300] {
        let example = example::many_endpoints(number);
        for width in [60, 80, 140] {
            let options = Options {
                width,
                ..Options::default()
            };
            let printed = example.print(&options, text);
            let before = before(&printed).expect("call sites");
            assert!(before < 40, "{width}: {before}\n{printed}");
        }
    }
    // What has to be known first is never left out for it.
    let mut example = example::many_endpoints(30);
    for at in 0..40 {
        example.facts.warnings.push(crate::trace::Warning {
            code: "word".into(),
            text: format!("This is not known: {at}."),
        });
    }
    let printed = example.print(&Options::default(), text);
    assert!((0..40).all(|at| printed.contains(&format!("! This is not known: {at}."))));
    assert_eq!(rows(&printed).len(), 3, "{printed}");
}

#[test]
fn each_endpoint_shown_has_its_name_and_its_curve() {
    let example = example::many_endpoints(30);
    let printed = example.print(&Options::default(), text);
    let shown = rows(&printed);
    assert!((3..=12).contains(&shown.len()), "{printed}");
    let mut labels: Vec<&str> = shown.iter().map(|(label, _)| label.as_str()).collect();
    labels.dedup();
    assert_eq!(labels.len(), shown.len());
    assert!(
        labels
            .iter()
            .enumerate()
            .all(|(at, label)| label.contains(&format!("/resource{at:02}/")))
    );
    for (_, curve) in &shown {
        assert_eq!(curve.chars().count(), 24, "{curve}");
        assert!(curve.ends_with('█'), "{curve}");
    }
    let first = printed.split(".\n").next().unwrap_or_default();
    assert!(first.contains("/resource00/"), "{first}");
    let left = 30 - shown.len();
    let said = format!("  … and {left} more endpoints that leak, ");
    assert!(printed.contains(&said), "{said}\n{printed}");
    assert!(printed.contains(": --endpoints 30 shows all"), "{printed}");
    let all = Options {
        most_endpoints: Some(30),
        ..Options::default()
    };
    let printed = example.print(&all, text);
    assert_eq!(rows(&printed).len(), 30, "{printed}");
    assert!(!printed.contains("more endpoints that leak"), "{printed}");
}

#[test]
fn tables_of_types_come_after_the_call_sites() {
    let printed = example::many_endpoints(30).print(&Options::default(), text);
    let at = |what: &str| {
        printed
            .find(what)
            .unwrap_or_else(|| panic!("{what}: {printed}"))
    };
    assert!(at(SITES) < at("left behind\n  INDEX"));
    assert_eq!(printed.matches("left behind\n  INDEX").count(), 3);
    assert!(
        printed.contains("… and types of 27 more endpoints: --types shows all"),
        "{printed}"
    );
}

/// The first paragraph after the warnings, in one line.
fn result(example: &Example) -> String {
    let options = Options {
        width: 200,
        ..Options::default()
    };
    let printed = example.print(&options, text);
    let mut paragraphs = printed.split("\n\n");
    let first = paragraphs.find(|text| !text.starts_with('!'));
    first.unwrap_or_default().replace('\n', " ")
}

#[test]
fn a_leak_that_is_unsure_and_a_buffer_that_grows_are_told_as_such() {
    let mut example = example::leaking();
    let told = result(&example);
    assert!(
        told.starts_with("1 of 5 endpoints leaks: POST /orders/{id}."),
        "{told}"
    );
    assert!(
        told.ends_with(" 1 more has a buffer that grows (1.0 MiB)."),
        "{told}"
    );
    let endpoints = &mut example.analysis.endpoints;
    let leaks = endpoints
        .iter()
        .position(|one| one.verdict == Verdict::Leak);
    let leaks = leaks.unwrap();
    endpoints[leaks].is_sure = false;
    let told = result(&example);
    assert!(
        told.contains(" among it. More requests would make that sure. 1 more has"),
        "{told}"
    );
    let printed = example.print(&Options::default(), text);
    assert!(printed.contains("15.6 MiB  leak, unsure\n"), "{printed}");
    example.analysis.endpoints[leaks].verdict = Verdict::Bounded;
    let told = result(&example);
    assert_eq!(
        told,
        "1 of 5 endpoints has a buffer that grows: GET /log. Of its 900 requests 1 left 1.0 MiB behind."
    );
}

#[test]
fn a_little_growth_outside_requests_is_no_headline() {
    let mut example = example::clean();
    let told = result(&example);
    assert!(told.starts_with("No leak: "), "{told}");
    let analysis = &mut example.analysis;
    (analysis.growth.from_bytes, analysis.growth.to_bytes) = (100 << 20, 100 << 20);
    let mut grows = example::leaking().analysis.sites[0].clone();
    (grows.verdict, grows.of_requests) = (Verdict::Leak, Verdict::Clean);
    grows.outside_verdict = Verdict::Leak;
    grows.labels.clear();
    analysis.sites.insert(0, grows);
    let mut grow = |bytes| {
        let site = &mut example.analysis.sites[0];
        site.outside_grown = Amount { blocks: 9, bytes };
        result(&example)
    };
    let told = grow(1_008);
    assert!(told.starts_with("No endpoint is known to leak"), "{told}");
    assert!(
        told.ends_with(" 1008 B grew outside requests (below)."),
        "{told}"
    );
    let told = grow(1 << 20);
    assert!(
        told.contains("but memory grows outside requests (below)"),
        "{told}"
    );
}
