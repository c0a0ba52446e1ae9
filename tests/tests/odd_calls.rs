//! Odd calls: bad pointers, wrong numbers, arguments that go while the call is made. They give under libleak what they
//! give without it, whoever the recorder is to the program, and leave no trace where they fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::process::Ended;
use leak_tests::report::Report;
use leak_tests::run::Place;

/// Runs what `command` makes of a program, once without and once with the library that it is given: both must say the
/// same, line for line, and end the same.
fn both_ways(command: impl Fn(&Place, Option<&Path>) -> Command) -> Place {
    let (plain, traced) = (Place::new(), Place::new());
    let expected = plain.run(command(&plain, None));
    let found = traced.run(command(&traced, Some(&artifacts::libleak())));
    let lines = |ended: &Ended| -> Vec<String> {
        let out = String::from_utf8_lossy(&ended.out);
        out.lines().map(str::to_owned).collect()
    };
    let (found_lines, expected_lines) = (lines(&found), lines(&expected));
    let both = found_lines.iter().zip(&expected_lines);
    for (index, (found, expected)) in both.enumerate() {
        let before = index.saturating_sub(2)..index;
        assert_eq!(
            found, expected,
            "line {index}, after {:?}",
            &expected_lines[before]
        );
    }
    assert_eq!(found_lines.len(), expected_lines.len());
    assert_eq!(found.err, expected.err);
    assert_eq!(found.status, expected.status);
    traced
}

/// `targets/harmless/NAME` with `arguments`; the report.
fn same_program(name: &str, arguments: &[&str]) -> Report {
    let program = Source::read(&format!("harmless/{name}")).program();
    let place = both_ways(|place, preload| {
        let mut command = place.plain(&program);
        command.args(arguments);
        command.envs(preload.map(|path| ("LD_PRELOAD", path)));
        command
    });
    let report = place.report();
    assert_eq!(report.number("/trace/dropped_events"), 0);
    report
}

/// A bash script that starts `$PROGRAM` with `LD_PRELOAD=$PRELOAD`, so that the recorder is born where the program is.
fn same_script(name: &str, script: &str) -> Report {
    let program = Source::read(&format!("harmless/{name}")).program();
    let place = both_ways(|place, preload| {
        let mut command = place.plain("bash");
        command.args(["-c", script]).env("PROGRAM", &program);
        command.env("PRELOAD", preload.map_or(PathBuf::new(), PathBuf::from));
        command
    });
    place.report()
}

fn warns(report: &Report, code: &str) -> bool {
    let mut warnings = report.list("/trace/warnings").iter();
    warnings.any(|warning| warning["code"] == code)
}

#[test]
fn on_descriptors_of_every_kind() {
    same_program("odd_io.c", &[]).assert_complete();
}

/// Then memory that was there a moment ago may be gone.
#[test]
fn on_descriptors_beside_another_thread() {
    same_program("odd_io.c", &["threads"]).assert_complete();
}

#[test]
fn images_waits_limits_filters_memory_and_locks() {
    let report = same_program("odd_rest.c", &[]);
    report.assert_complete();
    // Filters that could not be have confined nobody: the thread that came after them is traced.
    assert!(!warns(&report, "confined"));
    let sites = report.list("/sites").iter();
    let blocks = sites.filter(|site| site["live_bytes"] == 77_700 && site["live_blocks"] == 100);
    assert_eq!(blocks.count(), 1);
}

#[test]
fn waits_of_a_subreaper() {
    same_script("odd_rest.c", "$PROGRAM subreaper").assert_complete();
}

#[test]
fn waits_of_the_first_process_of_a_namespace() {
    let script = "unshare -p -f --mount-proc env LD_PRELOAD=$PRELOAD $PROGRAM waits";
    same_script("odd_rest.c", script).assert_complete();
}

#[test]
fn arguments_that_go_meanwhile() {
    same_program("races.c", &[]).assert_complete();
}

