//! Which descriptors are accepted connections, and what is known of each.
//!
//! - A table by descriptor, so that every other descriptor costs one load and one comparison.
//!   Descriptors past its end are never watched.
//! - The table and the states are this process's own memory: a forked child inherits the connections
//!   that its parent accepted. A vfork child runs on its parent's table and never changes it.
//! - A connection is closed when the last of its descriptors is. One that is closed where no hook
//!   sees it (a raw system call, io_uring) stays in the table until its number is accepted,
//!   duplicated or closed again; if that number becomes a file in between, what is read from it is
//!   taken for the connection's: a request that never was, in a program that is rarely met.
//! - What one call transferred is recorded first, then the facts that its bytes hold.
//! - A state is changed under a lock that is waited for a bounded time only. Two threads whose reads
//!   (or writes) of one connection overlap give up its framing: the order of their bytes is unknown.

mod call;
mod channels;
mod headers;
mod local;
pub mod secure;
mod slot;

use core::sync::atomic::{AtomicU32, Ordering};

use leak_wire::{Bytes, Event, Wait};

#[cfg(not(test))]
pub use call::Call;
pub use slot::Watched;

use crate::table::Table;
use crate::{alternate_stack, kernel, process, session, thread, window};
use local::{LOCAL_MAX, Listening, local_end};

const DESCRIPTORS: usize = 1 << 20;
/// In the table: a call closes the descriptor, which may fail. Meanwhile it is not watched.
const CLOSING: u32 = 1 << 31;

/// For each descriptor: 0, or the place of its connection's slot. Pages of it that are never touched
/// take no memory.
// SAFETY: zeros are valid atomics.
static TABLE: Table<[AtomicU32; DESCRIPTORS]> = unsafe { Table::new() };
/// The number of the session that the table is of. The first one saw the program from its start.
static TABLE_OF: AtomicU32 = AtomicU32::new(1);
/// Past the highest descriptor that was ever watched.
static PAST_HIGHEST: AtomicU32 = AtomicU32::new(0);

/// The connection of a descriptor, if it is one whose raw bytes are looked at.
#[inline(always)]
pub fn watched(descriptor: i32) -> Option<Watched> {
    // Relaxed: a thread that has just secured it reads its own store.
    any(descriptor).filter(|watched| watched.slot.secured.load(Ordering::Relaxed) == 0)
}

/// The connection of a descriptor that is about to be read, if its raw bytes are looked at.
#[inline(always)]
pub fn watched_read(descriptor: i32) -> Option<Watched> {
    watched(descriptor).filter(|watched| !secure::reads_for_object(*watched))
}

/// The connection of a descriptor, if it is watched, whose plain text is handed over from now on: its
/// raw bytes are not looked at any more.
pub fn secured(descriptor: i32) -> Option<Watched> {
    let watched = any(descriptor)?;
    secure(watched);
    Some(watched)
}

fn secure(watched: Watched) {
    let slot = watched.slot;
    // Relaxed, both: see `watched`, and a thread that misses `opaque` asks the state itself.
    if slot.secured.swap(1, Ordering::Relaxed) == 0 {
        watched.with_state(|connection, _| connection.secured());
        slot.opaque.store(0, Ordering::Relaxed);
    }
}

#[inline(always)]
fn any(descriptor: i32) -> Option<Watched> {
    match place(descriptor) {
        0 => None,
        place => slot::find(place),
    }
}

#[inline(always)]
fn entry(descriptor: i32) -> Option<&'static AtomicU32> {
    TABLE.get()?.get(usize::try_from(descriptor).ok()?)
}

#[inline(always)]
fn place(descriptor: i32) -> u32 {
    if !is_current() {
        return 0;
    }
    // Relaxed: whoever hands a descriptor to another thread orders what belongs to it.
    entry(descriptor).map_or(0, |entry| entry.load(Ordering::Relaxed))
}

/// Whether the table is that of the session, or was made so.
#[inline(always)]
fn is_current() -> bool {
    if window::is_off() {
        return false;
    }
    // Relaxed: see `renew`.
    TABLE_OF.load(Ordering::Relaxed) == session::serial() || renew()
}

/// A listening socket gave the connection `descriptor`.
pub fn accepted(descriptor: i32) {
    if is_current() {
        begin(descriptor, false);
    }
}

