//! Call sites: backtraces interned over all processes, as a tree of (module, file address) frames, a
//! tree of Python's (code, line) frames, and pairs of both.

mod apart;
pub mod generated;
pub mod runtimes;
pub mod specialised;
pub use apart::is_interpreter;
use leak_wire::Asked;
use leak_wire::free_list::List;
use rustc_hash::FxHashMap;

/// A node of the trees of backtraces: the frame, and through its parents all frames outside it; or a
/// pair of a native and a Python node.
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

/// A Python code object of [`Sites::codes`].
pub type CodeId = u32;

/// A Python function, or a module's or class's body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// Its source file, as the interpreter knows it.
    pub file: String,
    /// Its qualified name.
    pub function: String,
    /// The line of its `def`.
    pub first_line: u32,
}

/// One Python frame of a backtrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PythonFrame {
    /// What ran; `None`: its code was not told (its record was lost).
    pub code: Option<CodeId>,
    /// The line; `None` where the code has none there, or it can't be told.
    pub line: Option<u32>,
}

/// What lies at a call site: what its blocks are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Memory {
    /// Blocks of malloc and its family.
    #[default]
    Malloc,
    /// Blocks that the Python interpreter's own allocators gave.
    Python,
    /// Memory that the program mapped by itself, private or shared.
    Mapped,
    /// Files that it mapped.
    File,
    /// Stacks of threads that it created.
    Stack,
    /// Memory for which it had reserved addresses before: the heap of a language, an arena.
    Arena,
}

impl Memory {
    /// Those whose call sites are told apart from those of allocators.
    pub const APART: [Memory; 4] = [Memory::Mapped, Memory::File, Memory::Stack, Memory::Arena];

    /// Its name in reports for programs.
    pub fn kind(self) -> &'static str {
        match self {
            Memory::Malloc => "malloc",
            Memory::Python => "python",
            Memory::Mapped | Memory::File | Memory::Arena => "mapped",
            Memory::Stack => "stack",
        }
    }

    /// What lies in the mapping, in reports for programs; `None`: it is an allocator's.
    pub fn backing(self) -> Option<&'static str> {
        match self {
            Memory::Malloc | Memory::Python => None,
            Memory::Mapped | Memory::Stack | Memory::Arena => Some("memory"),
            Memory::File => Some("file"),
        }
    }

    /// Whether its bytes are memory that is kept, and so a part of the growth: a file's contents and most of a stack are
    /// none, and an arena (the heap of a language) grows in large steps, with what nobody keeps.
    pub fn is_kept(self) -> bool {
        !matches!(self, Memory::File | Memory::Stack | Memory::Arena)
    }

    /// Its place among [`Memory::APART`]; `None`: it is an allocator's.
    pub fn apart(self) -> Option<usize> {
        Memory::APART.iter().position(|apart| *apart == self)
    }
}

/// What a [`SiteId`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// [`NO_SITE`].
    Root,
    /// A native frame, and the node that called it.
    Native(SiteId, Frame),
    /// A Python frame, and the node that called it.
    Python(SiteId, PythonFrame),
    /// A native and a Python node, and of whom the memory was asked.
    Pair(SiteId, SiteId, Asked),
    /// The same backtrace, and what it led to other than a block of an allocator. [`Sites::at`] looks through it.
    Of(SiteId, Memory),
}

/// The trees. Ids are stable for one reading of a trace, not from run to run.
#[derive(Debug)]
pub struct Sites {
    nodes: Vec<Node>,
    ids: FxHashMap<Node, SiteId>,
    /// By node: the one of its kind that was asked for next, the last time.
    followers: Vec<SiteId>,
    /// By kind: the last one.
    last: [SiteId; 3],
    /// Of pairs that not all of their native frames set apart: the node of all of them.
    examples: FxHashMap<SiteId, SiteId>,
    modules: Vec<Module>,
    /// By module: whether it is the Python interpreter.
    is_interpreter: Vec<bool>,
    module_ids: FxHashMap<Module, ModuleId>,
    codes: Vec<Code>,
    code_ids: FxHashMap<Code, CodeId>,
    /// The first of those that stand for CPython's free lists; [`NO_SITE`]: there are none yet.
    free_lists: SiteId,
}

/// Who keeps what waits on a list: stands for the file of the frame that stands for the list.
fn keeper(list: List) -> &'static str {
    match list {
        List::Thread => "the C library's stacks",
        _ => "CPython's free lists",
    }
}

