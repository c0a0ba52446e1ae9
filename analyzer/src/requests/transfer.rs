//! Reads and writes of a connection: turns, and which thread serves what it touched.

use super::asked::NOTHING;
use super::connection::{Mode, Waiting};
use super::machine::{At, Boundary, Machine};
use crate::analysis::Source;

impl Machine {
    /// Whether turns are requests.
    pub(super) fn turns(&self) -> bool {
        matches!(self.boundary, Boundary::Auto | Boundary::Turn)
    }

    /// Bytes were read.
    pub(super) fn was_read(&mut self, at: At, number: u32) {
        let turns = self.turns();
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.reads += 1;
        if let Some(whole) = connection.whole {
            return self.touch(at, whole, false);
        }
        if connection.mode == Mode::Uncut {
            return self.owners.turns_away(at.thread, &mut self.records);
        }
        let by_other = connection
            .writer
            .filter(|writer| *writer != at.thread)
            .is_some();
        let front = connection.queue.front().and_then(|front| front.request);
        match connection.mode {
            Mode::New | Mode::Turns if turns => match front {
                Some(request) if !by_other => self.touch(at, request, false),
                Some(_) => {
                    // The answer's first byte is out, or this could not have been read: the
                    // writer's own record of it comes later.
                    self.turn_answered(at, number);
                    self.turn_begins(at, number);
                }
                None => self.turn_begins(at, number),
            },
            Mode::Framed => {
                let mine = self.owners.served_by(at.thread);
                let queue = &connection.queue;
                let serves = queue
                    .iter()
                    .filter_map(|waiting| waiting.request)
                    .find(|request| mine == Some(*request));
                if let Some(request) = serves.or(front.filter(|_| !by_other)) {
                    self.threads[at.thread as usize].reading = Some((number, request));
                }
            }
            _ => {}
        }
    }

    fn turn_begins(&mut self, at: At, number: u32) {
        let Some(connection) = self.connections.get(&number) else {
            return;
        };
        let label = match connection.messages {
            Some(label) => label,
            None => self.labels.intern(&connection.local),
        };
        let request = self.begin(at, number, Source::Turn, Some(label), 1);
        self.reads(at, request);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.queue.push_back(Waiting {
                request: Some(request),
                label: Some(label),
                asked: NOTHING,
                source: Source::Turn,
                count: 1,
                read: connection.reads,
                reader: at.thread,
            });
        }
    }

    /// The turn under way is answered by the thread that serves it.
    fn turn_answered(&mut self, at: At, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.writer = None;
        if let Some(request) = connection.queue.pop_front().and_then(|w| w.request) {
            self.is_answered(at, request);
        }
    }

    /// The thread enters a write.
    pub(super) fn write_begins(&mut self, at: At, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.writes += 1;
        if connection.mode == Mode::Uncut {
            return self.owners.turns_away(at.thread, &mut self.records);
        }
        let front = connection.queue.front().and_then(|front| front.request);
        if front.is_some() {
            connection.writer = Some(at.thread);
        }
        let touched = front.or(connection.whole);
        self.threads[at.thread as usize].writing = Some((number, front));
        if let Some(request) = touched {
            self.touch(at, request, true);
        }
    }

    /// Bytes were written.
    pub(super) fn was_written(&mut self, at: At, number: u32) {
        let entered = self.threads[at.thread as usize].writing.take();
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.writes += 1;
        if connection.writer == Some(at.thread) {
            connection.writer = None;
        }
        if let Some(whole) = connection.whole {
            return self.touch(at, whole, true);
        }
        if connection.mode == Mode::Uncut {
            return self.owners.turns_away(at.thread, &mut self.records);
        }
        let front = connection.queue.front().and_then(|front| front.request);
        let meant = match entered {
            Some((entered, request)) if entered == number => request,
            _ => front,
        };
        let Some(request) = front.filter(|_| meant == front) else {
            return;
        };
        let mode = connection.mode;
        self.touch(at, request, true);
        if matches!(mode, Mode::New | Mode::Turns) {
            self.turn_answered(at, number);
        }
    }
}
