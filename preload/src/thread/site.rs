//! The call site of what the thread records: its backtrace, and the Python stack that led to it.

use leak_wire::{Asked, Event};

use super::Thread;
use crate::unwind::Caller;
use crate::{python, unwind};

impl Thread {
    /// The call site, with the nodes that are new written before.
    #[inline(never)]
    pub(super) fn site(&self, caller: Caller) -> u32 {
        // A new call site is told with signals held.
        self.await_room();
        let kept = self.kept();
        // SAFETY: only this thread and its handlers use the state; the hook's frame is live.
        unsafe {
            unwind::State::capture(
                kept.unwinder.get(),
                caller,
                kept.bounds.get(),
                kept.depth.get(),
                |event| self.writer.write_any(event),
            )
        }
    }

    /// The call site with the Python stack that led to it. For the interpreter's own blocks the whole native backtrace
    /// is seldom needed.
    #[inline(always)]
    pub(super) fn python_site(&self, caller: Caller, asked: Asked) -> u32 {
        let found = match asked {
            Asked::Interpreter => self.site_in_tree(caller, None, asked),
            Asked::Native => Ok(None),
        };
        if let Ok(Some(site)) = found {
            return site;
        }
        self.site_with_backtrace(caller, asked, found.is_err())
    }

    /// The same with the native backtrace; once more with a new tree if the old one is full, as `is_full` says that
    /// it is.
    #[inline(never)]
    fn site_with_backtrace(&self, caller: Caller, asked: Asked, is_full: bool) -> u32 {
        if is_full {
            return self.site_in_new_tree(caller, asked);
        }
        let native = self.site(caller);
        match self.site_in_tree(caller, Some(native), asked) {
            Ok(site) => site.unwrap_or(native),
            Err(python::Full) => self.site_in_new_tree(caller, asked),
        }
    }

    /// The call site whose native backtrace is `native`, where that is known. `None`: it has to be known.
    #[inline(never)]
    fn site_in_tree(
        &self,
        caller: Caller,
        native: Option<u32>,
        asked: Asked,
    ) -> Result<Option<u32>, python::Full> {
        let kept = self.kept();
        // SAFETY: only this thread and its handlers use the state.
        let found = unsafe {
            unwind::State::with_nodes(kept.unwinder.get(), caller, kept.bounds.get(), |nodes| {
                let mut tell = |event: Event<'_>| self.writer.tell(event);
                let depth = kept.depth.get();
                // The stacks are this thread's, and only reached through its nodes.
                python::site(
                    (&kept.stacks, &kept.tasks),
                    nodes,
                    depth,
                    native,
                    asked,
                    || kept.has_plenty(caller.sp),
                    &mut tell,
                )
            })
        };
        found.unwrap_or(Ok(native))
    }

    #[cold]
    #[inline(never)]
    fn site_in_new_tree(&self, caller: Caller, asked: Asked) -> u32 {
        // SAFETY: no capture is under way.
        unsafe { (*self.kept().unwinder.get()).distrust() };
        let native = self.site(caller);
        let site = self.site_in_tree(caller, Some(native), asked);
        site.ok().flatten().unwrap_or(native)
    }
}
