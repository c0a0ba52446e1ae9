//! Heads and answers of a connection that is framed.

use leak_wire::Protocol;

use super::asked::{Head, NOTHING};
use super::connection::{Answered, Mode, Waiting};
use super::machine::{At, Machine};
use super::options::Boundary;
use super::record::RequestId;
use super::segments::NO_VALUES;
use crate::analysis::{Octets, Source};

impl Machine {
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
        let local = connection.local.clone();
        self.port_is_framed(&local);
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
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
    pub(super) fn head_read(&mut self, at: At, number: u32, head: Head) {
        let Head {
            label,
            asked,
            values,
            ..
        } = head;
        let source = match head.protocol {
            Protocol::Http => Source::Http,
            _ => Source::Turn,
        };
        let count = head.count.max(1);
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let read = connection.reads;
        match connection.queue.back_mut() {
            Some(last) if last.label.is_none() => {
                (last.label, last.source, last.count) = (Some(label), source, count);
                (last.asked, last.values, last.read) = (asked, values, read);
                if let Some(request) = last.request {
                    self.asked.note(request, asked, &connection.local);
                    self.segments.note(request, label, values);
                    self.records[request as usize].traffic.bytes_out = last.bytes_out.into();
                    let record = &mut self.records[request as usize];
                    (record.label, record.source, record.count) = (Some(label), source, count);
                    self.head_is_complete(request);
                    self.touch(at, request, false);
                }
            }
            _ => self.enqueue(at, number, Some(head), source, count),
        }
    }

    /// A request waits for its answer; it has begun, unless it was read together with the former.
    fn enqueue(&mut self, at: At, number: u32, head: Option<Head>, source: Source, count: u32) {
        let label = head.map(|head| head.label);
        let (asked, values) = head.map_or((NOTHING, NO_VALUES), |head| (head.asked, head.values));
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let read = connection.reads;
        let waits = connection.queue.back().is_some_and(|w| w.read == read);
        let mut bytes_in = connection.last_read;
        if let Some(before) = connection.queue.back_mut() {
            // Which of the bytes are whose nobody can tell.
            (before.bytes_in, bytes_in) = (None, None);
            if let Some(request) = before.request {
                self.records[request as usize].traffic.bytes_in = Octets::UNKNOWN;
            }
        }
        let mut before = connection.queue.iter().rev();
        let before = before.find_map(|before| before.request).filter(|_| waits);
        let behind = before.map(|before| self.records[before as usize].thread);
        connection.queue.push_back(Waiting {
            request: None,
            label,
            asked,
            values,
            bytes_in,
            bytes_out: Some(0),
            source,
            count,
            read,
            reader: at.thread,
            since: at.stamp,
            waited: waits,
            behind,
        });
        if let Some(server) = behind {
            self.owners.count_behind(server, true);
        }
        if !waits {
            let request = self.begin(at, number, source, label, count);
            self.reads(at, request);
            self.set_last(number, request);
        }
    }

    fn set_last(&mut self, number: u32, request: RequestId) {
        if let Some(connection) = self.connections.get_mut(&number)
            && let Some(last) = connection.queue.back_mut()
        {
            last.request = Some(request);
            let waiting = last.clone();
            self.note(request, &waiting, number);
        }
    }

    /// `request` is the one that waited.
    fn note(&mut self, request: RequestId, waiting: &Waiting, number: u32) {
        let traffic = &mut self.records[request as usize].traffic;
        traffic.bytes_in = waiting.bytes_in.into();
        traffic.bytes_out = waiting.bytes_out.into();
        if let Some(label) = waiting.label {
            self.segments.note(request, label, waiting.values);
        }
        if let Some(connection) = self.connections.get(&number) {
            self.asked.note(request, waiting.asked, &connection.local);
        }
    }

