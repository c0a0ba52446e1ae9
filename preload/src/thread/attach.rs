//! A thread gets a lane once it has something to record, and what is counted where it has none.

use core::sync::atomic::Ordering;

use leak_wire::Event;

use super::states::own;
use super::{Thread, end, state, tracing};
use crate::lane::Kind;
use crate::session::start;
use crate::{alternate_stack, kernel, session};

/// The state of a thread that is not ready as it is, see [`current`].
#[inline(never)]
pub(super) fn not_open() -> Option<&'static Thread> {
    match state() {
        // What the allocator of a call that pauses asks for is met at each such call.
        Some(thread) if thread.is_in_pause() => None,
        _ => attach(),
    }
}

#[cold]
#[inline(never)]
fn attach() -> Option<&'static Thread> {
    if !tracing() && !session::is_wanted() || kernel::is_confined() {
        return None;
    }
    if let Some(thread) = state() {
        if thread.paused_at.get() != 0 {
            return thread.left_its_pause().then_some(thread);
        }
        let is_same = thread.asked_in.get() == session::serial();
        if is_same && thread.laneless.get() % TRY_AGAIN != 0 {
            return thread.goes_without_lane();
        }
    }
    let held = kernel::SignalsHeld::new();
    let thread = own()?;
    alternate_stack::run_held(&held, thread, || open_lane(thread))
}

/// A thread without a lane asks for one at every so manieth event.
const TRY_AGAIN: u32 = 256;

/// Gives the calling thread, which holds its signals back, a lane.
fn open_lane(thread: &'static Thread) -> Option<&'static Thread> {
    let session = start::ensure()?;
    let serial = session::serial();
    thread.asked_in.set(serial);
    if thread.writer.is_open() && thread.writer.serial() == serial {
        return Some(thread);
    }
    // One of an earlier session, which nobody reads any more.
    thread.writer.close();
    let identity = session.identity(thread.kept().fork_stamp.replace(0))?;
    let Some(lane) = session.claim_lane(identity, thread.owner.load(Ordering::Relaxed)) else {
        return thread.goes_without_lane();
    };
    thread.laneless.set(0);
    // Relaxed: the recorder's setting, made before the session.
    let depth = session.header().depth.load(Ordering::Relaxed);
    thread.kept().depth.set(depth);
    // SAFETY: without a lane this thread has no capture under way.
    unsafe { (*thread.kept().unwinder.get()).reset() };
    thread.kept().tasks.begin();
    thread.waits_from.set(0);
    thread.queue_from.set(0);
    end::arm();
    thread.writer.open(lane, thread.kept().bounds.get(), serial);
    if thread.kept().created.take() {
        thread.record(Event::ThreadCreated {
            thread: thread.number(),
        });
    }
    Some(thread)
}

impl Thread {
    /// One event more finds no lane.
    fn goes_without_lane(&self) -> Option<&'static Thread> {
        self.laneless.set(self.laneless.get().wrapping_add(1));
        None
    }
}

/// Counts an event that was not recorded because [`current`] gives nobody to do it, if the calling thread is to be
/// traced and only has no lane.
#[cold]
#[inline(never)]
pub fn count_lost(kind: Kind) {
    if let Some(thread) = state()
        && !thread.writer.is_open()
        && thread.paused_at.get() == 0
        // What came just before a session began is no loss of its.
        && thread.asked_in.get() == session::serial()
        && let Some(session) = session::current()
    {
        let header = session.header();
        let counter = match kind {
            Kind::Allocation => &header.laneless_allocations,
            Kind::Free => &header.laneless_frees,
            Kind::Fact => &header.laneless_facts,
        };
        // Relaxed: a counter.
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
