//! How connections are cut into requests: heads, answers, reads and writes.

use leak_wire::{Protocol, Unseen};

use super::connection::{Answered, Connection, Mode, Waiting};
use super::label::{INCOMPLETE, LabelId};
use super::machine::{At, Boundary, Machine};
use super::record::RequestId;
use crate::analysis::Source;
use crate::trace::ProcessId;

impl Machine {
    pub(super) fn accept(&mut self, at: At, number: u32, local: String) {
        let state = self.process(at.process);
        state.connections.insert(number);
        state.most_connections = state.most_connections.max(state.connections.len());
        self.owners.accepted(at.thread, number);
        let whole = (self.boundary == Boundary::Connection).then(|| {
            let label = self.labels.intern(&local);
            let request = self.begin(at, number, Source::Connection, Some(label), 1);
            self.serve(at, request);
            request
        });
        let connection = Connection {
            local,
            holders: vec![at.process],
            whole,
            ..Connection::default()
        };
        self.connections.insert(number, connection);
    }

    /// Whether turns are requests.
    fn turns(&self) -> bool {
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
            return self.touch(at, whole);
        }
        let by_other = connection
            .writer
            .filter(|writer| *writer != at.thread)
            .is_some();
        let front = connection.queue.front().and_then(|front| front.request);
        match connection.mode {
            Mode::New | Mode::Turns if turns => match front {
                Some(request) if !by_other => self.touch(at, request),
                Some(_) => {
                    // The answer's first byte is out, or this could not have been read: the
                    // writer's own record of it comes later.
                    self.turn_answered(number);
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
        let Some(local) = self.connections.get(&number).map(|c| c.local.clone()) else {
            return;
        };
        let label = self.labels.intern(&local);
        let request = self.begin(at, number, Source::Turn, Some(label), 1);
        self.serve(at, request);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.queue.push_back(Waiting {
                request: Some(request),
                label: Some(label),
                source: Source::Turn,
                count: 1,
                read: connection.reads,
            });
        }
    }

    /// The turn under way is answered by the thread that serves it.
    fn turn_answered(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.writer = None;
        if let Some(request) = connection.queue.pop_front().and_then(|w| w.request) {
            let server = self.records[request as usize].thread;
            self.threads[server as usize].answered.push(request);
        }
    }

    /// The thread enters a write.
    pub(super) fn write_begins(&mut self, at: At, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.writes += 1;
        let front = connection.queue.front().and_then(|front| front.request);
        if front.is_some() {
            connection.writer = Some(at.thread);
        }
        let touched = front.or(connection.whole);
        self.threads[at.thread as usize].writing = Some((number, front));
        if let Some(request) = touched {
            self.touch(at, request);
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
            return self.touch(at, whole);
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
        self.touch(at, request);
        if matches!(mode, Mode::New | Mode::Turns) {
            self.turn_answered(number);
        }
    }

    /// Whether heads of this protocol make requests; sets how the connection is cut.
    pub(super) fn admits(&mut self, number: u32, protocol: Protocol) -> bool {
        let mode = match (self.boundary, protocol) {
            (Boundary::Auto, _) => Mode::Framed,
            (Boundary::Http, Protocol::Http) => Mode::Framed,
            (Boundary::Http, _) => Mode::Uncut,
            (Boundary::Turn, Protocol::Http) => Mode::Turns,
            (Boundary::Turn, _) => Mode::Framed,
            (Boundary::Mark | Boundary::Connection, _) => return false,
        };
        match mode {
            Mode::Framed => {
                self.framed(number);
                true
            }
            _ => {
                if mode == Mode::Uncut {
                    self.give_up(number, true);
                }
                if let Some(connection) = self.connections.get_mut(&number) {
                    connection.mode = mode;
                    // Plain text is seen after all.
                    connection.unseen = None;
                }
                false
            }
        }
    }

    /// The connection has heads. A turn that its bytes seemed to begin is the request itself.
    fn framed(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.unseen = None;
        if connection.mode == Mode::Framed {
            return;
        }
        connection.mode = Mode::Framed;
        if let Some(first) = connection.queue.front_mut() {
            first.label = None;
            if let Some(request) = first.request {
                self.records[request as usize].label = None;
            }
        }
    }

    /// The first byte of a head was read.
    pub(super) fn head_begun(&mut self, at: At, number: u32) {
        match (self.boundary, self.mode(number)) {
            (Boundary::Auto | Boundary::Http, Some(_)) => {}
            (Boundary::Turn, Some(Mode::Framed)) => {}
            _ => return,
        }
        self.framed(number);
        let incomplete = |w: &Waiting| w.label.is_none();
        let queue = self.connections.get(&number).map(|c| &c.queue);
        if !queue.is_some_and(|queue| queue.back().is_some_and(incomplete)) {
            self.enqueue(at, number, None, Source::Http, 1);
        }
    }

    /// Heads were read.
    pub(super) fn head_read(
        &mut self,
        at: At,
        number: u32,
        label: LabelId,
        protocol: Protocol,
        count: u32,
    ) {
        let source = match protocol {
            Protocol::Http => Source::Http,
            _ => Source::Turn,
        };
        let count = count.max(1);
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let read = connection.reads;
        match connection.queue.back_mut() {
            Some(last) if last.label.is_none() => {
                (last.label, last.source, last.count) = (Some(label), source, count);
                last.read = read;
                if let Some(request) = last.request {
                    let record = &mut self.records[request as usize];
                    (record.label, record.source, record.count) = (Some(label), source, count);
                    self.touch(at, request);
                }
            }
            _ => self.enqueue(at, number, Some(label), source, count),
        }
    }

    /// A request waits for its answer; it has begun, unless it was read together with the former.
    fn enqueue(&mut self, at: At, number: u32, label: Option<LabelId>, source: Source, count: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let read = connection.reads;
        let waits = connection.queue.back().is_some_and(|w| w.read == read);
        connection.queue.push_back(Waiting {
            request: None,
            label,
            source,
            count,
            read,
        });
        if !waits {
            let request = self.begin(at, number, source, label, count);
            self.serve(at, request);
            self.set_last(number, request);
        }
    }

    fn set_last(&mut self, number: u32, request: RequestId) {
        if let Some(connection) = self.connections.get_mut(&number)
            && let Some(last) = connection.queue.back_mut()
        {
            last.request = Some(request);
        }
    }

    /// The last byte of `count` answers was written.
    pub(super) fn answered(&mut self, at: At, number: u32, count: u32, status: u32) {
        if self.mode(number) != Some(Mode::Framed) || (100..200).contains(&status) && status != 101
        {
            return;
        }
        let status = (status != 0).then_some(status);
        let mut left = count.max(1);
        while left > 0 {
            let Some(connection) = self.connections.get_mut(&number) else {
                return;
            };
            let Some(mut first) = connection.queue.pop_front() else {
                break;
            };
            if first.count > left {
                let rest = Waiting {
                    request: None,
                    count: first.count - left,
                    ..first.clone()
                };
                connection.queue.push_front(rest);
                first.count = left;
            }
            left -= first.count;
            self.answer(at, number, &first, status);
        }
        self.begin_first(at, number);
    }

    fn answer(&mut self, at: At, number: u32, first: &Waiting, status: Option<u32>) {
        let request = match first.request {
            Some(request) => request,
            None => self.begin(at, number, first.source, first.label, first.count),
        };
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        if connection.writer == Some(at.thread) {
            connection.writer = None;
        }
        let (read, write) = (first.read, connection.writes);
        let together = connection.answered.filter(|before| {
            (before.read, before.write) == (read, write)
                && (before.label, before.status) == (first.label, status)
                && self.records[before.request as usize].end.is_none()
        });
        if let Some(before) = together {
            self.records[before.request as usize].count += first.count;
            return self.void(request, Some(before.request));
        }
        connection.answered = Some(Answered {
            request,
            label: first.label,
            status,
            read,
            write,
        });
        let record = &mut self.records[request as usize];
        (record.status, record.count) = (status, first.count);
        self.touch(at, request);
        self.threads[at.thread as usize].answered.push(request);
    }

    /// The first request that waits for its answer has begun by now.
    fn begin_first(&mut self, at: At, number: u32) {
        let first = self.connections.get(&number).and_then(|c| c.queue.front());
        let Some(first) = first.filter(|first| first.request.is_none()).cloned() else {
            return;
        };
        let request = self.begin(at, number, first.source, first.label, first.count);
        self.serve(at, request);
        if let Some(connection) = self.connections.get_mut(&number)
            && let Some(first) = connection.queue.front_mut()
        {
            first.request = Some(request);
        }
    }

    /// The connection speaks something else now: its messages are turns.
    pub(super) fn upgraded(&mut self, number: u32) {
        self.give_up(number, true);
        let mode = match self.turns() {
            true => Mode::Turns,
            false => Mode::Uncut,
        };
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.mode = mode;
        }
    }

    /// Requests of the connection can't be told apart any more.
    pub(super) fn uncut(&mut self, number: u32, reason: Unseen) {
        self.give_up(number, false);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.mode = Mode::Uncut;
            connection.unseen = Some(reason);
        }
    }

