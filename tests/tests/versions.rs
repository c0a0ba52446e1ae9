//! The kept traces of every version of the format read to the figures that they were recorded with.

use leak_tests::artifacts;
use leak_tests::report::{Report, number, sum};
use leak_tests::stated::Sum;

fn endpoint(report: &Report, label: &str, requests: u64, blocks: u64, bytes: u64, verdict: &str) {
    let endpoint = report.endpoint(label);
    assert_eq!(
        number(&endpoint["requests"], "requests"),
        requests,
        "{label}"
    );
    assert_eq!(sum(endpoint, "retained"), Sum { blocks, bytes }, "{label}");
    assert_eq!(endpoint["verdict"], verdict, "{label}");
}

#[test]
fn version_1() {
    let report = Report::of(&artifacts::source("traces/version-1.trace"));
    report.assert_complete();
    assert_eq!(report.number("/trace/events"), 3968);
    assert_eq!(report.text("/trace/tool_version"), "0.1.0");
    assert_eq!(report.list("/trace/boundaries"), ["http"]);

    assert_eq!(report.list("/processes").len(), 1);
    assert_eq!(report.number("/processes/0/pid"), 31660);
    assert_eq!(
        report.text("/processes/0/executable"),
        "/tmp/libleak-fixture/server"
    );
    assert_eq!(report.text("/processes/0/end"), "exit");
    assert_eq!(report.number("/processes/0/exit_code"), 0);
    assert_eq!(report.number("/processes/0/requests"), 320);
    let counts = ["allocations", "frees", "reallocations"];
    let counts = counts.map(|name| report.number(&format!("/totals/{name}")));
    assert_eq!(counts, [1293, 425, 160]);
    let live = Sum {
        blocks: 868,
        bytes: 159_264,
    };
    assert_eq!(sum(report.at("/totals"), "live"), live);

    endpoint(&report, "GET /leak", 40, 120, 60_960, "leak");
    endpoint(&report, "GET /error", 40, 40, 6000, "leak");
    endpoint(&report, "GET /list", 40, 40, 1920, "leak");
    endpoint(&report, "GET /cache", 40, 16, 3200, "bounded");
    endpoint(&report, "GET /session", 40, 1, 512, "freed_later");
    endpoint(&report, "GET /clean", 40, 0, 0, "clean");
    endpoint(&report, "GET /late", 40, 0, 0, "clean");
    endpoint(&report, "GET /orders/{id}/items", 40, 0, 0, "clean");
    assert_eq!(report.list("/endpoints").len(), 8);

    // The binary is long gone; where its frames lay is not.
    let server = "/tmp/libleak-fixture/server";
    let mut modules = report.list("/modules").iter();
    let module = modules.find(|module| module["path"] == server);
    let build_id = &module.expect("the server's module")["build_id"];
    assert_eq!(build_id, "65236c1c841cb068b58156b1467d4197bdeb8313");
    let mut frames = report.list("/sites").iter().flat_map(|site| {
        let frames = site["frames"].as_array().into_iter().flatten();
        frames.map(|frame| (&frame["module"], &frame["file_address"]))
    });
    assert!(frames.any(|(module, address)| module == server && *address == 9515));
}

#[test]
fn version_2() {
    let report = Report::of(&artifacts::source("traces/version-2.trace"));
    report.assert_complete();
    assert_eq!(report.number("/trace/events"), 3850);
    let ends = report.list("/processes").iter().map(|row| &row["end"]);
    assert_eq!(ends.collect::<Vec<_>>(), ["exit", "exec", "exit"]);
    assert_eq!(report.number("/processes/2/requests"), 320);
    let counts = ["allocations", "frees", "reallocations", "peak_live_bytes"];
    let counts = counts.map(|name| report.number(&format!("/totals/{name}")));
    assert_eq!(counts, [1195, 405, 161, 148_425]);
    let live = Sum {
        blocks: 790,
        bytes: 143_004,
    };
    assert_eq!(sum(report.at("/totals"), "live"), live);

    endpoint(&report, "GET /leak", 40, 120, 60_960, "leak");
    endpoint(&report, "GET /list", 40, 40, 1920, "leak");
    endpoint(&report, "GET /cache", 40, 16, 3200, "bounded");
    endpoint(&report, "GET /session", 40, 1, 512, "freed_later");
    endpoint(&report, "GET /clean", 40, 0, 0, "clean");
    assert_eq!(report.list("/endpoints").len(), 8);
}

#[test]
fn version_3() {
    let report = Report::of(&artifacts::source("traces/version-3.trace"));
    report.assert_complete();
    assert_eq!(report.number("/trace/events"), 3739);
    assert_eq!(report.number("/processes/0/requests"), 320);
    // Of 142 allocations and their frees only the numbers were written.
    let counts = ["allocations", "frees", "reallocations", "peak_live_bytes"];
    let counts = counts.map(|name| report.number(&format!("/totals/{name}")));
    assert_eq!(counts, [1024, 465, 160, 135_585]);
    let live = Sum {
        blocks: 559,
        bytes: 118_832,
    };
    assert_eq!(sum(report.at("/totals"), "live"), live);

    endpoint(&report, "GET /leak", 40, 120, 60_960, "leak");
    endpoint(&report, "GET /list", 40, 40, 1920, "leak");
    endpoint(&report, "GET /cache", 40, 16, 3200, "bounded");
    endpoint(&report, "GET /session", 40, 1, 512, "freed_later");
    endpoint(&report, "GET /clean", 40, 0, 0, "clean");
    assert_eq!(report.list("/endpoints").len(), 8);
}

#[test]
fn version_4() {
    let report = Report::of(&artifacts::source("traces/version-4.trace"));
    report.assert_complete();
    assert_eq!(report.number("/trace/events"), 3550);
    assert_eq!(report.number("/processes/0/requests"), 320);
    let counts = ["allocations", "frees", "reallocations", "peak_live_bytes"];
    let counts = counts.map(|name| report.number(&format!("/totals/{name}")));
    assert_eq!(counts, [835, 465, 160, 111_905]);
    let live = Sum {
        blocks: 370,
        bytes: 94_640,
    };
    assert_eq!(sum(report.at("/totals"), "live"), live);

    endpoint(&report, "GET /leak", 40, 120, 60_960, "leak");
    endpoint(&report, "GET /list", 40, 40, 1920, "leak");
    endpoint(&report, "GET /cache", 40, 16, 3200, "bounded");
    endpoint(&report, "GET /session", 40, 1, 512, "freed_later");
    endpoint(&report, "GET /clean", 40, 0, 0, "clean");
    assert_eq!(report.list("/endpoints").len(), 8);
}
