//! Runtime addresses → call sites: which module lay where, in each process, at each moment.

use std::collections::BTreeMap;

use leak_wire::Asked;

use super::codes::Codes;
use super::facts::BuildIds;
use super::{Facts, Origin, ProcessId};
use crate::sites::{Frame, Module, ModuleId, NO_MODULE, NO_SITE, SiteId, Sites};

/// Node numbers may leave gaps where chunks are missing, but none larger than this.
const MAX_GAP: usize = 1 << 24;

/// A module mapped into a process, by its lowest address.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    end: u64,
    bias: u64,
    module: ModuleId,
    /// It is libleak: its frames stand around `main` and the functions of threads, and are none of the program's.
    is_ours: bool,
}

/// The file name of the library in the target.
const OURS: &[u8] = b"libleak.so";

/// The modules of each process.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    processes: Vec<BTreeMap<u64, Mapped>>,
}

impl Modules {
    /// A process begins: a fork has its parent's modules.
    pub(crate) fn begin(&mut self, facts: &Facts, process: ProcessId) {
        let index = process as usize;
        if self.processes.len() <= index {
            self.processes.resize_with(index + 1, BTreeMap::new);
        }
        let Some(begun) = facts.processes.get(index) else {
            return;
        };
        let parent = begun.parent.filter(|_| begun.origin == Origin::Fork);
        let inherited = parent.and_then(|parent| self.processes.get(parent as usize));
        if let Some(modules) = inherited.cloned() {
            self.processes[index] = modules;
        }
    }

    /// A process has ended.
    pub(crate) fn end(&mut self, process: ProcessId) {
        if let Some(modules) = self.processes.get_mut(process as usize) {
            modules.clear();
        }
    }

    /// A module was mapped; whatever was believed to lie there is gone.
    pub(crate) fn load(
        &mut self,
        process: ProcessId,
        (start, end): (u64, u64),
        bias: u64,
        (id, path): (ModuleId, &[u8]),
    ) {
        let Some(modules) = self.processes.get_mut(process as usize) else {
            return;
        };
        let stale: Vec<u64> = modules
            .range(..end)
            .rev()
            .take_while(|(_, mapped)| mapped.end > start)
            .map(|(start, _)| *start)
            .collect();
        stale.iter().for_each(|start| {
            modules.remove(start);
        });
        modules.insert(
            start,
            Mapped {
                end,
                bias,
                module: id,
                is_ours: path.rsplit(|byte| *byte == b'/').next() == Some(OURS),
            },
        );
    }

    /// A module was unmapped.
    pub(crate) fn unload(&mut self, process: ProcessId, start: u64) {
        if let Some(modules) = self.processes.get_mut(process as usize) {
            modules.remove(&start);
        }
    }

    /// The frame of a return address; `None`: one of libleak's own.
    fn frame(&self, process: ProcessId, address: u64) -> Option<Frame> {
        let inside = address.wrapping_sub(1);
        let modules = self.processes.get(process as usize);
        let below = modules.and_then(|modules| modules.range(..=inside).next_back());
        match below {
            Some((_, mapped)) if inside < mapped.end => (!mapped.is_ours).then(|| Frame {
                module: mapped.module,
                file_address: address.wrapping_sub(mapped.bias),
            }),
            _ => Some(Frame {
                module: NO_MODULE,
                file_address: address,
            }),
        }
    }
}

/// The call-site tree of one thread: its node numbers as sites.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<SiteId>,
    resets: u32,
}

impl Tree {
    /// A chunk begins whose tree was reset `resets` times before. Another number than ours means
    /// that a reset was in a chunk that is missing: no node can be trusted.
    pub(crate) fn expect(&mut self, resets: u32) {
        if self.resets != resets {
            self.nodes.clear();
            self.resets = resets;
        }
    }

    /// The tree starts anew.
    pub(crate) fn reset(&mut self) {
        self.nodes.clear();
        self.resets = self.resets.wrapping_add(1);
    }

    /// A node of the tree is told.
    pub(crate) fn frame(
        &mut self,
        sites: &mut Sites,
        modules: &Modules,
        process: ProcessId,
        (id, parent, address): (u32, u32, u64),
    ) {
        let parent = self.site(parent);
        let frame = modules.frame(process, address);
        let site = frame.map_or(parent, |frame| sites.child(parent, frame));
        self.put(id, site);
    }

    fn put(&mut self, id: u32, site: SiteId) {
        let id = id as usize;
        if id == 0 || id > self.nodes.len() + MAX_GAP {
            return;
        }
        if self.nodes.len() <= id {
            self.nodes.resize(id + 1, NO_SITE);
        }
        self.nodes[id] = site;
    }

    /// A node of the Python tree is told.
    pub(crate) fn python_frame(
        &mut self,
        sites: &mut Sites,
        codes: &mut Codes,
        process: ProcessId,
        (id, parent): (u32, u32),
        (code, instruction): (u32, u32),
    ) {
        let parent = self.site(parent);
        let site = sites.python_child(parent, codes.frame(process, code, instruction));
        self.put(id, site);
    }

    /// A pair of nodes is told.
    pub(crate) fn pair(
        &mut self,
        sites: &mut Sites,
        id: u32,
        (native, python): (u32, u32),
        asked: Asked,
    ) {
        let site = sites.pair(self.site(native), self.site(python), asked);
        self.put(id, site);
    }

    /// The site of a node; the root for one that was never told.
    pub(crate) fn site(&self, node: u32) -> SiteId {
        self.nodes.get(node as usize).copied().unwrap_or(NO_SITE)
    }
}

/// The module of `path` as it was mapped at `stamp`.
pub(crate) fn module(sites: &mut Sites, build_ids: &BuildIds, path: &[u8], stamp: u64) -> ModuleId {
    let path = String::from_utf8_lossy(path).into_owned();
    let known = build_ids.get(&path).map_or(&[][..], Vec::as_slice);
    let after = known.partition_point(|(since, _)| *since <= stamp);
    // A first note may be a little late: the nearest one is meant.
    let build_id = known
        .get(after.saturating_sub(1))
        .and_then(|known| known.1.clone());
    sites.module(Module { path, build_id })
}