/// What was written was looked at before it could go: every answer is known.
#[test]
fn answers_that_go_when_they_have_come() {
    let report = same_program("unmapped.c", &[]);
    report.assert_complete();
    assert!(report.list("/trace/unseen").is_empty());
    let endpoint = report.endpoint("GET /unmapped");
    let statuses = &endpoint["statuses"];
    assert_eq!(
        (&endpoint["requests"], &statuses[0]["status"]),
        (&400.into(), &200.into())
    );
    assert_eq!(statuses.as_array().map(Vec::len), Some(1));
    assert_eq!(endpoint["retained_bytes"], 400 * 333);
}

/// What was read may be gone before it can be looked at: then it was not seen, which is said.
#[test]
fn requests_that_go_when_they_have_come() {
    same_program("unmapped_reads.c", &[]).assert_complete();
}

/// A read without room for a byte gives none, and the client is there as before; one with room has found its end.
#[test]
fn reads_without_room_find_no_end() {
    let report = same_program("no_room.c", &[]);
    report.assert_complete();
    let closed = "client closed before its answer was complete";
    for (label, is_told) in [("POST /room", false), ("POST /end", true)] {
        let endpoint = report.endpoint(label);
        assert_eq!(endpoint["requests"], 40, "{label}");
        assert_eq!(endpoint["leaking_requests"], 20, "{label}");
        let facts = &endpoint["apart"]["single"]["facts"];
        assert_eq!(
            *facts == serde_json::json!([closed]),
            is_told,
            "{label}: {facts}"
        );
    }
}

#[test]
fn what_failed_has_not_happened() {
    let report = same_program("failed.c", &[]);
    report.assert_complete();
    assert!(report.list("/trace/unseen").is_empty());
    assert!(!warns(&report, "confined"));
    let endpoint = report.endpoint("GET /kept");
    assert_eq!(endpoint["requests"], 20);
    assert_eq!(endpoint["leaking_requests"], 20);
    assert_eq!(endpoint["retained_bytes"], 20 * 3000);
}

#[test]
fn old_versions_of_functions() {
    for arguments in [&[][..], &["today's quick exit"]] {
        same_program("versions.c", arguments).assert_complete();
    }
}

/// A hook without a version stands for all of them, so they must be the same function.
#[test]
fn hooks_have_the_versions_that_the_c_library_has() {
    let libc = "/lib/x86_64-linux-gnu/libc.so.6";
    let (libc, hooks) = (symbols(Path::new(libc)), symbols(&artifacts::libleak()));
    let versions = |symbols: &[Symbol], name: &str| {
        let own = symbols.iter().filter(|symbol| symbol.name == name);
        let mut versions: Vec<_> = own
            .map(|symbol| (symbol.version.clone(), symbol.address.clone()))
            .collect();
        versions.sort();
        versions
    };
    let mut checked = 0;
    for hook in hooks.iter().filter(|hook| !hook.name.starts_with("SSL_")) {
        let theirs = versions(&libc, &hook.name);
        let Some((_, first)) = theirs.first() else {
            continue;
        };
        if theirs.iter().all(|(_, address)| address == first) {
            assert_eq!(hook.version, "", "{}", hook.name);
            continue;
        }
        let names = |versions: &[(String, String)]| -> Vec<_> {
            versions
                .iter()
                .map(|(version, _)| version.clone())
                .collect()
        };
        let ours = versions(&hooks, &hook.name);
        assert_eq!(names(&ours), names(&theirs), "{}", hook.name);
        checked += 1;
    }
    assert_eq!(checked, 14);
}

struct Symbol {
    name: String,
    /// With the `@` or `@@` before it; empty where it has none.
    version: String,
    address: String,
}

/// The functions that a library exports.
fn symbols(library: &Path) -> Vec<Symbol> {
    let output = Command::new("readelf")
        .args(["-W", "--dyn-syms"])
        .arg(library)
        .output()
        .expect("readelf comes with the compiler");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let columns = text.lines().map(|line| line.split_whitespace().collect());
    let exported = columns.filter(|columns: &Vec<_>| {
        columns.len() == 8 && columns[3] == "FUNC" && columns[6] != "UND"
    });
    let symbol = |columns: Vec<&str>| {
        let at = columns[7].find('@').unwrap_or(columns[7].len());
        let (name, version) = columns[7].split_at(at);
        Symbol {
            name: name.to_owned(),
            version: version.to_owned(),
            address: columns[1].to_owned(),
        }
    };
    exported.map(symbol).collect()
}
