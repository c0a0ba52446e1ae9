//! Which process this is: its slot in the session, claimed anew in every forked child.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use leak_wire::layout::{self, claim};

use crate::mapping::Mapping;
use crate::{kernel, python};

/// Who we are. Lies in a page of its own that the kernel wipes in a forked child, however it forks:
/// there `state` is 0 again, and nothing of the parent's is used by mistake.
#[repr(C)]
pub struct Identity {
    state: AtomicU32,
    /// The pid, as this process sees itself.
    pub pid: AtomicU32,
    /// Index of its process slot.
    pub slot: AtomicU32,
    /// Number of its image.
    pub image: AtomicU32,
    /// It was told that it begins to end: not 0.
    pub ending: AtomicU32,
}

const UNKNOWN: u32 = 0;
const BEING_CLAIMED: u32 = 1;
const KNOWN: u32 = 2;
const NONE_FREE: u32 = 3;

/// How a process came to be, as in `ProcessSlot::origin`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Origin {
    /// The first of the session.
    First = 0,
    /// Forked.
    Fork = 1,
    /// A new image.
    Exec = 2,
}

const PAGE: usize = 4096;
static IDENTITY: AtomicPtr<Identity> = AtomicPtr::new(null_mut());
/// The image that this process, or the parent that it was forked from, had last.
static LAST_IMAGE: AtomicU32 = AtomicU32::new(0);

/// Maps the page, or makes it anew for another session. Before anything else here.
pub fn prepare() -> bool {
    if let Some(identity) = identity() {
        // Relaxed, both: no session is known.
        identity.ending.store(0, Ordering::Relaxed);
        LAST_IMAGE.store(0, Ordering::Relaxed);
        // Release: as in `claim_slot`.
        identity.state.store(UNKNOWN, Ordering::Release);
        return true;
    }
    let Some(page) = kernel::map(PAGE) else {
        return false;
    };
    // SAFETY: our own fresh page; being wiped in a child is what its users expect.
    if unsafe { kernel::advise(page, PAGE, libc::MADV_WIPEONFORK) }.is_err() {
        return false;
    }
    // Release: pairs with the Acquire in `identity`.
    IDENTITY.store(page.cast(), Ordering::Release);
    true
}

fn identity() -> Option<&'static Identity> {
    // Acquire: pairs with the Release in `prepare`.
    let identity = IDENTITY.load(Ordering::Acquire);
    // SAFETY: null or the page that `prepare` mapped for ever; any bytes are valid atomics.
    unsafe { identity.as_ref() }
}

/// This process's identity if it is known already.
pub fn known() -> Option<&'static Identity> {
    // Acquire: pairs with the Release in `claim_slot`.
    identity().filter(|identity| identity.state.load(Ordering::Acquire) == KNOWN)
}

/// The number of this process's image if it is known already.
pub fn image() -> Option<u32> {
    // Relaxed: written before the state that `known` acquires.
    known().map(|identity| identity.image.load(Ordering::Relaxed))
}

/// Remembers which process this is, without a session.
pub fn remember() {
    if let Some(identity) = identity() {
        // Relaxed: compared with the own pid.
        identity.pid.store(kernel::getpid(), Ordering::Relaxed);
    }
}

/// Whether this process was remembered. A forked child is not, and a vfork child runs on its parent's memory.
pub fn is_remembered() -> Remembered {
    let pid = identity().map_or(0, |identity| identity.pid.load(Ordering::Relaxed));
    match pid {
        0 => Remembered::Not,
        pid if pid == kernel::getpid() => Remembered::This,
        _ => Remembered::Parent,
    }
}

/// See [`is_remembered`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// No process.
    Not,
    /// This one.
    This,
    /// The one that this one was vforked from.
    Parent,
}

/// Whether this is a vfork child: it runs on its parent's memory but is another process.
pub fn is_vfork_child() -> bool {
    // Relaxed: written before the state that `known` acquires. A confined process can't ask who it is.
    !kernel::is_confined()
        && known().is_some_and(|identity| identity.pid.load(Ordering::Relaxed) != kernel::getpid())
}