/// Watches the connection `descriptor`; `resumed`: it was accepted some time ago.
fn begin(descriptor: i32, resumed: bool) {
    let mut text = [0; LOCAL_MAX];
    let (Some(_), Some(session)) = (TABLE.needed(), session::current()) else {
        return;
    };
    let Some(entry) = entry(descriptor) else {
        return;
    };
    if process::is_vfork_child() {
        return;
    }
    forget(descriptor);
    channels::remove(descriptor);
    let Some(local) = local_end(descriptor, &mut text) else {
        return;
    };
    // Relaxed: a counter.
    let next = &session.header().next_connection;
    let number = next.fetch_add(1, Ordering::Relaxed);
    let Some(watched) = slot::take(number, resumed) else {
        return;
    };
    thread::record(Event::Accept {
        connection: number,
        local: Bytes::Slice(local),
    });
    watch(descriptor, entry, watched.place);
}

/// The session is another one than that of which the table is: whatever is known of descriptors is old, and those that
/// are accepted connections are watched from here on, as if they had come just now. Such is a stream socket that has the
/// same local end as one that listens, or, of Unix sockets, any that has a name. Whether there is a session at all.
#[cold]
#[inline(never)]
fn renew() -> bool {
    if !session::is_tracing() || process::is_vfork_child() {
        return false;
    }
    let serial = session::serial();
    // Relaxed: one thread renews the table; what another one does meanwhile is not seen.
    if TABLE_OF.swap(serial, Ordering::Relaxed) != serial {
        alternate_stack::run(adopt);
    }
    true
}

fn adopt() {
    // Relaxed: as in `place`.
    for descriptor in 0..PAST_HIGHEST.load(Ordering::Relaxed) {
        forget_silently(descriptor as i32);
    }
    let mut listening = Listening::new();
    each_descriptor(&mut |descriptor| listening.look(descriptor));
    each_descriptor(&mut |descriptor| {
        if listening.gave(descriptor) {
            begin(descriptor, true);
        }
    });
    // What this thread goes on with is none of these connections' because of that.
    enter(Wait::Poll);
}

fn each_descriptor(work: &mut dyn FnMut(i32)) {
    kernel::for_each_entry(c"/proc/self/fd", |name| {
        let number = core::str::from_utf8(name).ok();
        if let Some(descriptor) = number.and_then(|number| number.parse().ok()) {
            work(descriptor);
        }
    });
}

/// As [`forget`], without a word.
fn forget_silently(descriptor: i32) {
    // Relaxed: as in `place`; one thread alone gets the entry.
    let place = entry(descriptor).map_or(0, |entry| entry.swap(0, Ordering::Relaxed));
    if let Some(watched) = slot::find(place & !CLOSING)
        // AcqRel: as in `forget`.
        && watched.slot.descriptors.fetch_sub(1, Ordering::AcqRel) == 1
    {
        watched.give_up_slot();
    }
}

/// `new` refers to what `old` refers to.
pub fn duplicated(old: i32, new: i32) {
    if (channels::has(old) || channels::has(new)) && !process::is_vfork_child() {
        channels::duplicated(old, new);
    }
    let Some(entry) = entry(new).filter(|_| old != new) else {
        return;
    };
    if (place(old) == 0 && place(new) == 0) || process::is_vfork_child() {
        return;
    }
    forget(new);
    if let Some(watched) = any(old) {
        // Relaxed: `old` is open during the call, so the count does not reach 0 meanwhile.
        watched.slot.descriptors.fetch_add(1, Ordering::Relaxed);
        watch(new, entry, watched.place);
    }
}

fn watch(descriptor: i32, entry: &AtomicU32, place: u32) {
    // Relaxed, both: as in `place`.
    PAST_HIGHEST.fetch_max(descriptor as u32 + 1, Ordering::Relaxed);
    entry.store(place, Ordering::Relaxed);
}

/// `descriptor` is about to be closed.
#[inline(always)]
pub fn closing(descriptor: i32) {
    if channels::has(descriptor) {
        closing_channel(descriptor);
    }
    if place(descriptor) != 0 {
        closing_watched(descriptor);
    }
}

#[cold]
fn closing_channel(descriptor: i32) {
    if !process::is_vfork_child() {
        channels::remove(descriptor);
    }
}

#[cold]
fn closing_watched(descriptor: i32) {
    if !process::is_vfork_child() {
        forget(descriptor);
    }
}

