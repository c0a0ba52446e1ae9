//! A call that moves bytes on a watched connection, from its entry to its facts.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use leak_framer::{Buffers, Connection, Fact, Pieces, Reason, Wanted};
use leak_wire::{Bytes, Event, Protocol, Transfer, Unseen, Wait};

use super::Watched;
use super::headers::{self, Asked};
use crate::{kernel, process, thread};

/// A call that reads from or writes to a watched connection and is under way.
pub struct Call {
    watched: Watched,
    transfer: Transfer,
    /// How many there were when this one began.
    before: Cell<u32>,
    /// Its bytes have moved, and are being told.
    tells: Cell<bool>,
}

impl Watched {
    /// The thread enters a call that reads from or writes to the connection.
    pub fn begin(self, transfer: Transfer) -> Call {
        let wait = match transfer {
            Transfer::Read => Wait::Read,
            Transfer::Write => Wait::Write,
        };
        // First: what another thread's call has moved is told before this one begins, so that an answer is out of the
        // way when the next one is written.
        self.await_others(transfer);
        thread::record(Event::Enter {
            wait,
            connection: self.number(),
        });
        if transfer == Transfer::Write
            && let Some(image) = process::image()
        {
            // Relaxed: asked by the same process when it ends.
            self.slot.writer.store(image, Ordering::Relaxed);
        }
        Call {
            watched: self,
            transfer,
            // Relaxed: see `Call::crossed`.
            before: Cell::new(self.transfers(transfer).load(Ordering::Relaxed)),
            tells: Cell::new(false),
        }
    }

    /// A call of another thread may have moved its bytes and not told yet: so many, that the next thread's call
    /// is not taken for one at the same time. It is waited for, a moment, and once in vain.
    fn await_others(self, transfer: Transfer) {
        let under_way = self.under_way(transfer);
        // Relaxed, all: a call that follows another one's bytes has heard of them somehow, and sees its count.
        if under_way.load(Ordering::Relaxed) != 0
            && self.slot.impatient.load(Ordering::Relaxed) == 0
            && self.slot.opaque.load(Ordering::Relaxed) == 0
            && !wait_for_none(under_way, self.telling(transfer))
        {
            self.slot.impatient.store(1, Ordering::Relaxed);
        }
        under_way.fetch_add(1, Ordering::Relaxed);
    }

    fn under_way(&self, transfer: Transfer) -> &'static AtomicU32 {
        match transfer {
            Transfer::Read => &self.slot.reading,
            Transfer::Write => &self.slot.writing,
        }
    }

    fn telling(&self, transfer: Transfer) -> &'static AtomicU32 {
        match transfer {
            Transfer::Read => &self.slot.telling_reads,
            Transfer::Write => &self.slot.telling_writes,
        }
    }

    /// The program will write nothing more; whether its state could be had.
    pub fn wrote_last(self) -> bool {
        let number = self.number();
        self.with_state(|connection, _| connection.wrote_last(|fact| tell(number, fact)))
            .is_some()
    }

    /// The program goes on with calls that can't be seen.
    pub fn bypassed(self) {
        // Relaxed: told once, whoever tells it.
        if self.slot.opaque.swap(1, Ordering::Relaxed) == 0 {
            self.with_state(|connection, _| connection.give_up());
            self.unseen(Unseen::Bypassed);
        }
    }

    fn unseen(&self, reason: Unseen) {
        thread::record(Event::Unseen {
            connection: self.number(),
            reason,
        });
    }

    fn transfers(&self, transfer: Transfer) -> &'static AtomicU32 {
        match transfer {
            Transfer::Read => &self.slot.reads,
            Transfer::Write => &self.slot.writes,
        }
    }
}

impl Call {
    /// How many of the next bytes that are written don't matter, whatever they are.
    pub fn needless(&self) -> u64 {
        // Relaxed: as in `frame`.
        if self.watched.slot.opaque.load(Ordering::Relaxed) != 0 {
            return u64::MAX;
        }
        let needless = self
            .watched
            .with_state(|connection, _| connection.needless());
        needless.unwrap_or(0)
    }

    /// `count` bytes were transferred: those of `pieces`.
    pub fn moved(&self, count: usize, pieces: impl Pieces) {
        self.transferred(count as u64);
        let number = self.watched.number();
        self.frame(|connection, buffers| match self.transfer {
            Transfer::Read => {
                let asked = Asked::now();
                connection.read(
                    buffers,
                    pieces,
                    asked.as_ref().map_or(Wanted::NONE, Asked::wanted),
                    |fact| tell(number, fact),
                );
            }
            Transfer::Write => {
                connection.wrote(buffers, pieces, |fact| tell(number, fact));
            }
        });
    }

