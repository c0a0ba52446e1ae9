//! An API server keeps 10,000 objects for each request that fails: the first lines of the report say so, on which
//! answers, of what and how much; where the server is mended, that there is no leak. `scripts/story` runs all kinds
//! of server, traffic and end, on every CPython that is there.

use std::path::Path;

use leak_tests::python;
use leak_tests::story::{Kind, Stop, Traffic, Variant, kept_by_each, run};

fn check(kind: Kind, traffic: Traffic, fixed: bool, stop: Stop) {
    let python = Path::new(python::SYSTEM);
    let variant = Variant {
        kind,
        traffic,
        fixed,
        stop,
    };
    let told = run(python, variant, kept_by_each(python));
    let faults = told.faults();
    assert!(
        faults.is_empty(),
        "{variant}: {}\n{}",
        faults.join("; "),
        told.first_lines()
    );
}

#[test]
fn six_fail_at_last() {
    check(Kind::Threads, Traffic::Late, false, Stop::Term);
}

#[test]
fn six_fail_at_first() {
    check(Kind::Wsgi, Traffic::Early, false, Stop::Kill);
}

#[test]
fn two_fail_among_many() {
    check(Kind::Threads, Traffic::Two, false, Stop::Kill);
}

#[test]
fn a_loop_where_six_fail_at_last() {
    check(Kind::Asyncio, Traffic::Late, false, Stop::Kill);
}

#[test]
fn mended() {
    check(Kind::Threads, Traffic::Late, true, Stop::Term);
}

#[test]
fn mended_and_killed() {
    check(Kind::Wsgi, Traffic::Late, true, Stop::Term);
}
