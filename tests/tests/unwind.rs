//! Backtraces in the target: every one that was found with the help of a remembered one equals a full
//! walk, and that equals glibc's own.

use std::process::Command;

use leak_tests::compile::Source;
use leak_tests::run::Place;

/// What libleak says at the exit of a program that ran with `LEAK_DEBUG_UNWIND`.
#[derive(Debug)]
struct Compared {
    captures: u64,
    different: u64,
    foreign: u64,
    foreign_different: u64,
}

impl Compared {
    fn read(err: &str) -> Compared {
        let line = err
            .lines()
            .filter_map(|line| line.strip_prefix("libleak: unwind check: "))
            .next_back()
            .unwrap_or_else(|| panic!("nothing was compared:\n{err}"));
        let numbers: Vec<u64> = line
            .split(|character: char| !character.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let [captures, different, foreign, foreign_different] = numbers[..] else {
            panic!("four numbers were expected:\n{err}");
        };
        Compared {
            captures,
            different,
            foreign,
            foreign_different,
        }
    }
}

/// Runs a program of `targets/unwind` and requires that at least `captures` were compared.
fn compare(mode: &str, captures: u64, command: impl FnOnce(&Place) -> Command) -> String {
    let place = Place::new();
    let mut command = command(&place);
    command.env("LEAK_DEBUG_UNWIND", mode);
    let ended = place.run(command);
    assert!(ended.status.success(), "{}:\n{}", ended.status, ended.err);
    let compared = Compared::read(&ended.err);
    assert!(compared.captures >= captures, "{compared:?}");
    assert_eq!(compared.different, 0, "{}", ended.err);
    assert_eq!(compared.foreign_different, 0, "{}", ended.err);
    if mode == "2" {
        assert_eq!(compared.foreign, compared.captures);
    }
    String::from_utf8_lossy(&ended.out).into_owned()
}

fn walks(name: &str) {
    let program = Source::read(&format!("unwind/{name}.cpp")).program();
    for (mode, rounds, captures) in [("1", "200", 100_000), ("2", "40", 10_000)] {
        let out = compare(mode, captures, |place| {
            let mut command = place.traced(&program);
            command.arg(rounds);
            command
        });
        assert!(out.ends_with(" handled\n"), "{out}");
    }
}

#[test]
fn unoptimized_code() {
    walks("walks_plain");
}

#[test]
fn code_without_frame_pointers() {
    walks("walks_optimized");
}

#[test]
fn code_with_frame_pointers() {
    walks("walks_frame_pointers");
}

#[test]
fn code_that_realigns_its_stack() {
    walks("walks_vectors");
}

#[test]
fn a_library_where_another_one_was() {
    let program = Source::read("unwind/reload.c").program();
    let libraries = ["small", "large", "frame_pointer"]
        .map(|name| Source::read(&format!("unwind/through_{name}.c")).program());
    let out = compare("2", 10_000, |place| {
        let mut command = place.traced(&program);
        command.arg("200").args(&libraries);
        command
    });
    let reused: u32 = out.trim_end_matches(" reused\n").parse().unwrap();
    assert!(reused > 100, "the loader put them elsewhere: {reused}");
}
