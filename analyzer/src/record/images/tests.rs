use super::*;
use crate::record::settings::Settings;

/// A program that no process here runs.
const PROGRAM: &str = "/usr/bin/parent";

fn claim_slot(mapping: &Mapping, index: usize, (image, parent, origin): (u32, u32, u32)) {
    let slot = &mapping.slots()[index];
    slot.image.store(image, Ordering::Relaxed);
    slot.parent_image.store(parent, Ordering::Relaxed);
    slot.origin.store(origin, Ordering::Relaxed);
    let live = claim::pack(claim::LIVE, std::process::id());
    slot.claim.store(live, Ordering::Release);
}

#[test]
fn a_child_is_known_by_its_parent_though_that_has_ended() {
    let settings = Settings::default();
    let mapping = Mapping::create("leak-test", 4 << 20, &settings).unwrap();
    let watch = Arc::new(Watch::new().unwrap());
    let mut images = Images::new(watch, "leak-nobody".to_owned());
    let pid = std::process::id();
    let program = Program {
        executable: PROGRAM.to_owned(),
        arguments: Vec::new(),
    };
    images.expect(pid, pid, 0, program);
    claim_slot(&mapping, 0, (1, 0, 0));
    let live = images.look(&mapping, true);
    images.begin_new(&mapping, live);
    assert!(images.end(&mapping, 1, None, false).is_some());

    // This process stands for the child, which runs something else by now.
    claim_slot(&mapping, 1, (2, 1, 1));
    let live = images.look(&mapping, true);
    images.begin_new(&mapping, live);
    assert_eq!(images.running[&2].program.executable, PROGRAM);
}
