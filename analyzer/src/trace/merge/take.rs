//! What is at a thread's turn: nodes of the call-site tree are taken in, events are handed on.

use leak_wire::{Backing, Event};

use super::super::open::Error;
use super::super::turns::Turn as ShardTurn;
use super::super::{Passed, Step, ThreadId, What, resolve};
use super::{CHUNKS, Steps};

impl Steps<'_> {
    /// Whether the event that `thread` stands at only tells of call sites; then it is taken in.
    pub(super) fn resolves(&mut self, stamp: u64, thread: ThreadId) -> Result<bool, Error> {
        let (trace, index) = (self.trace, thread as usize);
        let Some(open) = self.open.get_mut(index).and_then(Option::as_deref_mut) else {
            return Ok(true);
        };
        let malformed = || Error::Malformed(trace.path.clone(), open.chunk_at);
        let Some(reader) = open.reader.as_mut() else {
            return Ok(true);
        };
        if open.passed.is_some() || !reader.resolves() {
            return Ok(false);
        }
        let process = open.process;
        match reader.event(&open.raw).map_err(|_| malformed())? {
            Event::Frame {
                id,
                parent,
                address,
            } => {
                let node = (id, parent, address);
                open.tree.frame(self.sites, &self.modules, process, node);
            }
            Event::TreeReset => open.tree.reset(),
            Event::ModuleLoaded {
                start,
                end,
                bias,
                path,
            } => {
                let path: Vec<u8> = path.iter().collect();
                let id = resolve::module(self.sites, &trace.build_ids, &path, stamp);
                self.modules.load(process, (start, end), bias, (id, &path));
            }
            Event::ModuleUnloaded { start } => self.modules.unload(process, start),
            Event::PythonFrame {
                id,
                parent,
                code,
                instruction,
            } => {
                let (node, at) = ((id, parent), (code, instruction));
                let (sites, codes) = (&mut *self.sites, &mut self.codes);
                open.tree.python_frame(sites, codes, process, node, at);
            }
            Event::Pair {
                id,
                native,
                python,
                asked,
            } => open.tree.pair(self.sites, id, (native, python), asked),
            Event::PythonCode {
                code,
                first_line,
                version,
                text,
            } => self
                .codes
                .code(self.sites, process, code, first_line, version, text),
            Event::PythonLines {
                code,
                offset,
                bytes,
            } => self.codes.lines(process, code, offset, bytes),
            _ => {}
        }
        Ok(true)
    }

    #[inline]
    pub(super) fn event(&mut self, stamp: u64, thread: ThreadId) -> Result<Step<'_>, Error> {
        let index = thread as usize;
        let path = &self.trace.path;
        let open = self.open.get_mut(index).and_then(Option::as_deref_mut);
        let failed = &mut self.failed;
        let mut malformed = |at| {
            *failed = true;
            Error::Malformed(path.clone(), at)
        };
        let open = open.ok_or_else(|| malformed(0))?;
        let process = open.process;
        if let Some(mut passed) = open.passed {
            if let Passed::Blocks { site, .. } = &mut passed {
                *site = open.tree.site(*site);
            }
            return Ok(Step {
                stamp,
                process,
                thread,
                what: What::Passed(passed),
            });
        }
        let (at, raw) = (open.chunk_at, &open.raw);
        let reader = open.reader.as_mut().ok_or_else(|| malformed(at))?;
        let mut event = reader.event(raw).map_err(|_| malformed(at))?;
        if let Event::Allocation { site, .. } | Event::ReallocationEnd { site, .. } = &mut event {
            *site = open.tree.site(*site);
        }
        if let Event::Mapped {
            size,
            site,
            backing: backing @ Backing::Private,
            ..
        } = &mut event
            && CHUNKS.contains(size)
            && size.is_power_of_two()
            && self.sites.is_interpreters(open.tree.site(*site))
        {
            *backing = Backing::Reserved;
        }
        if let Event::Mapped { site, .. } | Event::ThreadStack { site, .. } = &mut event {
            *site = self.sites.mapped(open.tree.site(*site));
        }
        let what = match event {
            Event::FreeLists { changes } => What::FreeLists {
                changes,
                sites: self.sites.free_lists(),
            },
            event => What::Event(event),
        };
        Ok(Step {
            stamp,
            process,
            thread,
            what,
        })
    }

    /// Takes in the turns that nobody has which `thread` came past.
    pub(super) fn skip(&mut self, thread: ThreadId) {
        let open = self.open.get_mut(thread as usize);
        let Some(open) = open.and_then(Option::as_deref_mut) else {
            return;
        };
        let process = open.process;
        for (shard, number) in std::mem::take(&mut open.skipped) {
            let turn = ShardTurn {
                process,
                shard,
                number,
            };
            let woken = self.turns.skip(turn);
            self.resume(woken);
        }
    }
}
