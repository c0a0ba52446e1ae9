//! The quick part of `scripts/conformance`: real programs say and end under libleak as they do without it,
//! and what it records of them agrees with an independent count.

use std::sync::Mutex;
use std::thread;

use leak_tests::conformance::Case;

/// Cases that run at the same time.
const WORKERS: usize = 2;

#[test]
fn quick_cases() {
    let cases = Case::all();
    let left = Mutex::new(cases.iter().filter(|case| case.is_quick()));
    let failed = Mutex::new(Vec::new());
    let next = || {
        left.lock()
            .expect("no case panics while it holds this")
            .next()
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = next() {
                    if let Err(why) = case.check() {
                        let mut failed = failed.lock().expect("as above");
                        failed.push(format!("{}: {why}", case.name));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("as above");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn there_are_thirty() {
    assert!(Case::all().len() >= 30);
}
