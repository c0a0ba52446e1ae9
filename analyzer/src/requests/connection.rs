//! A watched connection: who holds it, the requests that were read and not yet answered; how it begins,
//! is given up and ends.

use std::collections::VecDeque;

use leak_wire::Unseen;

use super::asked::TextId;
use super::label::{INCOMPLETE, LabelId};
use super::machine::{At, Machine};
use super::options::Boundary;
use super::record::RequestId;
use super::segments::Values;
use crate::analysis::Source;
use crate::trace::{ProcessId, ThreadId};

/// How a connection is cut into requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Not known yet.
    #[default]
    New,
    /// By reads and writes.
    Turns,
    /// By heads and answers.
    Framed,
    /// Not at all.
    Uncut,
}

/// A request (or several, read together) that was read and not yet answered.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The request, once it has begun.
    pub request: Option<RequestId>,
    /// Its label, once its head is complete.
    pub label: Option<LabelId>,
    /// Its head, where that is kept.
    pub asked: TextId,
    /// What stands where its label folds the path.
    pub values: Values,
    /// Bytes read with it so far; `None`: nobody can tell which of them are its.
    pub bytes_in: Option<u64>,
    /// The same of its answer.
    pub bytes_out: Option<u64>,
    /// Where it comes from.
    pub source: Source,
    /// How many were read.
    pub count: u32,
    /// Which read brought it.
    pub read: u32,
    /// Who did that.
    pub reader: ThreadId,
    /// When.
    pub since: u64,
    /// Others were read with it that come before it.
    pub waited: bool,
    /// So it is, and it has not begun: who serves the last before it that has.
    pub behind: Option<ThreadId>,
}

/// The request that was answered last.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Which.
    pub request: RequestId,
    /// Its label.
    pub label: Option<LabelId>,
    /// The answer's status.
    pub status: Option<u32>,
    /// Which read brought it.
    pub read: u32,
    /// Which write answered it.
    pub write: u32,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// The local end: `tcp:PORT` or `unix:PATH`.
    pub local: String,
    /// The label of its messages, after an upgrade to WebSocket.
    pub messages: Option<LabelId>,
    /// Processes with a descriptor of it.
    pub holders: Vec<ProcessId>,
    /// How it is cut.
    pub mode: Mode,
    /// Why it isn't.
    pub unseen: Option<Unseen>,
    /// Oldest first. The first has begun.
    pub queue: VecDeque<Waiting>,
    /// Number of the read that is under way or was last.
    pub reads: u32,
    /// Bytes of the read that was last.
    pub last_read: Option<u64>,
    /// Number of the write that is under way or was last.
    pub writes: u32,
    /// Who has entered a write that answers the first of the queue.
    pub writer: Option<ThreadId>,
    /// What was answered last.
    pub answered: Option<Answered>,
    /// The request from accept to close, with `--boundary connection`.
    pub whole: Option<RequestId>,
}

