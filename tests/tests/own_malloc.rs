//! Allocators that take the calls before libleak: linked into the program in every form, or preloaded
//! before it. They are traced by detours, or it is said that they are not.

use std::path::Path;
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::process::Ended;
use leak_tests::report::{Report, leak_analyze, sum};
use leak_tests::run::Place;
use leak_tests::stated::{Stated, Sum};

/// Runs it with and without libleak; what libleak says is one line, and the only difference.
fn both(plain: Command, traced: Command, place: &Place) -> Ended {
    let expected = place.run(plain);
    let found = place.run(traced);
    assert!(expected.status.success(), "{}", expected.err);
    assert_eq!(found.status, expected.status, "{}", found.err);
    assert_eq!(found.out, expected.out);
    found
}

fn first_lines(place: &Place) -> String {
    let text = leak_analyze(&[place.trace()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let lines: Vec<&str> = text.lines().take(4).map(str::trim).collect();
    lines.join(" ")
}

/// What the program `own_malloc/NAME` states is what is counted, and both notices say how.
fn traced(name: &str) {
    let source = Source::read(&format!("own_malloc/{name}"));
    let program = source.program();
    let place = Place::new();
    let ended = both(place.plain(&program), place.traced(&program), &place);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    let notice = "brings its own malloc: its entries are detoured and its memory is traced";
    assert!(ended.err.contains(notice), "{}", ended.err);
    let report = place.report();
    assert_traced(&report, Stated::of(&source).live);
    let first = first_lines(&place);
    assert!(
        first.contains("traced by detours at its entries"),
        "{first}"
    );
}

fn assert_traced(report: &Report, live: Sum) {
    report.assert_complete();
    assert_eq!(report.list("/processes").len(), 1);
    assert_eq!(sum(report.at("/totals"), "live"), live);
    assert_eq!(report.text("/trace/warnings/0/code"), "detoured");
}

#[test]
fn jemalloc() {
    traced("jemalloc.c");
}

#[test]
fn jemalloc_at_a_fixed_address() {
    traced("jemalloc_fixed.c");
}

#[test]
fn jemalloc_that_is_not_exported() {
    traced("jemalloc_hidden.c");
}

#[test]
fn jemalloc_in_a_stripped_program() {
    traced("jemalloc_stripped.c");
}

#[test]
fn jemalloc_by_operators() {
    traced("jemalloc_operators.cpp");
}

#[test]
fn tcmalloc() {
    traced("tcmalloc.c");
}

#[test]
fn tcmalloc_by_operators() {
    traced("tcmalloc_operators.cpp");
}

#[test]
fn tcmalloc_beside_a_static_cpp_library() {
    traced("tcmalloc_static_library.cpp");
}

#[test]
fn a_wrapper_of_the_next_malloc() {
    traced("wrapper.c");
}

/// Debian has no static mimalloc: that of the crate, which Rust programs bring under its own names.
#[test]
fn mimalloc() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_own_mimalloc");
    let ended = both(place.plain(program), place.traced(program), &place);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    let report = place.report();
    report.assert_complete();
    assert_eq!(report.text("/trace/warnings/0/code"), "detoured");
    let mut kept = Sum::default();
    for site in report.list("/sites") {
        let mut frames = site["frames"].as_array().expect("frames").iter();
        let keeps = frames.any(|frame| {
            let function = frame["function"].as_str().unwrap_or_default();
            function.contains("keep_a_thousand_bytes")
        });
        // The compiler may unroll the loop: then there are several.
        if keeps {
            kept.blocks += sum(site, "live").blocks;
            kept.bytes += sum(site, "live").bytes;
        }
    }
    let expected = Sum {
        blocks: 100,
        bytes: 100_000,
    };
    assert_eq!(kept, expected);
}

#[test]
fn preloaded_before() {
    let program = Source::read("own_malloc/plain.c").program();
    let directory = Path::new("/usr/lib/x86_64-linux-gnu");
    for (name, more) in [
        ("libjemalloc.so.2", (0, 128)),
        ("libtcmalloc_minimal.so.4", (2, 24 + 128)),
        ("libmimalloc.so.2.0", (0, 64)),
    ] {
        let place = Place::new();
        let allocator = directory.join(name);
        let preload = |more: String| {
            let mut command = place.plain(&program);
            command.env("LD_PRELOAD", format!("{}{more}", allocator.display()));
            command
        };
        let libleak = format!(":{}", artifacts::libleak().display());
        let ended = both(preload(String::new()), preload(libleak), &place);
        assert_eq!(ended.err.lines().count(), 1, "{name}: {}", ended.err);
        let stated = Stated::of(&Source::read("own_malloc/plain.c")).live;
        let live = Sum {
            blocks: stated.blocks + more.0,
            bytes: stated.bytes + more.1,
        };
        assert_traced(&place.report(), live);
    }
}

/// Runs the program with its allocator left alone: both notices say that nothing is traced, and why.
fn refused(name: &str, why: &str, prepare: impl Fn(&mut Command)) {
    let program = Source::read(&format!("own_malloc/{name}")).program();
    let place = Place::new();
    let mut command = place.traced(&program);
    prepare(&mut command);
    let ended = both(place.plain(&program), command, &place);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    let notice = format!("don't reach libleak: its memory is not traced ({why}); build it with");
    assert!(ended.err.contains(&notice), "{}", ended.err);
    assert_eq!(
        place.report().text("/trace/warnings/0/code"),
        "own_allocator"
    );
    let first = first_lines(&place);
    assert!(first.contains("its memory is not here"), "{first}");
}

#[test]
fn code_that_cant_give_way() {
    let why = "no detour at malloc: it jumps to its own beginning";
    refused("refused.c", why, |_| {});
}

#[test]
fn a_user_who_wants_it_left_alone() {
    // The calls of the second one would not come by the library anyway.
    for name in ["jemalloc.c", "jemalloc_hidden.c"] {
        refused(name, "LEAK_OWN_MALLOC=off", |command| {
            command.env("LEAK_OWN_MALLOC", "off");
        });
    }
}

/// Where a policy forbids new code (systemd's MemoryDenyWriteExecute), nothing is changed.
#[test]
fn a_process_that_may_not_have_new_code() {
    use std::os::unix::process::CommandExt;
    /// `PR_SET_MDWE`, `PR_MDWE_REFUSE_EXEC_GAIN`: since Linux 6.3.
    const REFUSE: (i32, libc::c_ulong) = (65, 1);
    // SAFETY: asks for a setting, changes nothing.
    if unsafe { libc::prctl(66, 0, 0, 0, 0) } < 0 {
        return;
    }
    refused("jemalloc.c", "new code is not allowed here", |command| {
        let forbid = || {
            // SAFETY: takes numbers only.
            match unsafe { libc::prctl(REFUSE.0, REFUSE.1, 0, 0, 0) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure makes one system call, and touches no memory of the parent's.
        unsafe { command.pre_exec(forbid) };
    });
}

#[test]
fn threads_that_run_already() {
    let program = Source::read("own_malloc/jemalloc.c").program();
    let early = Source::read("libraries/thread.c").shared();
    let place = Place::new();
    let mut command = place.plain(&program);
    let preload = format!("{}:{}", artifacts::libleak().display(), early.display());
    command.env("LD_PRELOAD", preload);
    let ended = both(place.plain(&program), command, &place);
    let why = "threads ran before libleak was loaded";
    assert!(ended.err.contains(why), "{}", ended.err);
}
