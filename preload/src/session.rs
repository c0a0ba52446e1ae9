//! What all threads of this process share while it is traced, and whether it is.

mod end;
mod fork;
mod lanes;
mod load;
pub mod start;

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use leak_wire::detour::Brings;
use leak_wire::layout::{self, SessionHeader};

pub use end::{cant_follow, recorder_gone, stop};
pub use fork::{after_fork, before_fork, in_forked_child};
pub use lanes::lane_is_gone;

use crate::mapping::Mapping;
use crate::process::{Identity, Origin, Remembered};
use crate::{arena, environment, kernel, process, python, window};

const UNSTARTED: u32 = 0;
const STARTING: u32 = 1;
const TRACING: u32 = 2;
/// Nothing is traced, for good.
const INERT: u32 = 3;
/// Nothing is traced until recording is wanted, see [`window`].
const OFF: u32 = 4;
/// A session is taken leave of.
const ENDING: u32 = 5;

static STATE: AtomicU32 = AtomicU32::new(UNSTARTED);
static MAPPED: AtomicUsize = AtomicUsize::new(0);
/// The number of the process's session; it changes when one ends. 1 saw the program from its start.
static SERIAL: AtomicU32 = AtomicU32::new(1);

/// What all threads of this process share.
pub struct Session {
    mapping: Mapping,
    /// The name of the recorder's abstract socket.
    name: Name,
    /// What the recorder has found in the executable.
    brings: Brings,
    serial: u32,
}

/// A session's name.
pub type Name = [u8; layout::SESSION_PREFIX.len() + 32];

/// This process is not traced; the user was told if he must know.
#[derive(Debug)]
pub struct Refused;

/// The session, null before there is one. Those of before stay: a thread may be in a call that began then.
static SESSION: AtomicPtr<Session> = AtomicPtr::new(null_mut());
/// Where the next one is put.
static ROOM: Room = Room(UnsafeCell::new((null_mut(), 0)));

struct Room(UnsafeCell<(*mut Session, usize)>);

// SAFETY: reached only by the thread that starts a session.
unsafe impl Sync for Room {}

/// Sessions in memory that is mapped at once.
const SESSIONS: usize = 32;

/// Puts a session where it stays.
fn place(session: Session) -> Result<(), Refused> {
    // SAFETY: see `Room`.
    let (next, left) = unsafe { &mut *ROOM.0.get() };
    if *left == 0 {
        let memory = kernel::map(SESSIONS * size_of::<Session>()).ok_or(Refused)?;
        (*next, *left) = (memory.cast(), SESSIONS);
    }
    // SAFETY: mapped for ever, aligned to a page and long enough for what is left of it; nobody else knows the place.
    unsafe { next.write(session) };
    // Release: pairs with the Acquire in `current`.
    SESSION.store(*next, Ordering::Release);
    *next = next.wrapping_add(1);
    *left -= 1;
    Ok(())
}

/// Whether events are recorded.
#[inline(always)]
pub fn is_tracing() -> bool {
    // Relaxed: whoever goes on to use the session reads STATE again, with Acquire.
    STATE.load(Ordering::Relaxed) == TRACING
}

/// The number of the process's session: a lane of another one is none.
#[inline(always)]
pub fn serial() -> u32 {
    // Relaxed: as in `is_tracing`.
    SERIAL.load(Ordering::Relaxed)
}

/// The same while events are recorded; 0: they are not.
#[inline(always)]
pub fn traced() -> u32 {
    if is_tracing() { serial() } else { 0 }
}

/// How many addresses are taken for the session, and for those before; 0: there was none.
pub fn mapped_bytes() -> usize {
    // Relaxed: a number by itself.
    MAPPED.load(Ordering::Relaxed) + arena::bytes()
}

/// Whether nobody has tried to start yet.
#[inline(always)]
pub fn is_unstarted() -> bool {
    STATE.load(Ordering::Relaxed) == UNSTARTED
}

/// Whether recording is to begin in a process that has run for a while.
#[inline(never)]
pub fn is_wanted() -> bool {
    if !window::is_wanted() {
        return false;
    }
    match STATE.load(Ordering::Relaxed) {
        OFF => is_own_wish(),
        INERT => {
            window::failed();
            window::shut();
            false
        }
        _ => false,
    }
}

/// Whether it is this process that was told, and not the one that it was forked from: that may have had no time to see
/// it.
fn is_own_wish() -> bool {
    match process::is_remembered() {
        Remembered::This => true,
        Remembered::Not => {
            process::remember();
            window::shut_wish();
            false
        }
        Remembered::Parent => false,
    }
}

/// The session, while events are recorded.
pub fn current() -> Option<&'static Session> {
    // Acquire: pairs with the Release in `start`.
    if STATE.load(Ordering::Acquire) != TRACING {
        return None;
    }
    // Acquire: pairs with the Release in `place`.
    // SAFETY: null, or a session that stays.
    unsafe { SESSION.load(Ordering::Acquire).as_ref() }
}

fn turn(state: u32) {
    // Release: pairs with the Acquires in `start`, `start_late` and `current`.
    STATE.store(state, Ordering::Release);
}

/// An interpreter came after the start: the recorder is told.
pub fn has_python() {
    if let Some(session) = current()
        && let Some(identity) = process::known()
        // Relaxed: written before the identity became known.
        && let Some(slot) = session.mapping.process(identity.slot.load(Ordering::Relaxed) as usize)
    {
        python::describe(slot);
    }
}

impl Session {
    /// The shared header.
    pub fn header(&self) -> &'static SessionHeader {
        self.mapping.header()
    }

    /// The mapping.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Who this process is; in a child that was just forked, claimed now.
    pub fn identity(&self, fork_stamp: u64) -> Option<&'static Identity> {
        if let Some(identity) = process::known() {
            return Some(identity);
        }
        if !self.follows() {
            STATE.store(INERT, Ordering::Relaxed);
            return None;
        }
        let identity = process::claim_slot(&self.mapping, Origin::Fork, fork_stamp)?;
        // Relaxed: written before the identity became known.
        environment::renumber(&self.name, identity.image.load(Ordering::Relaxed));
        Some(identity)
    }

    /// Whether children are traced.
    fn follows(&self) -> bool {
        // Relaxed: the recorder's setting, made before the session.
        self.header().follow.load(Ordering::Relaxed) != 0
    }
}