/// Whether this is a vfork child, or may be one.
pub fn may_be_vfork_child() -> bool {
    kernel::is_confined() || is_vfork_child()
}

/// The trace is to say of this process what `bit` means.
pub fn warn(bit: u32) {
    if let Some(session) = crate::session::current()
        && let Some(identity) = known()
        // Relaxed, both: written before the identity became known; read when the process has ended.
        && let Some(slot) = session.mapping().process(identity.slot.load(Ordering::Relaxed) as usize)
    {
        slot.warnings.fetch_or(bit, Ordering::Relaxed);
    }
}

/// This process's identity; claims a slot where it has none yet (a process that came from an unhooked
/// fork is seen here first). `start`: since when it exists, 0 for now.
pub fn claim_slot(mapping: &Mapping, origin: Origin, start: u64) -> Option<&'static Identity> {
    let identity = identity()?;
    // Acquire, both: pair with the Release below.
    let claimed = identity.state.compare_exchange(
        UNKNOWN,
        BEING_CLAIMED,
        Ordering::Acquire,
        Ordering::Acquire,
    );
    match claimed {
        Ok(_) => {}
        Err(KNOWN) => return Some(identity),
        // Another thread is at it: the caller's events come with its next call.
        Err(_) => return None,
    }
    let found = fill_slot(mapping, identity, origin, start);
    let state = if found { KNOWN } else { NONE_FREE };
    // Release: pairs with the Acquires above and in `known`.
    identity.state.store(state, Ordering::Release);
    found.then_some(identity)
}

fn fill_slot(mapping: &Mapping, identity: &Identity, origin: Origin, start: u64) -> bool {
    let header = mapping.header();
    let pid = kernel::getpid();
    // Relaxed, all: counters, and values that the claim's Release publishes.
    let image = header.next_image.fetch_add(1, Ordering::Relaxed);
    let parent = LAST_IMAGE.swap(image, Ordering::Relaxed);
    for offset in 0..layout::PROCESS_SLOTS {
        let index = (image as usize + offset) % layout::PROCESS_SLOTS;
        let Some(slot) = mapping.process(index) else {
            break;
        };
        let seen = slot.claim.load(Ordering::Relaxed);
        if !matches!(claim::state(seen), claim::ABSENT | claim::FREE) {
            continue;
        }
        // Acquire: pairs with the recorder's Release that made it free.
        let taken = slot.claim.compare_exchange(
            seen,
            claim::pack(claim::CLAIMED, pid),
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        if taken.is_err() {
            continue;
        }
        let start = if start == 0 {
            crate::order::stamp(header)
        } else {
            start
        };
        slot.origin.store(origin as u32, Ordering::Relaxed);
        slot.start.store(start, Ordering::Relaxed);
        slot.image.store(image, Ordering::Relaxed);
        slot.exit.store(0, Ordering::Relaxed);
        slot.parent_image.store(parent, Ordering::Relaxed);
        slot.warnings.store(0, Ordering::Relaxed);
        slot.python_runtime.store(0, Ordering::Relaxed);
        slot.reading.store(0, Ordering::Relaxed);
        slot.python_type.store(0, Ordering::Relaxed);
        slot.python_version.store(0, Ordering::Relaxed);
        python::describe(slot);
        identity.pid.store(pid, Ordering::Relaxed);
        identity.slot.store(index as u32, Ordering::Relaxed);
        identity.image.store(image, Ordering::Relaxed);
        // Of each process, and not inherited by fork: the recorder reads the types of blocks.
        // Relaxed: the recorder's number, written before the session.
        kernel::let_read(header.recorder_pid.load(Ordering::Relaxed));
        // Release: pairs with the recorder's Acquire of the claim.
        slot.claim
            .store(claim::pack(claim::LIVE, pid), Ordering::Release);
        mapping.ring_doorbell();
        return true;
    }
    header.slotless_processes.fetch_add(1, Ordering::Relaxed);
    false
}

/// Remembers the image that this one came from (told by `LEAK_SESSION`).
pub fn came_from(image: u32) {
    // Relaxed: read by the claim that follows on this thread.
    LAST_IMAGE.store(image, Ordering::Relaxed);
}
