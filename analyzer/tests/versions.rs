//! One real trace of every version of the format, kept for ever: what it says must stay readable.
//!
//! `version-1.bin` was recorded from a C program that starts a thread (ten blocks of 1 to 10 bytes,
//! freed; one of 100 kept), forks (the child keeps 7 bytes and exits with 3), and grows a block of 50
//! bytes to 5000.

use leak_analyze::sites::Sites;
use leak_analyze::trace::{self, Ended, Origin, Outcome, What};
use leak_wire::Event;

#[test]
fn version_1_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/version-1.bin");
    let trace = trace::open(path).unwrap();
    let facts = trace.facts();
    assert_eq!(facts.ended, Ended::Complete);
    assert!(facts.complete() && facts.warnings.is_empty());
    let [first, child] = facts.processes.as_slice() else {
        panic!("{:?}", facts.processes);
    };
    assert_eq!(first.executable, "/opt/leak/fx");
    assert_eq!(first.outcome, Outcome::Exit(Some(0)));
    assert_eq!((child.origin, child.parent), (Origin::Fork, Some(0)));
    assert_eq!(child.outcome, Outcome::Exit(Some(3)));
    assert_eq!(facts.threads.len(), 3);
    let mut sites = Sites::default();
    let mut steps = trace.steps(&mut sites);
    let mut sizes = vec![Vec::new(); 2];
    let (mut frees, mut reallocated, mut begun, mut ended) = (0, None, 0, 0);
    while let Some(step) = steps.next() {
        let step = step.unwrap();
        match step.what {
            What::ProcessBegins | What::ThreadBegins => begun += 1,
            What::ProcessEnds | What::ThreadEnds => ended += 1,
            What::Event(Event::Allocation { size, .. }) => {
                sizes[step.process as usize].push(size);
            }
            What::Event(Event::Free { .. }) => frees += 1,
            What::Event(Event::ReallocationEnd { size, site, .. }) => {
                reallocated = Some((size, site));
            }
            What::Event(_) => {}
        }
    }
    drop(steps);
    // 288 bytes are the loader's, for the thread.
    assert_eq!(sizes[0], [288, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 50]);
    assert_eq!(sizes[1], [7]);
    assert_eq!((frees, begun, ended), (10, 5, 5));
    let (size, site) = reallocated.unwrap();
    assert_eq!(size, 5000);
    let frame = sites.backtrace(site).next().unwrap();
    let module = &sites.modules()[frame.module as usize];
    assert_eq!(module.path, "/opt/leak/fx");
    assert_eq!(module.build_id.as_ref().map(String::len), Some(40));
}
