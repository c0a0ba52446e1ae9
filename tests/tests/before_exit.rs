//! Python programs whose interpreter frees everything when it ends: the report says what was live before.

use std::path::Path;

use leak_tests::artifacts;
use leak_tests::python;
use leak_tests::real;
use leak_tests::report::{Report, leak_analyze, sum};
use leak_tests::run::{LIMIT, Place};
use leak_tests::stated::Sum;
use serde_json::Value;

/// How many objects `kept.py` keeps.
const KEPT: u64 = 1000;
const NOTHING: Sum = Sum {
    blocks: 0,
    bytes: 0,
};

/// The report of `kept.py`, ending so, and what that says it kept.
fn ended(interpreter: &Path, how: &str) -> (Place, Report, Sum) {
    let place = Place::new();
    let mut command = place.traced(interpreter);
    command.arg(python::script("kept.py")).arg(how);
    let mut group = place.start(command);
    let ended = group.wait(LIMIT);
    group.assert_nothing_left(LIMIT);
    let out = String::from_utf8_lossy(&ended.out);
    let size: u64 = out.trim_end().parse().expect("the size of an object");
    let kept = Sum {
        blocks: KEPT,
        bytes: KEPT * size,
    };
    let report = place.report();
    (place, report, kept)
}

/// The site of the line that makes what is kept.
fn site(report: &Report, kept: Sum) -> &Value {
    let made_here = |site: &&Value| {
        let frame = &site["python_frames"][0];
        frame["function"] == "make" && sum(site, "before_exit") == kept
    };
    let sites = report.list("/sites");
    let found = sites.iter().find(made_here);
    found.unwrap_or_else(|| panic!("no site of {kept:?} among {}", sites.len()))
}

#[test]
fn finalization_frees_what_was_live() {
    for interpreter in python::interpreters() {
        for how in ["return", "exit"] {
            let (place, report, kept) = ended(&interpreter, how);
            let site = site(&report, kept);
            assert_eq!(sum(site, "live"), NOTHING, "{}", interpreter.display());
            let types = site["types"].as_array().expect("a list");
            assert_eq!(types.len(), 1, "{}: {types:#?}", interpreter.display());
            assert_eq!(types[0]["name"], "__main__.Kept");
            assert_eq!(types[0]["blocks"], KEPT);

            let whole = sum(report.at("/totals"), "before_exit");
            assert_eq!(sum(report.at("/processes/0"), "before_exit"), whole);
            let sites = report.list("/sites").iter();
            let rows = sites.chain([report.at("/sites_left_out")]);
            let of_rows = rows.fold(NOTHING, |all, row| {
                let row = sum(row, "before_exit");
                Sum {
                    blocks: all.blocks + row.blocks,
                    bytes: all.bytes + row.bytes,
                }
            });
            assert_eq!(of_rows, whole);

            let text = leak_analyze(&[place.trace().as_os_str(), "--sites=2000".as_ref()]);
            let text = String::from_utf8_lossy(&text.stdout).into_owned();
            assert!(text.contains("; its tear-down then freed "), "{text}");
            let line = format!(" live at exit, 1,000 blocks of {} B", kept.bytes / KEPT);
            assert!(text.contains(&line), "{text}");
        }
    }
}

#[test]
fn an_exit_without_a_tear_down_leaves_all_of_it() {
    let (_place, report, kept) = ended(python::SYSTEM.as_ref(), "_exit");
    assert_eq!(sum(site(&report, kept), "live"), kept);
    for row in [report.at("/totals"), report.at("/processes/0")] {
        assert_eq!(sum(row, "before_exit"), sum(row, "live"));
    }
}

#[test]
fn a_signal_to_itself_is_an_end_without_a_tear_down() {
    for interpreter in python::interpreters() {
        for how in ["raise", "terminate"] {
            let (_place, report, kept) = ended(&interpreter, how);
            assert_eq!(report.text("/processes/0/end"), "killed");
            assert_eq!(report.number("/processes/0/signal"), libc::SIGTERM as u64);
            let site = site(&report, kept);
            assert_eq!(sum(site, "live"), kept);
            let types = site["types"].as_array().expect("a list");
            assert_eq!(types.len(), 1, "{}: {types:#?}", interpreter.display());
            assert_eq!(types[0]["name"], "__main__.Kept");
            assert_eq!(types[0]["blocks"], KEPT);
            for row in [report.at("/totals"), report.at("/processes/0")] {
                assert_eq!(sum(row, "before_exit"), sum(row, "live"));
            }
        }
    }
}

#[test]
fn a_signal_that_is_held_back_ends_nothing() {
    let (_place, report, kept) = ended(python::SYSTEM.as_ref(), "blocked");
    let sites = report.list("/sites").iter();
    let made: u64 = sites
        .filter(|site| site["python_frames"][0]["function"] == "make")
        .map(|site| sum(site, "before_exit").blocks)
        .sum();
    assert_eq!(made, 2 * kept.blocks);
}

/// Of a gRPC server no request is seen. What it keeps is first all the same.
#[test]
fn a_grpc_servers_sessions_are_first() {
    let place = Place::new();
    let mut command = place.traced(real::python());
    command.arg(artifacts::source("targets/real/grpc_server.py"));
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    let sessions: u64 = String::from_utf8_lossy(&ended.out)
        .trim_end()
        .parse()
        .expect("a number");
    let report = place.report();
    assert_eq!(report.list("/requests").len(), 0);
    let text = leak_analyze(&[place.trace().as_os_str()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let first = text.split("\n  1  ").nth(1).unwrap_or_default();
    let first = first.split("\n  2  ").next().unwrap_or_default();
    assert!(first.contains(&format!("{sessions} blocks of")), "{text}");
    assert!(first.contains("Session.__init__"), "{text}");
    let types = report.list("/types").iter();
    for of_type in ["__main__.Session", "bytearray"] {
        let mut rows = types.clone().filter(|row| row["name"] == of_type);
        assert!(rows.any(|row| row["blocks"] == sessions), "{of_type}");
    }
}

#[test]
fn a_killed_program_has_no_exit() {
    let (_place, report, _) = ended(python::SYSTEM.as_ref(), "kill");
    let sites = report.list("/sites").iter();
    for row in sites.chain([report.at("/totals"), report.at("/processes/0")]) {
        for field in ["before_exit_blocks", "before_exit_bytes"] {
            assert_eq!(row.get(field), Some(&Value::Null));
        }
    }
}