/// All descriptors from `first` to `last` are about to be closed.
pub fn closing_range(first: u32, last: u32) {
    closing_channels(first, last);
    for descriptor in watched_range(first, last) {
        closing(descriptor);
    }
}

fn closing_channels(first: u32, last: u32) {
    if !process::is_vfork_child() {
        channels::remove_range(first, last);
    }
}

/// Those of the range that may be watched.
fn watched_range(first: u32, last: u32) -> impl Iterator<Item = i32> {
    // Relaxed: as in `place`.
    let past = match is_current() {
        true => PAST_HIGHEST.load(Ordering::Relaxed),
        false => 0,
    };
    (first..past.min(last.saturating_add(1))).map(|descriptor| descriptor as i32)
}

/// A call begins to close all descriptors from `first` to `last`.
pub fn close_range_begins(first: u32, last: u32) {
    closing_channels(first, last);
    if !process::is_vfork_child() {
        for entry in watched_range(first, last).filter_map(entry) {
            // Relaxed, both: as in `place`.
            let mark = |place: u32| (place != 0).then_some(place | CLOSING);
            let _ = entry.fetch_update(Ordering::Relaxed, Ordering::Relaxed, mark);
        }
    }
}

/// The call has closed them, or failed. What another thread was given by one of the numbers meanwhile stays.
pub fn close_range_ends(first: u32, last: u32, closed: bool) {
    if process::is_vfork_child() {
        return;
    }
    for descriptor in watched_range(first, last) {
        if place(descriptor) & CLOSING == 0 {
            continue;
        }
        match entry(descriptor).filter(|_| !closed) {
            // Relaxed: as in `place`.
            Some(entry) => _ = entry.fetch_and(!CLOSING, Ordering::Relaxed),
            None => forget(descriptor),
        }
    }
}

/// Nothing more can be written to `descriptor`.
pub fn shut_down(descriptor: i32) {
    if let Some(watched) = any(descriptor) {
        watched.wrote_last();
    }
}

/// This process ends, and with it the answers that it was giving on connections that it does not close.
/// Not those that only its parent has written to: a child inherits them, and ends without a word.
pub fn process_ends() {
    let Some(image) = process::image() else {
        return;
    };
    // Relaxed, both: as in `place`.
    for descriptor in 0..PAST_HIGHEST.load(Ordering::Relaxed) {
        if let Some(watched) = any(descriptor as i32)
            && watched.slot.writer.load(Ordering::Relaxed) == image
            && !watched.wrote_last()
        {
            // Its state can't be had: nor is it worth the wait for others.
            return;
        }
    }
}

/// The program goes on with `descriptor` through calls that can't be seen.
pub fn bypassed(descriptor: i32) {
    if let Some(watched) = any(descriptor) {
        watched.bypassed();
    }
}

fn forget(descriptor: i32) {
    // Relaxed: as in `place`; one thread alone gets the entry.
    let place = entry(descriptor).map_or(0, |entry| entry.swap(0, Ordering::Relaxed));
    let Some(watched) = slot::find(place & !CLOSING) else {
        return;
    };
    // AcqRel: what other threads did with the connection comes before its end.
    if watched.slot.descriptors.fetch_sub(1, Ordering::AcqRel) == 1 {
        watched.wrote_last();
        thread::record(Event::Close {
            connection: watched.number(),
        });
        watched.give_up_slot();
    }
}

/// The thread enters a call that may wait for something other than a watched connection.
#[inline(always)]
pub fn enter(wait: Wait) {
    enter_with(wait, 0);
}

/// The same with what stands for that which is waited for, or notified, see [`Wait::word`].
#[inline(always)]
pub fn enter_with(wait: Wait, word: u32) {
    if window::is_off() {
        return;
    }
    thread::record(Event::Enter {
        wait,
        connection: word,
    });
}

/// The program has made a channel.
pub fn made_channel(descriptor: i32) {
    if !process::is_vfork_child() {
        channels::add(descriptor);
    }
}

/// The thread is about to write a few bytes to what is no watched connection: they wake another thread, where that is a
/// channel.
#[inline(always)]
pub fn wakes(descriptor: i32) {
    if channels::has(descriptor) {
        enter(Wait::Wake);
    }
}

/// The thread is about to read from what is no watched connection: its next job, where that is a channel.
#[inline(always)]
pub fn takes(descriptor: i32) {
    if channels::has(descriptor) {
        enter(Wait::Queue);
    }
}
