//! Reads and writes of a connection: turns, which thread serves what it touched, and how many bytes went for what.

use super::asked::NOTHING;
use super::connection::{Mode, Waiting};
use super::machine::{At, Machine};
use super::options::Boundary;
use super::segments::NO_VALUES;
use crate::analysis::Source;

impl Machine {
    /// Whether turns are requests.
    pub(super) fn turns(&self) -> bool {
        matches!(self.boundary, Boundary::Auto | Boundary::Turn)
    }

    /// Bytes were read.
    pub(super) fn was_read(&mut self, at: At, number: u32, bytes: u64) {
        let turns = self.turns();
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.reads += 1;
        connection.last_read = Some(bytes);
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
                Some(request) if !by_other => {
                    self.count_in(number, bytes);
                    self.touch(at, request, false);
                }
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
                let request = serves.or(front.filter(|_| !by_other));
                self.count_in(number, bytes);
                if let Some(request) = request {
                    self.threads[at.thread as usize].reading = Some((number, request));
                }
            }
            _ => {}
        }
    }

    /// What was read goes with the request that was read last, unless a head follows.
    fn count_in(&mut self, number: u32, bytes: u64) {
        let connection = self.connections.get_mut(&number);
        let Some(last) = connection.and_then(|connection| connection.queue.back_mut()) else {
            return;
        };
        last.bytes_in = last.bytes_in.map(|sum| sum.saturating_add(bytes));
        if let Some(request) = last.request {
            self.records[request as usize].traffic.bytes_in = last.bytes_in.into();
        }
    }

    /// What was written goes with the request that is answered next; of several that wait nobody can tell.
    fn count_out(&mut self, number: u32, bytes: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let is_framed = connection.mode == Mode::Framed && connection.queue.len() == 1;
        for waiting in &mut connection.queue {
            let sum = waiting.bytes_out.filter(|_| is_framed);
            waiting.bytes_out = sum.map(|sum| sum.saturating_add(bytes));
            if let Some(request) = waiting.request {
                self.records[request as usize].traffic.bytes_out = waiting.bytes_out.into();
            }
        }
    }

    /// A read or a write has found that the client is gone.
    pub(super) fn client_is_gone(&mut self, number: u32) {
        let connection = self.connections.get(&number);
        let waiting = connection
            .into_iter()
            .flat_map(|connection| &connection.queue);
        for request in waiting.filter_map(|waiting| waiting.request) {
            self.records[request as usize].traffic.client_gone = true;
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
        let bytes_in = connection.last_read;
        let request = self.begin(at, number, Source::Turn, Some(label), 1);
        self.records[request as usize].traffic.bytes_in = bytes_in.into();
        self.reads(at, request);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.queue.push_back(Waiting {
                request: Some(request),
                label: Some(label),
                asked: NOTHING,
                values: NO_VALUES,
                bytes_in,
                bytes_out: Some(0),
                source: Source::Turn,
                count: 1,
                read: connection.reads,
                reader: at.thread,
                since: at.stamp,
                waited: false,
                behind: None,
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
    pub(super) fn was_written(&mut self, at: At, number: u32, bytes: u64) {
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
        self.count_out(number, bytes);
        self.touch(at, request, true);
        if matches!(mode, Mode::New | Mode::Turns) {
            self.turn_answered(at, number);
        }
    }
}
