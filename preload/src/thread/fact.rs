//! Records what is no block: facts of connections, waits and tasks.

use core::cell::Cell;

use leak_wire::{Event, Wait};

use super::attach::count_lost;
use super::task::{Polled, Tasks};
use super::{Thread, current, state};
use crate::lane::Kind;
use crate::{alternate_stack, python, sample, window};

/// Writes `event` to this thread's lane, with its stamp. Does nothing when not tracing; leaves errno
/// alone; may be called in a signal handler that interrupted this very function.
#[inline(never)]
pub fn record(event: Event<'_>) {
    if window::is_shut() && (window::is_off() || !window::begins_by_itself()) {
        return;
    }
    let Some(thread) = current() else {
        return count_lost(Kind::of(&event));
    };
    match python::is_present() {
        true => record_with_python(thread, event),
        false => thread.record_any(event),
    }
}

/// A runtime polls `task` on the calling thread from here on, in a call at this place of the stack; what it polled before.
pub fn begins_poll(task: u64, at: usize) -> Polled {
    turns(|tasks| tasks.begins_poll(task, at))
}

/// That call is over.
pub fn ends_poll(before: Polled) {
    turns(|tasks| tasks.ends_poll(before));
}

/// The thread turns to another task, which is known also while nothing is recorded.
#[inline(always)]
fn turns<R: Default>(to: impl Fn(&Tasks) -> R) -> R {
    let Some(thread) = current() else {
        return state().map_or_else(R::default, |thread| to(&thread.kept().tasks));
    };
    let tasks = &thread.kept().tasks;
    let before = to(tasks);
    if let Some(told) = tasks.runs(0, &mut |event| thread.writer.write(event)) {
        sample::watch_task(told);
    }
    before
}

#[inline(never)]
fn record_with_python(thread: &Thread, mut event: Event<'_>) {
    python::collector::look(|runs| thread.record_any(runs));
    if by_whom_matters(&event) {
        // What was done before is told before; a new task looks for itself.
        python::look(thread);
        thread.tell_task(python::task());
    }
    let requests = answered(&event);
    thread.record_any(event);
    if requests > 0 && python::collector::answered(thread, requests) {
        event = Event::CollectionAsked;
        thread.record_any(event);
    }
}

/// How many requests the event answers or ends.
fn answered(event: &Event<'_>) -> u32 {
    match event {
        Event::Answer { count, .. } => *count,
        Event::MarkEnd | Event::Mark { .. } => 1,
        _ => 0,
    }
}

/// Whether it matters which task of an event loop did it.
fn by_whom_matters(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Enter { .. }
            | Event::Transferred { .. }
            | Event::MarkBegin { .. }
            | Event::MarkEnd
            | Event::ThreadCreate { .. }
    )
}

impl Thread {
    /// The same where the kind is not known.
    fn record_any(&self, event: Event<'_>) {
        match event {
            Event::Enter { wait, .. } => self.record_wait(wait, event),
            _ => {
                self.writer.write_any(event);
            }
        }
    }

    pub(super) fn record_wait(&self, wait: Wait, event: Event<'_>) {
        // After a wait, a queue's lock tells nothing more.
        let told = match wait {
            Wait::Write | Wait::Notify | Wait::NotifyAll => None,
            // Nothing was done since the last wait: no job is over.
            Wait::Wake if self.repeats(&self.waits_from) => return,
            Wait::Wake => None,
            Wait::Queue if self.repeats(&self.waits_from) => return,
            Wait::Queue => Some(&self.queue_from),
            _ => Some(&self.waits_from),
        };
        let anew = wait == Wait::Lock && self.woken.take();
        if !anew && told.is_some_and(|from| self.repeats(from)) {
            return;
        }
        if self.writer.write_any(event)
            && let Some(from) = told
        {
            from.set(self.writer.position().unwrap_or(0));
        }
    }

    /// Whether nothing came since the lane ended there.
    fn repeats(&self, from: &Cell<u64>) -> bool {
        let from = from.get();
        from != 0 && self.writer.position() == Some(from)
    }

    /// Tells that the thread runs this task of an event loop, 0: none, if it is another than before.
    #[cold]
    fn tell_task(&self, task: u64) {
        let tasks = &self.kept().tasks;
        if !tasks.last_ran(task) {
            alternate_stack::run(|| {
                if let Some(told) = tasks.runs(task, &mut |event| self.writer.write_any(event)) {
                    sample::watch_task(told);
                }
            });
        }
    }

    /// The thread was woken from a wait for another one.
    #[inline(always)]
    pub fn has_woken(&self) {
        self.woken.set(true);
    }

    /// Writes a fact to the lane; whether it is there.
    pub fn write(&self, fact: Event<'_>) -> bool {
        self.writer.write_any(fact)
    }
}