impl Default for Sites {
    fn default() -> Self {
        Sites {
            nodes: vec![Node::Root],
            ids: FxHashMap::default(),
            followers: vec![NO_SITE],
            last: [NO_SITE; 3],
            examples: FxHashMap::default(),
            modules: Vec::new(),
            is_interpreter: Vec::new(),
            module_ids: FxHashMap::default(),
            codes: Vec::new(),
            code_ids: FxHashMap::default(),
            free_lists: NO_SITE,
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
        self.is_interpreter.push(is_interpreter(&module.path));
        self.modules.push(module.clone());
        self.module_ids.insert(module, id);
        id
    }

    /// The code's id, new or known.
    pub fn code(&mut self, code: Code) -> CodeId {
        if let Some(id) = self.code_ids.get(&code) {
            return *id;
        }
        let id = self.codes.len() as CodeId;
        self.codes.push(code.clone());
        self.code_ids.insert(code, id);
        id
    }

    /// The node for `frame` called from `parent`, new or known.
    pub fn child(&mut self, parent: SiteId, frame: Frame) -> SiteId {
        self.expected(Node::Native(parent, frame), 0)
    }

    /// The node for the Python `frame` called from the Python frame `parent`, new or known.
    pub fn python_child(&mut self, parent: SiteId, frame: PythonFrame) -> SiteId {
        self.expected(Node::Python(parent, frame), 1)
    }

    /// The pair of a native and a Python backtrace, new or known. It has the native frames with which it came first, of
    /// which only those that lie inside of the interpreter's set it apart from other pairs.
    pub fn pair(&mut self, native: SiteId, python: SiteId, asked: Asked) -> SiteId {
        let (apart, before) = (self.apart(native, python, asked), self.nodes.len());
        let pair = self.expected(Node::Pair(apart, python, asked), 2);
        if apart != native && self.nodes.len() > before {
            self.examples.insert(pair, native);
        }
        pair
    }

    /// The sites that stand for CPython's free lists: of each what was taken from there, by whatever line. The first of
    /// as many as there are lists, in their order.
    pub fn free_lists(&mut self) -> SiteId {
        if self.free_lists == NO_SITE {
            let frames = List::ALL.map(|list| {
                let code = self.code(Code {
                    file: keeper(list).to_owned(),
                    function: format!("{} used again", list.type_name()),
                    first_line: 0,
                });
                let frame = PythonFrame {
                    code: Some(code),
                    line: None,
                };
                (list, self.python_child(NO_SITE, frame))
            });
            let sites = frames.map(|(list, frame)| {
                let asked = match list {
                    List::Thread => Asked::Native,
                    _ => Asked::Interpreter,
                };
                self.pair(NO_SITE, frame, asked)
            });
            self.free_lists = sites[0];
        }
        self.free_lists
    }

    /// Whether the site stands for one of CPython's free lists.
    pub fn is_free_list(&self, site: SiteId) -> bool {
        let lists = self.free_lists..self.free_lists.saturating_add(List::ALL.len() as SiteId);
        self.free_lists != NO_SITE && lists.contains(&site)
    }

    /// The sites of what the calls with this backtrace mapped: the first of as many as there are in [`Memory::APART`],
    /// in their order.
    pub fn mapped(&mut self, site: SiteId) -> SiteId {
        let ids = Memory::APART.map(|memory| self.id(Node::Of(site, memory)));
        ids[0]
    }

    /// What lies at the site.
    pub fn memory(&self, site: SiteId) -> Memory {
        match self.nodes.get(site as usize) {
            Some(Node::Of(_, memory)) => *memory,
            Some(Node::Pair(_, _, Asked::Interpreter)) => Memory::Python,
            _ => Memory::Malloc,
        }
    }

    /// The id of `node`, one of so manieth kind. A process that does what another one did tells the same nodes in the
    /// same order, so that the one that followed the last time is looked at first.
    fn expected(&mut self, node: Node, kind: usize) -> SiteId {
        let last = self.last[kind] as usize;
        let next = self.followers[last];
        let id = match self.nodes[next as usize] == node {
            true => next,
            false => self.id(node),
        };
        self.followers[last] = id;
        self.last[kind] = id;
        id
    }

    fn id(&mut self, node: Node) -> SiteId {
        let next = self.nodes.len() as SiteId;
        let id = *self.ids.entry(node).or_insert(next);
        if id == next {
            self.nodes.push(node);
            self.followers.push(NO_SITE);
        }
        id
    }

    /// The node, as it was interned; the root for unknown ids.
    pub fn node(&self, site: SiteId) -> Node {
        match self.nodes.get(site as usize) {
            Some(node @ Node::Of(..)) => *node,
            _ => self.at(site),
        }
    }

    /// What the backtrace of the node is; the root for unknown ids.
    pub fn at(&self, site: SiteId) -> Node {
        let node = self.nodes.get(site as usize).copied();
        match (node, self.examples.get(&site)) {
            (Some(Node::Pair(_, python, asked)), Some(native)) => {
                Node::Pair(*native, python, asked)
            }
            (Some(Node::Of(site, _)), _) => self.at(site),
            (node, _) => node.unwrap_or(Node::Root),
        }
    }

    /// The native backtrace of `site`, innermost frame first; empty for the root and for unknown ids.
    pub fn backtrace(&self, site: SiteId) -> impl Iterator<Item = Frame> + '_ {
        let mut at = match self.at(site) {
            Node::Pair(native, ..) => native,
            _ => site,
        };
        std::iter::from_fn(move || match self.at(at) {
            Node::Native(parent, frame) => {
                at = parent;
                Some(frame)
            }
            _ => None,
        })
    }

    /// The Python backtrace of `site`, innermost frame first; empty where no Python code ran.
    pub fn python_backtrace(&self, site: SiteId) -> impl Iterator<Item = PythonFrame> + '_ {
        let mut at = match self.at(site) {
            Node::Pair(_, python, _) => python,
            _ => site,
        };
        std::iter::from_fn(move || match self.at(at) {
            Node::Python(parent, frame) => {
                at = parent;
                Some(frame)
            }
            _ => None,
        })
    }

    /// Whether the blocks of `site` are the Python interpreter's: it was asked for them through its
    /// own allocators.
    pub fn is_python(&self, site: SiteId) -> bool {
        self.memory(site) == Memory::Python
    }

    /// Whether Python code led to its blocks: the interpreter's own, and those of extension modules and libraries,
    /// which may belong to Python objects.
    pub fn is_of_python(&self, site: SiteId) -> bool {
        matches!(self.at(site), Node::Pair(..))
    }

    /// All modules, by id.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// All Python code, by id.
    pub fn codes(&self) -> &[Code] {
        &self.codes
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
mod tests;
