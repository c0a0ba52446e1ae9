//! A naive oracle: the rules of requests, owners, survivors and retained blocks for HTTP connections,
//! each answered by scanning all steps, compared with the streaming code on many random traces.

mod blocks;
mod compare;
mod exit;
mod random;
mod workers;

use std::collections::HashMap;

use leak_wire::{Event, Wait};

use super::script::{Script, Told};

/// A request, by scanning.
#[derive(Clone, Debug)]
struct Request {
    label: String,
    status: u32,
    count: u32,
    process: u32,
    /// Steps are numbered from 0.
    begin: usize,
    /// Who read its head; `u32::MAX`: it never was its turn.
    reader: u32,
    /// It begins with the read of its head, not with the answer to the one before.
    by_head: bool,
    /// When its head was read; others came before it in that read.
    head: usize,
    waited: bool,
    /// The read that it was part of, and the write of its answer.
    read: usize,
    write: Option<usize>,
    answer: Option<usize>,
    end: Option<usize>,
    /// It ends with its process, as of its answer.
    last: bool,
    /// It waits for an answer when its connection closes: when, who held it last, whether by a close.
    closing: Option<(usize, u32, bool)>,
    /// It never was its turn: it ends as this one does.
    behind: Option<usize>,
    /// It never was its turn, and its process has died: it is none.
    void: bool,
}

/// A block in the view of one process.
#[derive(Clone, Debug)]
struct Block {
    process: u32,
    site: u32,
    address: u64,
    size: u64,
    born: usize,
    ended: Option<usize>,
    inherited: bool,
    reallocated: bool,
}

/// One head or answer by itself.
#[derive(Clone, Debug)]
struct One {
    step: usize,
    /// The read or write that it was part of.
    batch: usize,
    process: u32,
    thread: u32,
    label: String,
    status: u32,
}

/// A head that was read together with others that come before it.
#[derive(Clone, Debug)]
struct Behind {
    head: usize,
    /// Its connection's requests before it, and itself, if it ever begins.
    before: Vec<usize>,
    own: Option<usize>,
    /// When its connection is closed.
    until: usize,
}

struct Oracle<'s> {
    steps: &'s [(u32, u32, Told)],
    parents: Vec<Option<u32>>,
    requests: Vec<Request>,
    behind: Vec<Behind>,
    /// (step, thread, request): the thread touched it. Several of one step in their order.
    touches: Vec<(usize, u32, usize)>,
    /// Whose each block is, and whether the proof holds in its process.
    owners: HashMap<usize, (usize, bool)>,
    /// Blocks of threads that lived for one request, and when that was known.
    born_for: HashMap<usize, usize>,
    blocks: Vec<Block>,
    frees: HashMap<u32, u64>,
    unknown_frees: u64,
}

impl<'s> Oracle<'s> {
    fn new(script: &'s Script) -> Self {
        let mut oracle = Oracle {
            steps: &script.steps,
            parents: script.facts.processes.iter().map(|p| p.parent).collect(),
            requests: Vec::new(),
            behind: Vec::new(),
            touches: Vec::new(),
            owners: HashMap::new(),
            born_for: HashMap::new(),
            blocks: Vec::new(),
            frees: HashMap::new(),
            unknown_frees: 0,
        };
        for connection in 1..64 {
            oracle.cut(connection);
        }
        oracle.replay();
        workers::run(&mut oracle);
        oracle.close();
        oracle
    }

    fn died(&self, process: u32) -> usize {
        let dies = |(of, _, told): &(u32, u32, Told)| *of == process && matches!(told, Told::Ends);
        self.steps.iter().position(dies).unwrap_or(usize::MAX)
    }

    /// When the connection's last holder closed it or died, and whether that one closed it.
    fn closed(&self, connection: u32) -> Option<(usize, u32, bool)> {
        let mut holders: Vec<u32> = Vec::new();
        for (step, (process, _, told)) in self.steps.iter().enumerate() {
            let before = holders.len();
            let mut by_close = false;
            match told {
                Told::Accept(number, _) if *number == connection => holders.push(*process),
                Told::Begins => {
                    if let Some(parent) = self.parents[*process as usize]
                        && holders.contains(&parent)
                    {
                        holders.push(*process);
                    }
                }
                Told::Ends => holders.retain(|holder| holder != process),
                Told::Event(Event::Close { connection: number }) if *number == connection => {
                    holders.retain(|holder| holder != process);
                    by_close = true;
                }
                _ => {}
            }
            if before > 0 && holders.is_empty() {
                return Some((step, *process, by_close));
            }
        }
        None
    }

