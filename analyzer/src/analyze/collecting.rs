//! Which call sites tell that a runtime's collector runs: those whose backtraces go through its functions.

use crate::sites::runtimes::{Phase, Phases, PhasesOf, Runtime};
use crate::sites::{Frame, NO_MODULE, Node, SiteId, Sites};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    phases_of: Option<PhasesOf>,
    /// By module, as far as frames of them have come.
    modules: Vec<Option<Phases>>,
    /// By node: what the backtrace tells.
    nodes: Vec<Option<Phase>>,
    /// Those that tell something.
    telling: Vec<(SiteId, Phase)>,
}

impl Collecting {
    /// Functions are found so.
    pub(super) fn new(phases_of: Option<PhasesOf>) -> Self {
        Collecting {
            phases_of,
            ..Collecting::default()
        }
    }

    /// Whether there are nodes that were not looked at.
    #[inline]
    pub(super) fn is_behind(&self, sites: &Sites) -> bool {
        self.phases_of.is_some() && self.nodes.len() < sites.len()
    }

    /// All that tell something so far.
    pub(super) fn telling(&self) -> &[(SiteId, Phase)] {
        &self.telling
    }

    /// Whether what is allocated at the site is made by what a runtime had put off: others may have caused it.
    pub(super) fn is_put_off(&self, site: SiteId) -> bool {
        self.nodes.get(site as usize).copied().flatten() == Some(Phase::PutOff)
    }

    /// Looks at the new nodes, those that called others first; gives those that tell something.
    pub(super) fn look(&mut self, sites: &Sites) -> &[(SiteId, Phase)] {
        let before = self.telling.len();
        for node in self.nodes.len()..sites.len() {
            let site = node as SiteId;
            let phase = match sites.node(site) {
                Node::Native(parent, frame) => {
                    let outer = self.nodes.get(parent as usize).copied().flatten();
                    outer.max(self.phase(frame, sites))
                }
                Node::Pair(native, ..) | Node::Of(native, _) => {
                    self.nodes.get(native as usize).copied().flatten()
                }
                Node::Root | Node::Python(..) => None,
            };
            self.nodes.push(phase);
            let tells = phase.filter(|phase| *phase > Phase::PutOff);
            self.telling.extend(tells.map(|phase| (site, phase)));
        }
        &self.telling[before..]
    }

    fn phase(&mut self, frame: Frame, sites: &Sites) -> Option<Phase> {
        if frame.module == NO_MODULE {
            return None;
        }
        let at = frame.module as usize;
        if self.modules.len() <= at {
            self.modules.resize(at + 1, None);
        }
        let phases = self.modules[at].get_or_insert_with(|| {
            let module = sites.modules().get(at);
            let runtime = module.and_then(|module| Some((module, Runtime::of(module)?)));
            let found = runtime.zip(self.phases_of);
            found.map_or(Phases::new(), |((module, runtime), of)| of(module, runtime))
        });
        // A return address may lie past the function.
        let address = frame.file_address.saturating_sub(1);
        let after = phases.partition_point(|(range, _)| range.start <= address);
        let (range, phase) = phases.get(after.checked_sub(1)?)?;
        range.contains(&address).then_some(*phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::{Module, NO_SITE};

    /// Functions of which each has 16 bytes.
    fn phases(_: &Module, _: Runtime) -> Phases {
        vec![(0x10..0x20, Phase::Marks), (0x20..0x30, Phase::Collects)]
    }

    #[test]
    fn a_backtrace_tells_what_its_functions_do() {
        let mut sites = Sites::default();
        let mut module = |path: &str| {
            sites.module(Module {
                path: path.to_owned(),
                build_id: None,
            })
        };
        let (node, libc) = (module("/usr/bin/node"), module("/lib/libc.so.6"));
        let mut called = |parent, module, file_address| {
            sites.child(
                parent,
                Frame {
                    module,
                    file_address,
                },
            )
        };
        let main = called(NO_SITE, node, 0x8);
        let marks = called(main, node, 0x11);
        let collects = called(marks, node, 0x30);
        let inner = called(collects, libc, 0x15);
        let other = called(main, libc, 0x15);
        let jit = called(main, NO_MODULE, 0x15);
        let mut collecting = Collecting::new(Some(phases));
        assert!(collecting.is_behind(&sites));
        let told = collecting.look(&sites).to_vec();
        assert!(!collecting.is_behind(&sites));
        let expected = [
            (marks, Phase::Marks),
            (collects, Phase::Collects),
            (inner, Phase::Collects),
        ];
        assert_eq!(told, expected);
        assert!(!told.iter().any(|(site, _)| [other, jit].contains(site)));
    }
}