    /// `count` bytes were transferred that the program itself does not see.
    pub fn moved_unseen(&self, count: u64) {
        self.transferred(count);
        let number = self.watched.number();
        self.frame(|connection, _| match self.transfer {
            Transfer::Read => connection.read_opaque(count, |fact| tell(number, fact)),
            Transfer::Write => connection.wrote_opaque(count, |fact| tell(number, fact)),
        });
    }

    /// The call moved nothing and found that the client is gone: told once, and only where a request waits for its
    /// answer.
    #[cold]
    pub fn found_the_end(&self) {
        // Relaxed: told once, whoever tells it.
        let gone = &self.watched.slot.gone;
        if self.is_over() || gone.load(Ordering::Relaxed) != 0 {
            return;
        }
        let owes = self
            .watched
            .with_state(|connection, _| connection.owes_an_answer());
        if owes == Some(true) && gone.swap(1, Ordering::Relaxed) == 0 {
            thread::record(Event::Transferred {
                connection: self.watched.number(),
                transfer: self.transfer,
                bytes: 0,
            });
        }
    }

    /// Whether it began in a session that is over.
    pub fn is_over(&self) -> bool {
        !self.watched.is_of_session()
    }

    fn transferred(&self, bytes: u64) {
        if self.is_over() {
            return;
        }
        if !self.tells.replace(true) {
            // Relaxed: as in `await_others`.
            let telling = self.watched.telling(self.transfer);
            telling.fetch_add(1, Ordering::Relaxed);
        }
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
        // The state is worked on with signals held.
        if let Some(thread) = thread::current() {
            thread.await_room();
        }
        let now_opaque = self.watched.with_state(|connection, buffers| {
            if self.crossed() && !connection.is_opaque() {
                connection.give_up();
                self.watched.unseen(Unseen::Concurrent);
            }
            work(connection, buffers);
            connection.is_opaque()
        });
        match now_opaque {
            Some(false) => {}
            Some(true) => opaque.store(1, Ordering::Relaxed),
            None if self.watched.is_current() && opaque.swap(1, Ordering::Relaxed) == 0 => {
                self.watched.unseen(Unseen::Concurrent);
            }
            None => {}
        }
    }

    /// Counts this transfer: whether another thread's came in between, so that nobody knows whose bytes
    /// were first.
    fn crossed(&self) -> bool {
        // Relaxed: calls that follow each other are ordered by whatever made them follow.
        let transfers = self.watched.transfers(self.transfer);
        let before = self.before.get();
        self.before.set(before.wrapping_add(1));
        transfers.fetch_add(1, Ordering::Relaxed) != before
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.watched.is_current() {
            return;
        }
        // Relaxed: as in `await_others`.
        let under_way = self.watched.under_way(self.transfer);
        let less = |calls: u32| calls.checked_sub(1);
        // None are left where the slot has become another connection's meanwhile.
        let _ = under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if self.tells.get() {
            let telling = self.watched.telling(self.transfer);
            let _ = telling.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

/// Milliseconds that are waited for calls whose bytes may not have moved: such a one may wait for its client.
const PATIENCE: u32 = 10;
/// The same for one whose bytes have moved: it is being told, and may wait for the recorder.
const LONG_PATIENCE: u32 = 3000;

/// Waits until there are none, as long as the patience lasts; whether there are none.
#[cold]
fn wait_for_none(calls: &AtomicU32, telling: &AtomicU32) -> bool {
    let mut in_vain = 0;
    for _ in 0..LONG_PATIENCE {
        // Relaxed, both: as in `await_others`.
        let some = calls.load(Ordering::Relaxed);
        if some == 0 {
            return true;
        }
        in_vain += u32::from(telling.load(Ordering::Relaxed) == 0);
        if in_vain > PATIENCE {
            return false;
        }
        // Nobody wakes us: what is missing is a few instructions of a thread that has lost its core, or some room in
        // its lane.
        kernel::futex_wait(calls, some, Duration::from_millis(1));
    }
    false
}

fn tell(connection: u32, fact: Fact<'_>) {
    thread::record(match fact {
        Fact::Header {
            name,
            value,
            length,
        } => return headers::tell(connection, name, value, length),
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
                leak_framer::Protocol::Websocket => Protocol::Websocket,
            },
            label: Bytes::Slice(label),
        },
        Fact::Answer { count, status } => Event::Answer {
            connection,
            count,
            status,
        },
        Fact::Upgraded => Event::Upgraded { connection },
        Fact::Messages => Event::Messages { connection },
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
