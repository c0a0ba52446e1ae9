//! What a law is: code that keeps and frees blocks as requests come, and what is true of it.

use super::dice::Dice;

/// A block.
pub(super) type Block = u32;

/// What a law does with memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Allocate { block: Block, bytes: u64 },
    Grow { old: Block, new: Block, bytes: u64 },
    Free(Block),
}

/// The memory of a process, as a law sees it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) acts: Vec<Act>,
    /// By block: it will never be freed, and it goes on like that.
    pub(super) leaked: Vec<bool>,
    /// The law has done all that it does, once over.
    pub(super) shown: bool,
    bytes: u64,
}

impl Memory {
    /// Blocks have so many bytes where the law says nothing else.
    pub(super) fn new(bytes: u64) -> Self {
        Memory {
            acts: Vec::new(),
            leaked: Vec::new(),
            shown: false,
            bytes,
        }
    }

    fn block(&mut self, leaked: bool) -> Block {
        self.leaked.push(leaked);
        self.leaked.len() as Block - 1
    }

    pub(super) fn keep(&mut self) -> Block {
        self.keep_bytes(self.bytes)
    }

    pub(super) fn keep_bytes(&mut self, bytes: u64) -> Block {
        let block = self.block(false);
        self.acts.push(Act::Allocate { block, bytes });
        block
    }

    pub(super) fn leak(&mut self) {
        let (block, bytes) = (self.block(true), self.bytes);
        self.acts.push(Act::Allocate { block, bytes });
    }

    pub(super) fn grow(&mut self, old: Block, bytes: u64) -> Block {
        let new = self.block(false);
        self.acts.push(Act::Grow { old, new, bytes });
        new
    }

    pub(super) fn free(&mut self, block: Block) {
        self.acts.push(Act::Free(block));
    }

    pub(super) fn free_all(&mut self, blocks: impl IntoIterator<Item = Block>) {
        blocks.into_iter().for_each(|block| self.free(block));
    }
}

/// One process's state under a law, and what it does at a visit: by which of its threads.
pub(super) type State = Box<dyn FnMut(&mut Memory, &mut Dice, usize)>;

/// Makes the state of each process of a server.
pub(super) type Server = Box<dyn Fn() -> State>;

/// Chooses a server's parameters, where each process has so many visits.
pub(super) type Choose = fn(&mut Dice, usize) -> Server;

/// What is true of a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// It never leaks; a run shows that as it says.
    Holds(Shows),
    /// What it marks as leaked.
    Leaks,
    /// One block that grows for ever.
    Grows,
}

/// When a run shows that a law does not leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// As much was freed as is left.
    Turnover,
    /// It keeps nothing more, for so long that one in ten thousand of those that go on would do so by chance.
    Stop,
    /// Its code says so in every process.
    Says,
    /// Always.
    Always,
}

/// Where a law's code runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Where {
    /// In the requests of a label, whose others do without.
    Requests,
    /// In those that fail; the others of the label run another law at the same call site.
    Failing(Choose),
    /// On a thread that serves nobody.
    Background,
}

/// A law.
#[derive(Clone, Copy, Debug)]
pub(super) struct Law {
    pub(super) name: &'static str,
    pub(super) truth: Truth,
    pub(super) at: Where,
    pub(super) choose: Choose,
    /// One of so many threads serves a request.
    pub(super) threads: usize,
    /// Why some of its runs can't be told from the contrary.
    pub(super) exception: &'static str,
}