    /// Cuts a connection: the k-th answer answers the k-th head.
    fn cut(&mut self, connection: u32) {
        let (mut heads, mut answers): (Vec<One>, Vec<One>) = (Vec::new(), Vec::new());
        let (mut reads, mut writes) = (0, 0);
        let closed = self.closed(connection);
        let until = closed.map_or(self.steps.len(), |closed| closed.0);
        for step in 0..until {
            let (process, thread, told) = &self.steps[step];
            let one = |batch, label: &str, status| One {
                step,
                batch,
                process: *process,
                thread: *thread,
                label: label.to_string(),
                status,
            };
            match told {
                Told::Event(Event::Transferred {
                    connection: number,
                    transfer,
                    ..
                }) if *number == connection => match transfer {
                    leak_wire::Transfer::Read => reads = step,
                    leak_wire::Transfer::Write => writes = step,
                },
                Told::Event(Event::Enter {
                    wait: Wait::Write,
                    connection: number,
                }) if *number == connection => {
                    writes = step;
                }
                Told::Request(number, count, _, label) if *number == connection => {
                    heads.extend((0..*count).map(|_| one(reads, label, 0)));
                }
                Told::Event(Event::Answer {
                    connection: number,
                    count,
                    status,
                }) if *number == connection => {
                    answers.extend((0..*count).map(|_| one(writes, "", *status)));
                }
                _ => {}
            }
        }
        let mut last: Option<usize> = None;
        let mut before: Vec<usize> = Vec::new();
        for (index, head) in heads.iter().enumerate() {
            let answer = answers.get(index);
            let with_former = last.filter(|_| {
                let (former, former_answer) = (&heads[index - 1], answers.get(index - 1));
                let (Some(a), Some(b)) = (answer, former_answer) else {
                    // Unanswered ones that were read together stay one, if one head told them.
                    return answer.is_none() && former_answer.is_none() && former.step == head.step;
                };
                former.batch == head.batch
                    && former.label == head.label
                    && (a.batch, a.status) == (b.batch, b.status)
            });
            if let Some(former) = with_former {
                self.requests[former].count += 1;
                continue;
            }
            let behind = index > 0 && heads[index - 1].batch == head.batch;
            let read_before = |other: &One| other.batch == head.batch && other.step != head.step;
            let waited = heads[..index].iter().any(read_before);
            let own_event = index == 0 || heads[index - 1].step != head.step;
            let waits = |own| Behind {
                head: head.step,
                before: before.clone(),
                own,
                until,
            };
            let starts = match behind {
                // Read together with the former: begins when that one is answered.
                true => answers.get(index - 1),
                false => Some(head),
            };
            let (reader, begin, process) = match (starts, closed) {
                // Until its first head a connection may be anything: its first bytes begin a request.
                (Some(one), _) if index == 0 => (head.thread, one.batch, one.process),
                (Some(one), _) => (head.thread, one.step, one.process),
                // Never its turn: begins and ends with the close.
                (None, Some((step, _, true))) => (u32::MAX, step, 0),
                (None, _) => {
                    self.behind
                        .extend((waited && own_event).then(|| waits(None)));
                    last = None;
                    continue;
                }
            };
            let id = self.requests.len();
            self.behind
                .extend((waited && own_event).then(|| waits(Some(id))));
            before.push(id);
            self.requests.push(Request {
                label: head.label.clone(),
                status: answer.map_or(0, |answer| answer.status),
                count: 1,
                process,
                begin,
                reader,
                by_head: !behind,
                head: head.step,
                waited,
                read: head.batch,
                write: answer.map(|answer| answer.batch),
                answer: answer.map(|answer| answer.step),
                end: None,
                last: false,
                closing: closed.filter(|_| answer.is_none()),
                void: false,
                behind: last.filter(|_| reader == u32::MAX),
            });
            last = Some(id);
        }
    }

    /// Requests that a close leaves without an answer end with it, those of a process that dies don't.
    fn close(&mut self) {
        for id in 0..self.requests.len() {
            if let Some(former) = self.requests[id].behind {
                let process = self.process_at(former, usize::MAX);
                self.requests[id].process = process;
                self.requests[id].void = self.died(process) <= self.requests[id].begin;
            }
            if let Some((step, by, by_close)) = self.requests[id].closing
                && (by_close || by != self.process_at(id, step))
                && self.died(self.process_at(id, step)) > step
            {
                self.requests[id].end = Some(step);
            }
        }
    }

    /// The process that touched the request last before `step`.
    fn process_at(&self, request: usize, step: usize) -> u32 {
        let touched = |touch: &&(usize, u32, usize)| touch.2 == request && touch.0 < step;
        let last = self.touches.iter().rev().find(touched);
        last.map_or(self.requests[request].process, |touch| {
            self.steps[touch.0].0
        })
    }

    /// The request whose head is the first of the connection without an answer at `step`.
    fn first_unanswered(&self, connection: u32, step: usize) -> Option<usize> {
        if self
            .closed(connection)
            .is_some_and(|closed| closed.0 < step)
        {
            return None;
        }
        let of = |told: &Told| match told {
            Told::Request(number, count, ..) if *number == connection => (*count as i64, 0),
            Told::Event(Event::Answer {
                connection: number,
                count,
                ..
            }) if *number == connection => (0, i64::from(*count)),
            _ => (0, 0),
        };
        let before = self.steps[..step].iter().map(|(_, _, told)| of(told));
        let (heads, answers) = before.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if answers >= heads {
            return None;
        }
        // Requests of one connection are in order: find the one that holds head number `answers`.
        let mut position = 0;
        for (id, request) in self.of_connection(connection) {
            position += i64::from(request.count);
            if answers < position {
                return Some(id);
            }
        }
        None
    }

    fn of_connection(&self, connection: u32) -> impl Iterator<Item = (usize, &Request)> {
        // Labels tell the connection in random traces: `GET /c1/x`.
        let prefix = format!("GET /c{connection}/");
        let numbered = self.requests.iter().enumerate();
        numbered.filter(move |(_, request)| request.label.starts_with(&prefix))
    }
}
