//! The end of a process that goes on its own: told when it begins and when it is over, and drained before
//! the process is gone.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use leak_wire::Event;
use leak_wire::layout::{LaneHeader, ProcessSlot, claim, reading};

use crate::session::Session;
use crate::{bypass, connections, kernel, process, session, thread};

/// How long an exit waits for the recorder at most.
const PATIENCE_NS: u64 = 10_000_000_000;
/// The same, without a sign of life.
const SILENCE_NS: u64 = 2_000_000_000;
/// A recorder without progress for so long is asked for.
const SUSPICION_NS: u64 = 50_000_000;
/// The recorder's progress, plus one, at which it was waited for in vain: as long as it stands there nobody waits
/// again.
static STANDS_AT: AtomicU64 = AtomicU64::new(0);
/// How long between two looks at first, and at most. The recorder wakes who waits: they are for what it can't tell, and
/// where a thousand processes end at once, each of their looks takes time from it.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(64));

// SAFETY: as glibc's <stdlib.h> declares it.
unsafe extern "C" {
    fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

/// Asks to be called at `exit`, after everything that is asked later: destructors, too.
pub fn prepare() {
    // SAFETY: the handler stays loaded: a preloaded library is never unloaded.
    unsafe { on_exit(at_exit, core::ptr::null_mut()) };
}

/// A session begins: its recorder was never waited for in vain.
pub fn begin_anew() {
    // Relaxed: a word by itself.
    STANDS_AT.store(0, Ordering::Relaxed);
}

extern "C" fn at_exit(status: c_int, _argument: *mut c_void) {
    ends(status);
}

/// Tells that the program begins to end by itself, while what it made is still there, and gives the recorder the
/// time to read what that is. The first call in a process is the one that counts.
pub fn begins() {
    if tell_begin() {
        rest();
    }
}

/// Tells that this process begins to end and ends with `status`, with nothing in between.
pub fn at_once(status: c_int) {
    tell_begin();
    ends(status);
}

/// Whether the begin was to be told.
fn tell_begin() -> bool {
    if session::current().is_none() || process::is_vfork_child() {
        return false;
    }
    // A forked child without an identity gets one with its lane.
    thread::current();
    // Relaxed: a word by itself.
    let first = |identity: &process::Identity| identity.ending.swap(1, Ordering::Relaxed) == 0;
    let first = process::known().is_some_and(first);
    if first {
        thread::record(Event::ExitBegins);
        bypass::at_end();
    }
    first
}

/// Tells that this process ends with `status`, and gives the recorder the time to see it all.
fn ends(status: c_int) {
    let Some(session) = session::current() else {
        return;
    };
    // A vfork child that ends is not its parent. A forked child without an identity gets one now.
    if process::is_vfork_child() {
        return;
    }
    connections::process_ends();
    let code = status as u32 & 0xff;
    thread::record(Event::Exit { code });
    if let Some(identity) = process::known()
        // Relaxed, both: written before the identity became known.
        && let Some(slot) = session.mapping().process(identity.slot.load(Ordering::Relaxed) as usize)
    {
        // Release: pairs with the recorder's Acquire when the process is gone.
        slot.exit.store(code + 1, Ordering::Release);
    }
    rest();
}

/// Gives the recorder the time to see everything and to read what it is.
fn rest() {
    if let Some(session) = session::current()
        && let Some(identity) = process::known()
        && !process::is_vfork_child()
        // Relaxed, all: words by themselves, and what was written before the identity became known.
        && session.header().progress.load(Ordering::Relaxed).wrapping_add(1) != STANDS_AT.load(Ordering::Relaxed)
        && let Some(slot) = session.mapping().process(identity.slot.load(Ordering::Relaxed) as usize)
    {
        await_recorder(session, slot, identity.image.load(Ordering::Relaxed));
    }
}

/// Waits, bounded, until the recorder has seen everything and read the types of what is live.
fn await_recorder(session: &Session, slot: &ProcessSlot, image: u32) {
    let mut patience = Patience::start();
    if !drain(session, image, &mut patience) {
        return leave(slot, reading::NONE);
    }
    // Release: pairs with the recorder's Acquire: the lanes are drained. Who was left once is not waited for
    // again: what there was to read may be gone.
    let asked = slot.reading.compare_exchange(
        reading::NONE,
        reading::WANTED,
        Ordering::Release,
        Ordering::Relaxed,
    );
    if asked.is_err() {
        return;
    }
    session.mapping().ring_doorbell();
    // Acquire: pairs with the recorder's Release; it reads no more.
    while slot.reading.load(Ordering::Acquire) == reading::WANTED {
        if !patience.lasts(session) {
            return leave(slot, reading::WANTED);
        }
        kernel::futex_wait(&slot.reading, reading::WANTED, patience.pause());
    }
}

/// Tells the recorder that nobody waits any more, unless it is done meanwhile (`state` has changed then).
fn leave(slot: &ProcessSlot, state: u32) {
    // Release: pairs with the recorder's Acquire: what is freed from here on comes later. Nothing is read here
    // where it fails.
    let _ =
        slot.reading
            .compare_exchange(state, reading::LEFT, Ordering::Release, Ordering::Relaxed);
}

/// Waits until the lanes of `image` are drained; whether they are.
fn drain(session: &Session, image: u32, patience: &mut Patience) -> bool {
    for lane in session.mapping().ready_lanes() {
        while is_behind(lane, image) {
            session.mapping().ring_doorbell();
            // Relaxed: a futex, compared again by the kernel.
            let seen = lane.room.load(Ordering::Relaxed);
            lane.waiting.store(1, Ordering::SeqCst);
            // SeqCst, with the store above: pairs with the recorder's fence, as in `wait_for_room`.
            if is_behind(lane, image) {
                kernel::futex_wait(&lane.room, seen, patience.pause());
            }
            if !patience.lasts(session) {
                return false;
            }
        }
    }
    true
}

/// How long an exit goes on waiting: while the recorder makes progress, and not for ever.
struct Patience {
    start: u64,
    progress: u64,
    moved_at: u64,
    suspicion: u64,
    pause: Duration,
}

impl Patience {
    fn start() -> Patience {
        let start = kernel::now_ns();
        Patience {
            start,
            progress: 0,
            moved_at: start,
            suspicion: SUSPICION_NS,
            pause: LOOK.0,
        }
    }

    /// How long until the next look.
    fn pause(&mut self) -> Duration {
        let next = (self.pause * 2).min(LOOK.1);
        core::mem::replace(&mut self.pause, next)
    }

    fn lasts(&mut self, session: &Session) -> bool {
        let (header, now) = (session.header(), kernel::now_ns());
        // Relaxed, both: words by themselves.
        let current = header.progress.load(Ordering::Relaxed);
        if current != self.progress {
            (self.progress, self.moved_at) = (current, now);
            self.suspicion = SUSPICION_NS;
        }
        if now - self.moved_at > self.suspicion {
            if session::recorder_gone() {
                return false;
            }
            self.suspicion *= 2;
        }
        let is_silent = now - self.moved_at > SILENCE_NS;
        if is_silent {
            // Relaxed: a word by itself.
            STANDS_AT.store(current.wrapping_add(1), Ordering::Relaxed);
        }
        !is_silent && now - self.start <= PATIENCE_NS && header.stopped.load(Ordering::Relaxed) == 0
    }
}

fn is_behind(lane: &LaneHeader, image: u32) -> bool {
    // Acquire: pairs with the claimer's Release: the image is that of this claim.
    let state = claim::state(lane.claim.load(Ordering::Acquire));
    matches!(state, claim::LIVE | claim::GONE)
        && lane.image.load(Ordering::Relaxed) == image
        // SeqCst: as in `wait_for_room`.
        && lane.tail.load(Ordering::SeqCst) < lane.head.load(Ordering::Relaxed)
}
