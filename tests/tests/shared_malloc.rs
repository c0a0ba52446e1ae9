//! Allocators as shared libraries behind libleak, linked or preloaded: what C++ programs ask of their
//! operators is traced like what C programs ask of malloc.

use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::report::{Report, sum};
use leak_tests::run::Place;
use leak_tests::stated::{Stated, Sum};

const DIRECTORY: &str = "/usr/lib/x86_64-linux-gnu";
const NONE: Sum = Sum {
    blocks: 0,
    bytes: 0,
};

/// Runs `own_malloc/NAME` with `libraries` after libleak and without it; all that can be seen of
/// libleak is `says`.
fn report(name: &str, libraries: &str, arguments: &[&str], says: &str) -> (Place, Report) {
    let program = Source::read(name).program();
    let run = |place: &Place, preload: String| {
        let mut command: Command = place.plain(&program);
        command.args(arguments).env("LD_PRELOAD", preload);
        if !says.is_empty() {
            command.env("LEAK_OWN_MALLOC", "off");
        }
        place.run(command)
    };
    let place = Place::new();
    let expected = run(&place, libraries.to_owned());
    assert!(expected.status.success(), "{libraries}: {}", expected.err);
    let libleak = artifacts::libleak();
    let found = run(&place, format!("{}:{libraries}", libleak.display()));
    assert_eq!(found.status, expected.status, "{libraries}: {}", found.err);
    assert_eq!(found.out, expected.out, "{libraries}");
    assert!(found.err.contains(says), "{libraries}: {}", found.err);
    let lines = usize::from(!says.is_empty());
    assert_eq!(found.err.lines().count(), lines, "{libraries}");
    let report = place.report();
    (place, report)
}

/// What `own_malloc/NAME` states, and what is the allocator's own, is what is counted, and nothing has to be
/// said.
fn traced(name: &str, libraries: &str, arguments: &[&str], its_own: Sum) -> Report {
    let name = format!("own_malloc/{name}");
    let (_place, report) = report(&name, libraries, arguments, "");
    report.assert_complete();
    assert!(report.list("/trace/warnings").is_empty(), "{libraries}");
    assert_eq!(report.number("/totals/unknown_frees"), 0, "{libraries}");
    let mut stated = Stated::of(&Source::read(&name)).live;
    stated.blocks += its_own.blocks;
    stated.bytes += its_own.bytes;
    if arguments.is_empty() {
        // What `operators.h` keeps.
        stated.blocks += 5;
        stated.bytes += 624;
    }
    let found = sum(report.at("/totals"), "live");
    assert_eq!(found, stated, "{name} {libraries}");
    report
}

#[test]
fn linked() {
    traced("shared_jemalloc.cpp", "", &[], NONE);
    traced("shared_tcmalloc.cpp", "", &[], NONE);
    traced("shared_mimalloc.cpp", "", &["calm"], NONE);
}

#[test]
fn preloaded() {
    let traced = |library: &str, arguments: &[&str], its_own| {
        let path = format!("{DIRECTORY}/{library}");
        traced("shared_plain.cpp", &path, arguments, its_own)
    };
    let tcmalloc = Sum {
        blocks: 2,
        bytes: 24,
    };
    traced("libtcmalloc_minimal.so.4", &[], tcmalloc);
    traced("libjemalloc.so.2", &[], NONE);
    // Not only what is left: every call of the one is one of the other.
    let one = traced("libjemalloc.so.2", &["calm"], NONE);
    let other = traced("libmimalloc.so.2.0", &["calm"], NONE);
    for figure in ["allocations", "allocated_bytes", "reallocations", "frees"] {
        let figure = format!("/totals/{figure}");
        assert_eq!(one.number(&figure), other.number(&figure), "{figure}");
    }
}

/// One whose own C++ code asks its operators, too: nothing is given that is not seen, or taken back.
#[test]
fn that_uses_its_own_operators() {
    let name = "own_malloc/shared_plain.cpp";
    let libraries = format!("{DIRECTORY}/libtcmalloc.so.4");
    let (_place, report) = report(name, &libraries, &[], "");
    report.assert_complete();
    assert!(report.list("/trace/warnings").is_empty());
    assert_eq!(report.number("/totals/unknown_frees"), 0);
}

/// Without detours, what the operators give is not there, and that is said.
#[test]
fn left_alone() {
    let says = "libjemalloc.so.2 has C++ operators that don't reach libleak: what they give is not \
                traced (LEAK_OWN_MALLOC=off)";
    let libraries = format!("{DIRECTORY}/libjemalloc.so.2");
    let (_place, report) = report("own_malloc/shared_plain.cpp", &libraries, &["calm"], says);
    assert_eq!(report.text("/trace/warnings/0/code"), "own_operators");
}