    /// What waits for an answer was no request: turns and incomplete heads, or all.
    fn give_up(&mut self, number: u32, all: bool) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let by_turns = matches!(connection.mode, Mode::New | Mode::Turns);
        let (kept, given_up): (Vec<Waiting>, Vec<Waiting>) = std::mem::take(&mut connection.queue)
            .into_iter()
            .partition(|w| !(all || by_turns || w.label.is_none()));
        connection.queue = kept.into();
        for request in given_up.iter().filter_map(|waiting| waiting.request) {
            self.void(request, None);
        }
    }

    /// A process holds the connection no more; without holders it is closed. What a process leaves
    /// open when it ends stays open: then `closed` is false.
    pub(super) fn drop_holder(
        &mut self,
        number: u32,
        process: ProcessId,
        stamp: u64,
        closed: bool,
    ) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.holders.retain(|holder| *holder != process);
        if !connection.holders.is_empty() {
            return;
        }
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        if let Some(reason) = connection.unseen {
            *self
                .unseen
                .entry((connection.local, reason as u8))
                .or_default() += 1;
        }
        let mut server = None;
        for waiting in &connection.queue {
            let request = match (waiting.request, server) {
                (Some(request), _) => request,
                // Read together with a request that was never answered: it begins and ends here.
                (None, Some((process, thread))) if closed && self.owners.runs(process) => {
                    let at = At {
                        stamp,
                        process,
                        thread,
                    };
                    self.begin(at, number, waiting.source, waiting.label, waiting.count)
                }
                _ => continue,
            };
            let record = &mut self.records[request as usize];
            if record.label.is_none() {
                record.label = Some(self.labels.intern(INCOMPLETE));
            }
            server = Some((record.process, record.thread));
            if closed || record.process != process {
                self.end(request, stamp);
            }
        }
        if let Some(whole) = connection.whole
            && (closed || self.records[whole as usize].process != process)
        {
            self.end(whole, stamp);
        }
    }
}
