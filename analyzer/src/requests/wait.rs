//! Waits: what a thread waits for, what ends with that, and who wakes whom.

use leak_wire::Wait;

use super::machine::{At, Machine};
use super::options::Boundary;

impl Machine {
    pub(super) fn enter(&mut self, at: At, wait: Wait, connection: u32) {
        self.threads[at.thread as usize].writing = None;
        if wait.may_be_idle() || wait == Wait::Queue {
            self.owners.ledger(at.process).comes_to_wait(at.stamp);
        }
        match wait {
            Wait::Write if self.boundary != Boundary::Mark => self.write_begins(at, connection),
            Wait::Write => {}
            Wait::Read => {
                self.end_answered_by_all(at);
                self.owners.enters_read(at.host);
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.reads += 1;
                }
            }
            Wait::Accept | Wait::Poll | Wait::Lock => {
                self.owners
                    .idle(at.host, wait == Wait::Poll, &mut self.records);
                self.end_answered_by_all(at);
                if wait == Wait::Lock && connection != 0 {
                    self.threads[at.host as usize].waits_for = connection;
                    self.notices.waits(at.process, connection, at.host);
                }
            }
            Wait::Notify => self.notifies(at, connection, false),
            Wait::NotifyAll => self.notifies(at, connection, true),
            Wait::Wake => self.owners.wakes(at.thread, &mut self.records),
            Wait::Queue => {
                self.owners.takes_lock(at.thread, &mut self.records);
                self.end_answered(at);
            }
        }
    }

    /// The thread wakes one that waits for this word, or `all`.
    fn notifies(&mut self, at: At, word: u32, all: bool) {
        if self.notices.is_awaited(at.process, word) {
            let request = self.owners.hands_on(at.thread, &self.records);
            self.notices.tell((at.process, word), request, all);
        }
    }

    /// The thread has waited, and goes on.
    pub(super) fn wakes_up(&mut self, at: At) {
        let thread = &mut self.threads[at.host as usize];
        let word = std::mem::take(&mut thread.waits_for);
        let same = std::mem::replace(&mut thread.waited_for, word) == word;
        let woken_for = self.notices.wakes(at.process, word, at.host);
        self.owners.goes_on(at.host, woken_for, same);
    }
}