    /// The last byte of `count` answers was written.
    pub(super) fn answered(&mut self, at: At, number: u32, count: u32, status: u32) {
        if self.mode(number) != Some(Mode::Framed) {
            return;
        }
        if (100..200).contains(&status) && status != 101 {
            return self.informed(number);
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
                    behind: None,
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

    /// What was written is no answer: that is still to begin.
    fn informed(&mut self, number: u32) {
        let first = self.connections.get(&number).and_then(|c| c.queue.front());
        if let Some(request) = first.and_then(|first| first.request) {
            self.records[request as usize].answer_begun = false;
        }
    }

    fn answer(&mut self, at: At, number: u32, first: &Waiting, status: Option<u32>) {
        let request = match first.request {
            Some(request) => request,
            None => self.begin_waiting(at, number, first),
        };
        self.goes_before(number, request);
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
            self.asked.join(before.request, first.asked);
            self.void(request, Some(before.request));
            let server = self.records[before.request as usize].thread;
            let owners = &mut self.owners;
            return owners.answers_as_one(server, before.request, &mut self.records);
        }
        let former = connection.answered.replace(Answered {
            request,
            label: first.label,
            status,
            read,
            write,
        });
        let record = &mut self.records[request as usize];
        (record.status, record.count) = (status, first.count);
        let former = former.map(|former| (former, self.records[former.request as usize].thread));
        if let Some((former, server)) = former.filter(|(former, _)| former.write == write) {
            // Which of the write's bytes are whose nobody can tell.
            for request in [former.request, request] {
                self.records[request as usize].traffic.bytes_out = Octets::UNKNOWN;
            }
            let owners = &mut self.owners;
            owners.answers_together(server, former.request, &mut self.records);
        }
        self.touch(at, request, true);
        // Whoever did not work for one after the other may have worked for this one since it was read.
        let in_turn = former.is_some_and(|(former, server)| {
            former.read == read && self.owners.was_alone(server, former.request)
        });
        if first.waited && !in_turn {
            self.records[request as usize].start = first.since;
        }
        self.is_answered(at, request);
    }

    /// What waits behind the request is owed by whoever serves that one.
    pub(super) fn goes_before(&mut self, number: u32, request: RequestId) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let server = self.records[request as usize].thread;
        let mut queue = connection.queue.iter();
        let place = queue.position(|waiting| waiting.request == Some(request));
        let after = place.map_or(0, |place| place + 1);
        for waiting in connection.queue.iter_mut().skip(after) {
            match waiting.behind {
                Some(other) if other != server => {
                    waiting.behind = Some(server);
                    self.owners.count_behind(other, false);
                    self.owners.count_behind(server, true);
                }
                _ => return,
            }
        }
    }

    /// Begins a request whose head was read before, maybe by another worker.
    fn begin_waiting(&mut self, at: At, number: u32, first: &Waiting) -> RequestId {
        let by = At {
            thread: first.reader,
            ..at
        };
        let request = self.begin(by, number, first.source, first.label, first.count);
        self.note(request, first, number);
        if let Some(server) = first.behind {
            self.owners.count_behind(server, false);
        }
        request
    }

    /// A message was read: those that an earlier read brought, and that nobody has answered, need no answer. The server
    /// goes on to the next.
    pub(super) fn overtaken(&mut self, at: At, number: u32) {
        while let Some(connection) = self.connections.get_mut(&number) {
            let is_earlier = |first: &Waiting| first.read != connection.reads;
            if !connection.queue.front().is_some_and(is_earlier) {
                return;
            }
            let Some(first) = connection.queue.pop_front() else {
                return;
            };
            let request = match first.request {
                Some(request) => request,
                None => self.begin_waiting(at, number, &first),
            };
            self.is_answered(at, request);
        }
    }

    /// The first request that waits for its answer has begun by now.
    fn begin_first(&mut self, at: At, number: u32) {
        let first = self.connections.get(&number).and_then(|c| c.queue.front());
        let Some(first) = first.filter(|first| first.request.is_none()).cloned() else {
            return;
        };
        let request = self.begin_waiting(at, number, &first);
        if let Some(connection) = self.connections.get_mut(&number)
            && let Some(first) = connection.queue.front_mut()
        {
            (first.request, first.behind) = (Some(request), None);
        }
        self.goes_before(number, request);
        if first.reader == at.thread {
            self.reads(at, request);
        }
    }
}