impl Machine {
    pub(super) fn accept(&mut self, at: At, number: u32, local: String) {
        let state = self.process(at.process);
        state.connections.insert(number);
        state.most_connections = state.most_connections.max(state.connections.len());
        if self.boundary != Boundary::Connection {
            self.owners.accepts(at.thread, number, &mut self.records);
        }
        let whole = (self.boundary == Boundary::Connection).then(|| {
            let label = self.labels.intern(&local);
            let request = self.begin(at, number, Source::Connection, Some(label), 1);
            self.reads(at, request);
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

    /// The connection speaks something else now: what is read are turns, or messages that are told one by one.
    pub(super) fn upgraded(&mut self, number: u32, tells_messages: bool) {
        self.give_up(number, true);
        let mode = match (self.turns(), tells_messages) {
            (true, true) => Mode::Framed,
            (true, false) => Mode::Turns,
            (false, _) => Mode::Uncut,
        };
        let messages = self.websocket(number);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.mode = mode;
            connection.messages = messages;
        }
    }

    /// The label of the messages of a connection that was upgraded by a GET request answered 101, as WebSocket is:
    /// `ws /route`.
    fn websocket(&mut self, number: u32) -> Option<LabelId> {
        let answered = self.connections.get(&number)?.answered?;
        let label = answered.label.filter(|_| answered.status == Some(101))?;
        let path = self
            .labels
            .names()
            .get(label as usize)?
            .strip_prefix("GET ")?;
        let label = format!("ws {path}");
        Some(self.labels.intern(&label))
    }

    /// Requests of the connection can't be told apart any more.
    pub(super) fn uncut(&mut self, number: u32, reason: Unseen) {
        self.give_up(number, false);
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.mode = Mode::Uncut;
        connection.unseen = Some(reason);
        // Their answers will not be seen: who serves them may do anything by now.
        let behind = connection.queue.iter_mut();
        for server in behind.filter_map(|waiting| waiting.behind.take()) {
            self.owners.count_behind(server, false);
        }
        let left = connection.queue.iter();
        let left: Vec<RequestId> = left.filter_map(|waiting| waiting.request).collect();
        for request in left {
            self.settle_answer(request);
            let server = self.records[request as usize].thread;
            if self.owners.served_by(server) == Some(request) {
                self.owners.is_relieved(server, &mut self.records);
            }
        }
    }

    /// What waits for an answer was no request: turns and incomplete heads, or all.
    pub(super) fn give_up(&mut self, number: u32, all: bool) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let by_turns = matches!(connection.mode, Mode::New | Mode::Turns);
        let (kept, given_up): (Vec<Waiting>, Vec<Waiting>) = std::mem::take(&mut connection.queue)
            .into_iter()
            .partition(|w| !(all || by_turns || w.label.is_none()));
        connection.queue = kept.into();
        for server in given_up.iter().filter_map(|waiting| waiting.behind) {
            self.owners.count_behind(server, false);
        }
        for request in given_up.iter().filter_map(|waiting| waiting.request) {
            self.void(request, None);
        }
    }

    /// Whether bytes that nobody answered, on a connection that closes, were no request: where others have heads,
    /// those were a stranger's (a probe, a scanner). Where none has yet, that may show later.
    fn is_stray(&mut self, request: RequestId, local: &str) -> bool {
        if self.framed_ports.contains(local) {
            self.void(request, None);
            return true;
        }
        self.strays
            .entry(local.to_owned())
            .or_default()
            .push(request);
        false
    }

    /// Connections to this port have heads.
    pub(super) fn port_is_framed(&mut self, local: &str) {
        if self.framed_ports.contains(local) {
            return;
        }
        self.framed_ports.insert(local.to_owned());
        for request in self.strays.remove(local).unwrap_or_default() {
            self.void(request, None);
        }
    }

    /// A process holds the connection no more. Gives the connection where that was the last one.
    fn remove_holder(&mut self, number: u32, process: ProcessId) -> Option<Connection> {
        let connection = self.connections.get_mut(&number)?;
        connection.holders.retain(|holder| *holder != process);
        if !connection.holders.is_empty() {
            return None;
        }
        self.owners.is_closed(number, &mut self.records);
        let connection = self.connections.remove(&number)?;
        if let Some(reason) = connection.unseen {
            *self
                .unseen
                .entry((connection.local.clone(), reason as u8))
                .or_default() += 1;
        }
        Some(connection)
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
        let Some(connection) = self.remove_holder(number, process) else {
            return;
        };
        let mut server = None;
        for server in connection.queue.iter().filter_map(|waiting| waiting.behind) {
            self.owners.count_behind(server, false);
        }
        for waiting in &connection.queue {
            let request = match (waiting.request, server) {
                (Some(request), _) => request,
                // Read together with a request that was never answered: it begins and ends here.
                (None, Some((process, thread, host))) if closed && self.owners.runs(process) => {
                    let at = At {
                        stamp,
                        process,
                        thread,
                        host,
                    };
                    self.begin(at, number, waiting.source, waiting.label, waiting.count)
                }
                _ => continue,
            };
            let record = &mut self.records[request as usize];
            if record.label.is_none() {
                record.label = Some(self.labels.intern(INCOMPLETE));
            }
            server = Some((record.process, record.thread, record.host));
            let moved = record.process != process;
            let is_new = closed && connection.mode == Mode::New;
            if is_new && self.is_stray(request, &connection.local) {
                continue;
            }
            if closed || moved {
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
