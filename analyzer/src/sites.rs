//! Call sites: backtraces interned over all processes, as a tree of (module, file address) frames.

use rustc_hash::FxHashMap;

/// A node of the tree of backtraces: the frame, and through its parents all frames outside it.
pub type SiteId = u32;
/// The root: no frame known.
pub const NO_SITE: SiteId = 0;
/// A module of [`Sites::modules`].
pub type ModuleId = u32;
/// The frame lies in no known module (JIT code, or a module never told): its address is the runtime one.
pub const NO_MODULE: ModuleId = u32::MAX;

/// A file that was mapped into some process of the trace; one entry for each (path, build-id).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Module {
    /// Path as the loader knew it.
    pub path: String,
    /// The GNU build-id in lower-case hex, where there is one.
    pub build_id: Option<String>,
}

/// One frame of a backtrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Whose code it is.
    pub module: ModuleId,
    /// The return address as file (virtual) address; `file_address - 1` lies in the calling instruction.
    pub file_address: u64,
}

/// The tree. Ids are stable for one reading of a trace, not from run to run.
#[derive(Debug)]
pub struct Sites {
    nodes: Vec<(SiteId, Frame)>,
    children: FxHashMap<(SiteId, Frame), SiteId>,
    modules: Vec<Module>,
    module_ids: FxHashMap<Module, ModuleId>,
}

impl Default for Sites {
    fn default() -> Self {
        let root = (
            NO_SITE,
            Frame {
                module: NO_MODULE,
                file_address: 0,
            },
        );
        Sites {
            nodes: vec![root],
            children: FxHashMap::default(),
            modules: Vec::new(),
            module_ids: FxHashMap::default(),
        }
    }
}

impl Sites {
    /// The module's id, new or known.
    pub fn module(&mut self, module: Module) -> ModuleId {
        if let Some(id) = self.module_ids.get(&module) {
            return *id;
        }
        let id = self.modules.len() as ModuleId;
        self.modules.push(module.clone());
        self.module_ids.insert(module, id);
        id
    }

    /// The node for `frame` called from `parent`, new or known.
    pub fn child(&mut self, parent: SiteId, frame: Frame) -> SiteId {
        let next = self.nodes.len() as SiteId;
        let id = *self.children.entry((parent, frame)).or_insert(next);
        if id == next {
            self.nodes.push((parent, frame));
        }
        id
    }

    /// The backtrace of `site`, innermost frame first; empty for the root and for unknown ids.
    pub fn backtrace(&self, site: SiteId) -> impl Iterator<Item = Frame> + '_ {
        let mut at = site;
        std::iter::from_fn(move || {
            let (parent, frame) = *self.nodes.get(at as usize)?;
            if at == NO_SITE {
                return None;
            }
            at = parent;
            Some(frame)
        })
    }

    /// All modules, by id.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// How many nodes there are, the root included; ids are below.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no frame was ever interned.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_backtraces_are_one_site() {
        let mut sites = Sites::default();
        let module = sites.module(Module {
            path: "/bin/x".into(),
            build_id: None,
        });
        let frame = |file_address| Frame {
            module,
            file_address,
        };
        let outer = sites.child(NO_SITE, frame(1));
        let inner = sites.child(outer, frame(2));
        assert_eq!(sites.child(outer, frame(2)), inner);
        assert_eq!(
            sites.backtrace(inner).collect::<Vec<_>>(),
            [frame(2), frame(1)]
        );
        assert_eq!(sites.backtrace(NO_SITE).count(), 0);
        assert_eq!(sites.backtrace(99).count(), 0);
    }
}
