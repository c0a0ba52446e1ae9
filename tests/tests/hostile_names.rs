//! Labels, paths, names of functions and files, arguments: whatever a target can name, nothing of it
//! reaches a terminal raw, in reports and in notices; and JSON stays JSON.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Output;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::report::leak_analyze;
use leak_tests::run::Place;

/// Colours, a title, a bell, C1's CSI, a turn of direction, a line's beginning.
const EVIL: &str = "a\x1b[31m\x1b]0;t\x07\u{9b}2J\u{202e}b\u{2066}\r\n";

/// Every character that could steer.
fn steering(text: &[u8]) -> Vec<char> {
    let text = String::from_utf8_lossy(text).into_owned();
    let steers = |c: &char| {
        c.is_control() && *c != '\n'
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    text.chars().filter(steers).collect()
}

fn assert_plain(output: &Output, what: &str) {
    for text in [&output.stdout, &output.stderr] {
        assert_eq!(steering(text), [], "{what}");
    }
}

/// The program `lost/hostile.c` under a name of the same kind.
fn program(place: &Place) -> PathBuf {
    let path = place.path(EVIL.trim_end());
    let program = Source::read("lost/hostile.c").program();
    fs::copy(program, &path).expect("the test's directory can be written");
    path
}

/// Its symbols called what no compiler would call them, and no debug information beside them.
fn renamed(place: &Place) -> PathBuf {
    let path = program(place);
    let mut objcopy = std::process::Command::new("objcopy");
    objcopy.args(["--strip-debug", "--redefine-sym"]);
    objcopy.arg(format!("keep=keep{EVIL}")).arg(&path);
    assert!(objcopy.status().expect("objcopy runs").success());
    path
}

#[test]
fn in_a_trace() {
    let place = Place::new();
    reported(&place, program(&place), "source\\u{1b}");
    let place = Place::new();
    reported(&place, renamed(&place), "keepa\\u{1b}[31m");
}

fn reported(place: &Place, program: PathBuf, also: &str) {
    let mut command = place.traced(program);
    command.arg(EVIL).arg(OsStr::from_bytes(b"\xff\x9b\xc2"));
    let ended = place.run(command);
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
    let trace = place.trace();
    let trace = trace.to_str().expect("a plain path");
    for boundary in ["auto", "http", "mark", "turn", "connection"] {
        for more in [&[][..], &["--types=100", "--sites=100"]] {
            let mut arguments = vec![trace, "--boundary", boundary];
            arguments.extend(more);
            let output = leak_analyze(&arguments);
            assert!(output.status.success(), "{output:?}");
            assert_plain(&output, boundary);
        }
        let json = leak_analyze(&[trace, "--boundary", boundary, "--format", "json"]);
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
        assert!(json["trace"]["complete"] == true);
        let page = leak_analyze(&[trace, "--boundary", boundary, "--format", "html"]);
        assert!(page.status.success(), "{:?}", page.stderr);
        assert_plain(&page, boundary);
    }
    // What was named is there, written out.
    let text = leak_analyze(&[trace, "--boundary", "mark"]).stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    for name in ["mark\\u{1b}[31m", "\\u{202e}evil", also] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert_plain(&leak_analyze(&["dump", trace]), "dump");
    let gate = leak_analyze(&[trace, "--fail-on", "leak"]);
    assert_plain(&gate, "--fail-on");
}

#[test]
fn in_complaints() {
    let place = Place::new();
    let evil = place.path(EVIL);
    for arguments in [
        vec![evil.as_os_str()],
        vec![OsStr::new("run"), OsStr::new("--"), evil.as_os_str()],
        vec![
            OsStr::new("run"),
            OsStr::new("--preload"),
            evil.as_os_str(),
            OsStr::new("true"),
        ],
        vec![OsStr::new("mark"), OsStr::new("1"), OsStr::new(EVIL)],
    ] {
        let output = leak_analyze(&arguments);
        assert!(!output.status.success());
        assert_plain(&output, "a complaint");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn in_notices() {
    let place = Place::new();
    for (name, value) in [
        ("LEAK_TRACE", "/nonexistent/"),
        ("LEAK_ANALYZE", ""),
        ("LEAK_DEPTH", ""),
    ] {
        let mut command = place.traced("/bin/true");
        command.env(name, format!("{value}{EVIL}"));
        let ended = place.run(command);
        assert!(ended.status.success());
        assert_eq!(ended.err.lines().count(), 1, "{name}: {}", ended.err);
        assert_eq!(
            steering(ended.err.as_bytes()),
            [],
            "{name}: {:?}",
            ended.err
        );
    }
    // `run` itself says that a static program can't be traced; its name is no plainer than others.
    let path = place.path(EVIL.trim_end());
    let program = Source::read("harmless/statically.c").program();
    fs::copy(program, &path).expect("the test's directory can be written");
    let mut command = place.plain(artifacts::leak_analyze());
    command.args(["run", "--"]).arg(&path);
    let ended = place.run(command);
    assert!(ended.err.contains("statically"), "{}", ended.err);
    assert_eq!(steering(ended.err.as_bytes()), [], "{:?}", ended.err);
}
