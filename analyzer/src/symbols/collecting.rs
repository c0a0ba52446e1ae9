//! Which functions of a runtime tell what its collector does.

use super::elf::Files;
use super::module::Opened;
use super::{Module, SymbolOptions};
use crate::sites::runtimes::{Phases, Runtime};

/// The functions of `module`, which is this runtime, that tell what its collector does: none where its file is not the
/// one that ran, or has no names for them.
pub fn phases(module: &Module, runtime: Runtime) -> Phases {
    // Without a build-id nothing says that it is.
    if module.build_id.is_none() {
        return Phases::new();
    }
    let (files, options) = (Files::default(), SymbolOptions::default());
    let opened = Opened::open(&files, module, &options);
    let mut phases = Phases::new();
    for (function, range) in opened.functions() {
        if let Some(phase) = runtime.phase_of(function) {
            phases.push((range, phase));
        }
    }
    phases.sort_unstable_by_key(|(range, _)| range.start);
    phases
}
