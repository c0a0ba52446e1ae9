//! A call that moves bytes on a watched connection, from its entry to its facts.

use core::sync::atomic::{AtomicU64, Ordering};

use leak_framer::{Buffers, Connection, Fact, Reason};
use leak_wire::{Bytes, Event, Protocol, Transfer, Unseen, Wait};

use super::Watched;
use crate::thread;

/// A call that reads from or writes to a watched connection and is under way.
#[derive(Clone, Copy)]
pub struct Call {
    watched: Watched,
    transfer: Transfer,
    /// Another thread was in such a call when this one began.
    crossed: bool,
}

impl Watched {
    /// The thread enters a call that reads from or writes to the connection.
    pub fn begin(self, transfer: Transfer) -> Call {
        let wait = match transfer {
            Transfer::Read => Wait::Read,
            Transfer::Write => Wait::Write,
        };
        thread::record(Event::Enter {
            wait,
            connection: self.number(),
        });
        // Acquire: pairs with the Release in `Call::leave`. A thread that finds itself left an earlier
        // call by siglongjmp.
        let caller = self.caller(transfer);
        let before = caller.compare_exchange(0, me(), Ordering::Acquire, Ordering::Relaxed);
        Call {
            watched: self,
            transfer,
            crossed: before.is_err_and(|other| other != me()),
        }
    }

    /// The program will write nothing more.
    pub fn wrote_last(self) {
        let number = self.number();
        self.with_state(|connection, _| connection.wrote_last(|fact| tell(number, fact)));
    }

    fn caller(&self, transfer: Transfer) -> &'static AtomicU64 {
        match transfer {
            Transfer::Read => &self.slot.reader,
            Transfer::Write => &self.slot.writer,
        }
    }
}

/// This thread, by the address of its errno.
fn me() -> u64 {
    // SAFETY: takes nothing and only computes an address.
    unsafe { libc::__errno_location() as u64 }
}

impl Call {
    /// `count` bytes were transferred: those of `parts`.
    pub fn moved<'b>(self, count: usize, parts: impl Iterator<Item = &'b [u8]>) {
        self.transferred(count as u64);
        let number = self.watched.number();
        self.frame(|connection, buffers| match self.transfer {
            Transfer::Read => {
                connection.read(buffers, parts, |fact| tell(number, fact));
            }
            Transfer::Write => {
                connection.wrote(buffers, parts, |fact| tell(number, fact));
            }
        });
        self.leave();
    }

    /// `count` bytes were transferred that the program itself does not see.
    pub fn moved_unseen(self, count: u64) {
        self.transferred(count);
        let number = self.watched.number();
        self.frame(|connection, _| match self.transfer {
            Transfer::Read => connection.read_opaque(count, |fact| tell(number, fact)),
            Transfer::Write => connection.wrote_opaque(count, |fact| tell(number, fact)),
        });
        self.leave();
    }

    /// Nothing was transferred.
    pub fn nothing(self) {
        self.leave();
    }

    fn transferred(&self, bytes: u64) {
        thread::record(Event::Transferred {
            connection: self.watched.number(),
            transfer: self.transfer,
            bytes,
        });
    }

    fn frame(&self, work: impl FnOnce(&mut Connection, &mut Buffers)) {
        let opaque = &self.watched.slot.opaque;
        // Relaxed: a thread that misses it asks the state itself.
        if opaque.load(Ordering::Relaxed) != 0 {
            return;
        }
        let now_opaque = self.watched.with_state(|connection, buffers| {
            if self.crossed && !connection.is_opaque() {
                connection.give_up();
                self.tell_concurrent();
            }
            work(connection, buffers);
            connection.is_opaque()
        });
        match now_opaque {
            Some(false) => {}
            Some(true) => opaque.store(1, Ordering::Relaxed),
            None if self.watched.is_current() && opaque.swap(1, Ordering::Relaxed) == 0 => {
                self.tell_concurrent();
            }
            None => {}
        }
    }

    fn tell_concurrent(&self) {
        thread::record(Event::Unseen {
            connection: self.watched.number(),
            reason: Unseen::Concurrent,
        });
    }

    fn leave(&self) {
        let caller = self.watched.caller(self.transfer);
        // Release: pairs with the Acquire in `begin`. Where another thread is in, it stays.
        let _ = caller.compare_exchange(me(), 0, Ordering::Release, Ordering::Relaxed);
    }
}

fn tell(connection: u32, fact: Fact<'_>) {
    thread::record(match fact {
        Fact::RequestBegun => Event::RequestBegun { connection },
        Fact::Request {
            protocol,
            count,
            label,
        } => Event::Request {
            connection,
            count,
            protocol: match protocol {
                leak_framer::Protocol::Http => Protocol::Http,
                leak_framer::Protocol::Redis => Protocol::Redis,
                leak_framer::Protocol::Memcached => Protocol::Memcached,
                leak_framer::Protocol::Postgres => Protocol::Postgres,
            },
            label: Bytes::Slice(label),
        },
        Fact::Answer { count, status } => Event::Answer {
            connection,
            count,
            status,
        },
        Fact::Upgraded => Event::Upgraded { connection },
        Fact::Unseen(reason) => Event::Unseen {
            connection,
            reason: match reason {
                Reason::Tls => Unseen::Tls,
                Reason::Http2 => Unseen::Http2,
                Reason::Unframed => Unseen::Unframed,
                Reason::Bypassed => Unseen::Bypassed,
            },
        },
    });
}
