//! Calls with little of the stack left: a hook takes at most 1 KiB of it, the first of a thread as well as those that
//! follow, on whatever stack they are made.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::frames::Frames;
use leak_tests::report::Report;
use leak_tests::run::Place;

/// What a hook may take.
const MOST: u64 = 1024;
/// What the calls that the C library makes within one are hooked for: both are on the stack.
const NESTED: &[&str] = &["pthread_create"];

/// What each call took of the stack: the first one, and those after it.
fn depths(place: &Place, command: Command) -> BTreeMap<String, [u64; 2]> {
    let ended = place.run(command);
    assert!(ended.status.success(), "{:?}: {}", ended.status, ended.err);
    let out = String::from_utf8(ended.out).expect("text");
    let lines = out.lines().map(|line| {
        let (name, numbers) = line.split_once(": ").expect("NAME: FIRST LATER");
        let mut numbers = numbers
            .split(' ')
            .map(|number| number.parse().expect("a number"));
        let depths = [(); 2].map(|()| numbers.next().expect("two numbers"));
        (name.to_owned(), depths)
    });
    lines.collect()
}

fn assert_shallow(stack: &str) -> Report {
    let program = Source::read("harmless/shallow.c").program();
    let place = Place::new();
    let mut plain = place.plain(&program);
    plain.arg(stack);
    let plain = depths(&place, plain);
    let mut traced = place.traced(&program);
    traced.arg(stack);
    let traced = depths(&place, traced);
    assert!(plain.len() > 60 && plain.keys().eq(traced.keys()));
    for (name, found) in &traced {
        let hooks = 1 + u64::from(NESTED.contains(&name.as_str()));
        for (found, plain) in found.iter().zip(plain[name]) {
            assert!(
                *found <= plain + hooks * MOST,
                "{name}: {found}, without libleak {plain}"
            );
        }
    }
    place.report()
}

#[test]
fn on_a_thread() {
    assert_shallow("thread").assert_complete();
}

#[test]
fn in_a_coroutine() {
    assert_shallow("coroutine").assert_complete();
}

#[test]
fn in_a_signal_handler() {
    assert_shallow("handler").assert_complete();
}

/// Where its filter lets signals be held back. Threads and processes that are new to a confined program are not traced.
#[test]
fn in_a_confined_program() {
    assert_shallow("confined");
}

/// What calls to hooks take where they go ways that are seldom gone: with a full lane, through a just-in-time
/// compiler's code, on connections of OpenSSL's. By the library's machine code.
#[test]
fn whatever_way_they_go() {
    /// These don't run on the caller's stack, or only where it can't be left or has plenty of room, or while the process
    /// starts.
    const LEFT_OUT: &[&str] = &[
        "leak::alternate_stack::perform",
        "leak::session::ensure",
        "leak::thread::states::own",
    ];
    // The debug profile's assertions, and less inlining, take what users never see.
    let most = match artifacts::directory().ends_with("debug") {
        true => 4 * MOST,
        false => MOST,
    };
    let library = artifacts::libleak();
    let frames = Frames::of(&library);
    let is_left_out = |name: &str| LEFT_OUT.iter().any(|left_out| name.starts_with(left_out));
    let mut deep = Vec::new();
    for (start, name) in exported(&library) {
        let (bytes, way) = frames.deepest(start, is_left_out);
        if bytes > most {
            deep.push(format!("{name}: {bytes}: {}", way.join(" > ")));
        }
    }
    assert!(deep.is_empty(), "{}", deep.join("\n"));
}

/// The functions that `library` exports, by address and name.
fn exported(library: &Path) -> Vec<(u64, String)> {
    let mut command = Command::new("nm");
    command.args(["-D", "--defined-only"]).arg(library);
    let output = command.output().expect("binutils are there");
    let text = String::from_utf8(output.stdout).expect("text");
    let functions = text.lines().filter_map(|line| line.split_once(" T "));
    let named = functions.map(|(start, name)| {
        let start = u64::from_str_radix(start, 16).expect("an address");
        (start, name.to_owned())
    });
    let named: Vec<_> = named.collect();
    assert!(named.len() > 60, "{named:?}");
    named
}

/// Threads with the smallest stack there is serve a request each, with half of it taken by a buffer.
#[test]
fn on_the_smallest_stack() {
    let program = Source::read("servers/small_stacks.c").program();
    let place = Place::new();
    let ended = place.run(place.traced(program));
    assert!(ended.status.success(), "{:?}: {}", ended.status, ended.err);
    let report = place.report();
    report.assert_complete();
    let endpoint = report.endpoint("GET /small");
    assert_eq!(endpoint["requests"], 20);
    assert_eq!(endpoint["retained_bytes"], 20 * 500);
}
