//! Programs that run as another user than the one who started the recorder: they are traced where they belong to the
//! session, whatever has changed their user, or it is said that they are not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::process::Ended;
use leak_tests::report::Report;
use leak_tests::run::Place;
use serde_json::Value;

/// What is said at a program and what the trace warns of.
const NOTHING: (&str, &[&str]) = ("", &[]);

/// A copy of `from` in `directory`, which any user may run.
fn copy(from: &Path, directory: &Path, name: &str) -> PathBuf {
    let to = directory.join(name);
    fs::copy(from, &to).expect("the test's directory can be written");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&to, mode).expect("the file is ours");
    to
}

/// Runs `script` in bash without libleak, then under the one in the directory `library`; how that ended, and its report.
/// `$USER_PROGRAM` says whose it is, `$CHANGER` and `$STATIC_CHANGER` make it another user's.
fn run(place: &Place, library: &Path, script: &str) -> (Ended, Report) {
    let here = place.path("");
    let program = |name: &str| {
        let source = Source::read(&format!("harmless/{name}.c"));
        copy(&source.program(), &here, name)
    };
    let (user, changer) = (program("user"), program("user_statically"));
    let preload = copy(&artifacts::libleak(), library, "libleak.so");
    copy(&artifacts::leak_analyze(), library, "leak-analyze");
    let command = |preload: Option<&Path>| {
        let mut command = place.plain("bash");
        command.args(["-c", script]);
        command.envs(preload.map(|path| ("LD_PRELOAD", path)));
        command.env("USER_PROGRAM", &user).env("CHANGER", &user);
        command.env("STATIC_CHANGER", &changer);
        command
    };
    let expected = place.run(command(None));
    let found = place.run(command(Some(&preload)));
    assert_eq!(found.out, expected.out, "{script}: {}", found.err);
    assert_eq!(found.status, expected.status, "{script}: {}", found.err);
    assert_eq!(expected.err, "", "{script}");
    (found, place.report())
}

fn warnings(report: &Report) -> Vec<&str> {
    let warnings = report.list("/trace/warnings").iter();
    warnings
        .filter_map(|warning| warning["code"].as_str())
        .collect()
}

/// The images of `user.c` that kept their blocks.
fn keepers(report: &Report) -> Vec<&Value> {
    let images = report.list("/processes").iter();
    let named = images.filter(|image| {
        let executable = image["executable"].as_str().unwrap_or_default();
        executable.ends_with("/user") && image["end"] == "exit"
    });
    named.collect()
}

#[test]
fn whatever_changes_the_user() {
    let ways = [
        ("setpriv --reuid 65534 --clear-groups $USER_PROGRAM", 1),
        ("runuser -u nobody -- $USER_PROGRAM; exit 4", 1),
        ("su -s /bin/sh nobody -c $USER_PROGRAM", 1),
        // It is written in Go, and linked statically.
        ("gosu nobody $USER_PROGRAM; exit 5", 1),
        ("sudo -u nobody $USER_PROGRAM", 1),
        ("chroot --userspec=65534 / $USER_PROGRAM", 1),
        ("$CHANGER $USER_PROGRAM; $STATIC_CHANGER $USER_PROGRAM", 2),
        (
            "exec $STATIC_CHANGER $(command -v sh) -c '$USER_PROGRAM; $USER_PROGRAM'",
            2,
        ),
        (
            "runuser -u nobody -- env -u LEAK_SESSION $USER_PROGRAM | cat",
            1,
        ),
    ];
    for (script, count) in ways {
        let place = Place::new();
        let (ended, report) = run(&place, &place.path(""), script);
        assert_eq!(
            (ended.err.as_str(), &*warnings(&report)),
            NOTHING,
            "{script}"
        );
        report.assert_complete();
        let keepers = keepers(&report);
        assert_eq!(keepers.len(), count, "{script}");
        for image in keepers {
            assert_eq!(image["live_blocks"], 100, "{script}");
            assert_eq!(image["live_bytes"], 123_400, "{script}");
            assert_eq!(image["exit_code"], 3, "{script}");
        }
    }
}

/// Another user may not read the library: then nothing can be preloaded, which would be complained of.
#[test]
fn a_library_that_only_its_owner_may_read() {
    let place = Place::new();
    let private = place.path("private");
    fs::create_dir(&private).expect("the test's directory can be written");
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(&private, mode).expect("the directory is ours");
    let script = "for i in 1 2 3; do setpriv --reuid 65534 --clear-groups $USER_PROGRAM; done";
    let (ended, report) = run(&place, &private, script);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.starts_with("libleak: libleak.so can't be read"));
    let warnings = warnings(&report);
    assert!(warnings.contains(&"unreachable"), "{warnings:?}");
    assert_eq!(keepers(&report).len(), 0);
}

/// Where the effective user is not the real one, the loader of what is executed trusts no environment.
#[test]
fn rights_that_are_not_the_user_s() {
    let place = Place::new();
    let script = "for i in 1 2 3; do perl -e '$> = 65534; exec $ENV{USER_PROGRAM}'; done";
    let (ended, report) = run(&place, &place.path(""), script);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.contains("rights that are not its user's"));
    let warnings = warnings(&report);
    assert!(warnings.contains(&"borrowed_rights"), "{warnings:?}");
    assert_eq!(keepers(&report).len(), 0);
}
