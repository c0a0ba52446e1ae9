//! A small language for event tables: statements of one thread each, separated by `;`.
//!
//! ```text
//! t1 accept c1               t1 recv c1 / t1 send c1      bytes read, written
//! t1 begun c1                t1 read c1 GET /a x2, GET /b heads read by one read
//! t1 answer c1 200 x2, 404   one write with these answers
//! t1 poll|lock|waits|reads c1|writes c1                   enters a wait
//! t1 lock w1                 waits for what has the word 1
//! t1 notify|notify-all w1    is about to wake one that waits for it, or all
//! t1 queue                                                takes a queue's lock
//! t1 wake                                                 writes a byte that wakes another thread
//! t1 alloc a 10 @7           t1 free a                    block `a`, 10 bytes, call site 7
//! t1 realloc a b 20 @7       t1 intent a; t1 outcome b 20 @7 | t1 failed | t1 freed
//! t1 task a / t1 loop        runs the task in block `a`, none
//! t1 begin L / t1 end / t1 mark L    t1 close c1    t1 says-end    t1 dies
//! t1 creates 5 / t2 created 5                              a thread, by its number
//! t1 exits                           the process begins to end
//! t1 stack 5 8192 @7 / t1 maps 1 4096 @7   a thread's stack, memory at page 1, by a call with this site
//! fork p1 p2                 dies p1                      threads of p2 are p2.t1, ...
//! ```

mod play;

use std::collections::HashMap;

use leak_wire::{Backing, Event, Protocol, Transfer, Unseen, Wait};

use super::Options;
use crate::trace::{Facts, Origin, Process, Thread};

/// A step that owns its text.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Begins,
    Ends,
    ThreadBegins,
    ThreadEnds,
    Event(Event<'static>),
    Accept(u32, String),
    Request(u32, u32, Protocol, String),
    MarkBegin(String),
    Mark(String),
}

/// A list of steps, and the facts that go with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub(super) steps: Vec<(u32, u32, Told)>,
    pub(super) facts: Facts,
    processes: HashMap<String, u32>,
    threads: HashMap<String, u32>,
    blocks: HashMap<String, u64>,
}

impl Script {
    pub(super) fn process(&mut self, name: &str, parent: Option<u32>) -> u32 {
        if let Some(id) = self.processes.get(name) {
            return *id;
        }
        let id = self.facts.processes.len() as u32;
        self.facts.processes.push(Process {
            parent,
            origin: match parent {
                Some(_) => Origin::Fork,
                None => Origin::First,
            },
            ..Process::default()
        });
        self.processes.insert(name.to_string(), id);
        self.steps.push((id, 0, Told::Begins));
        id
    }

    pub(super) fn thread(&mut self, name: &str) -> (u32, u32) {
        let process = self.process(name.split_once('.').map_or("p1", |parts| parts.0), None);
        if let Some(id) = self.threads.get(name) {
            return (process, *id);
        }
        let id = self.facts.threads.len() as u32;
        self.facts.threads.push(Thread {
            process,
            tid: id + 1,
        });
        self.threads.insert(name.to_string(), id);
        self.steps.push((process, id, Told::ThreadBegins));
        (process, id)
    }

    fn address(&mut self, block: &str) -> u64 {
        let next = 16 * (self.blocks.len() as u64 + 1);
        *self.blocks.entry(block.to_string()).or_insert(next)
    }

    /// Adds the statements of `text`.
    pub(super) fn tell(&mut self, text: &str) {
        for statement in text.split([';', '\n']) {
            let words: Vec<&str> = statement.split_whitespace().collect();
            if !words.is_empty() {
                self.statement(&words);
            }
        }
    }

    fn statement(&mut self, words: &[&str]) {
        match words {
            ["fork", parent, child] => {
                let parent = self.process(parent, None);
                self.process(child, Some(parent));
            }
            ["dies", process] => {
                let id = self.process(process, None);
                let threads: Vec<u32> = (0..)
                    .zip(&self.facts.threads)
                    .filter(|(_, thread)| thread.process == id)
                    .map(|(id, _)| id)
                    .collect();
                for thread in threads {
                    self.steps.push((id, thread, Told::ThreadEnds));
                }
                self.steps.push((id, 0, Told::Ends));
            }
            [thread, rest @ ..] => {
                let (process, thread) = self.thread(thread);
                for told in self.verb(rest) {
                    self.steps.push((process, thread, told));
                }
            }
            [] => {}
        }
    }

    fn verb(&mut self, words: &[&str]) -> Vec<Told> {
        let enter = |wait, connection| Told::Event(Event::Enter { wait, connection });
        let moved = |connection, transfer| {
            Told::Event(Event::Transferred {
                connection,
                transfer,
                bytes: 1,
            })
        };
        let one = |event| vec![Told::Event(event)];
        match *words {
            ["accept", c] => vec![Told::Accept(number(c), "tcp:80".into())],
            ["recv", c] => vec![moved(number(c), Transfer::Read)],
            ["send", c] => vec![
                enter(Wait::Write, number(c)),
                moved(number(c), Transfer::Write),
            ],
            ["sent", c] => vec![moved(number(c), Transfer::Write)],
            ["begun", c] => vec![
                moved(number(c), Transfer::Read),
                Told::Event(Event::RequestBegun {
                    connection: number(c),
                }),
            ],
            // The client is gone: found by a read.
            ["gone", c] => one(Event::Transferred {
                connection: number(c),
                transfer: Transfer::Read,
                bytes: 0,
            }),
            ["upgraded", c] => one(Event::Upgraded {
                connection: number(c),
            }),
            // The first of a WebSocket's frames, with which no message comes.
            ["frames", c] => vec![
                moved(number(c), Transfer::Read),
                Told::Event(Event::Messages {
                    connection: number(c),
                }),
            ],
            ["message", c, count] => vec![
                moved(number(c), Transfer::Read),
                Told::Request(
                    number(c),
                    count.parse().unwrap(),
                    Protocol::Websocket,
                    String::new(),
                ),
            ],
            ["unseen", c] => one(Event::Unseen {
                connection: number(c),
                reason: Unseen::Tls,
            }),
            ["read", c, ref heads @ ..] => {
                let mut told = vec![moved(number(c), Transfer::Read)];
                told.extend(requests(number(c), heads));
                told
            }
            ["answer", c, ref answers @ ..] => {
                let mut told = vec![
                    enter(Wait::Write, number(c)),
                    moved(number(c), Transfer::Write),
                ];
                told.extend(answered(number(c), answers));
                told
            }
            ["answered", c, ref answers @ ..] => answered(number(c), answers),
            ["task", block] => one(Event::Task {
                task: self.address(block),
            }),
            ["loop"] => one(Event::Task { task: 0 }),
            ["poll"] => vec![enter(Wait::Poll, 0)],
            ["lock"] => vec![enter(Wait::Lock, 0)],
            ["lock", w] => vec![enter(Wait::Lock, number(w))],
            ["notify", w] => vec![enter(Wait::Notify, number(w))],
            ["notify-all", w] => vec![enter(Wait::NotifyAll, number(w))],
            ["queue"] => vec![enter(Wait::Queue, 0)],
            ["wake"] => vec![enter(Wait::Wake, 0)],
            ["waits"] => vec![enter(Wait::Accept, 0)],
            ["reads", c] => vec![enter(Wait::Read, number(c))],
            ["writes", c] => vec![enter(Wait::Write, number(c))],
            ["close", c] => one(Event::Close {
                connection: number(c),
            }),
            ["alloc", block, size, ref site @ ..] => one(Event::Allocation {
                address: self.address(block),
                size: size.parse().unwrap(),
                site: at(site),
            }),
            ["free", block] => one(Event::Free {
                address: self.address(block),
            }),
            ["realloc", old, new, size, ref site @ ..] => {
                let begin = Event::ReallocationBegin {
                    address: self.address(old),
                };
                let end = Event::ReallocationEnd {
                    address: self.address(new),
                    size: size.parse().unwrap(),
                    site: at(site),
                };
                vec![Told::Event(begin), Told::Event(end)]
            }
            ["intent", block] => one(Event::ReallocationBegin {
                address: self.address(block),
            }),
            ["outcome", block, size, ref site @ ..] => one(Event::ReallocationEnd {
                address: self.address(block),
                size: size.parse().unwrap(),
                site: at(site),
            }),
            ["failed"] => one(Event::ReallocationFailed),
            ["freed"] => one(Event::ReallocationFreed),
            ["begin", label] => vec![Told::MarkBegin(label.into())],
            ["end"] => one(Event::MarkEnd),
            ["mark", label] => vec![Told::Mark(label.into())],
            ["creates", thread] => one(Event::ThreadCreate {
                thread: thread.parse().unwrap(),
            }),
            ["created", thread] => one(Event::ThreadCreated {
                thread: thread.parse().unwrap(),
            }),
            ["stack", thread, size, ref site @ ..] => one(Event::ThreadStack {
                thread: thread.parse().unwrap(),
                handle: thread.parse().unwrap(),
                size: size.parse().unwrap(),
                detached: false,
                site: at(site),
            }),
            ["maps", page, size, ref site @ ..] => one(Event::Mapped {
                address: page.parse::<u64>().unwrap() << 32,
                size: size.parse().unwrap(),
                backing: Backing::Private,
                site: at(site),
            }),
            ["exits"] => one(Event::ExitBegins),
            ["says-end"] => one(Event::ThreadEnd),
            ["dies"] => vec![Told::ThreadEnds],
            _ => panic!("no such statement: {words:?}"),
        }
    }
}

/// The number of a connection (`c1`) or a word (`w1`).
fn number(connection: &str) -> u32 {
    connection.trim_start_matches(['c', 'w']).parse().unwrap()
}

fn at(site: &[&str]) -> u32 {
    site.first()
        .map_or(1, |site| site.trim_start_matches('@').parse().unwrap())
}

/// Splits at commas, and a count `xN` off each part.
fn counted(words: &[&str]) -> Vec<(String, u32)> {
    let joined = words.join(" ");
    let part = |part: &str| match part.trim().rsplit_once(" x") {
        Some((text, count)) => (text.to_string(), count.parse().unwrap()),
        None => (part.trim().to_string(), 1),
    };
    joined.split(',').map(part).collect()
}

fn requests(connection: u32, heads: &[&str]) -> Vec<Told> {
    let request = |(head, count): (String, u32)| {
        let protocol = match head.contains(' ') {
            true => Protocol::Http,
            false => Protocol::Redis,
        };
        Told::Request(connection, count, protocol, head)
    };
    counted(heads).into_iter().map(request).collect()
}

fn answered(connection: u32, answers: &[&str]) -> Vec<Told> {
    let answer = |(status, count): (String, u32)| {
        Told::Event(Event::Answer {
            connection,
            count,
            status: status.parse().unwrap(),
        })
    };
    counted(answers).into_iter().map(answer).collect()
}

/// A line for each request, and one for what belongs to none.
pub(super) fn story(text: &str, options: &Options) -> Vec<String> {
    let mut script = Script::default();
    script.tell(text);
    let analysis = script.analysis(options);
    let mut lines: Vec<String> = analysis
        .requests
        .iter()
        .map(|request| {
            let mut line = analysis.endpoints[request.endpoint as usize].label.clone();
            let mut say = |what: &str, value: u64| {
                if value > 0 {
                    line.push_str(&format!(" {what} {value}"));
                }
            };
            say("x", u64::from(request.count) - 1);
            say("status", u64::from(request.status.unwrap_or(0)));
            say("blocks", request.allocations);
            say("associated", request.associated.blocks);
            say("survive", request.survivor_blocks);
            say("retained", request.retained_blocks);
            if request.end_ns.is_none() {
                line.push_str(" open");
            }
            line
        })
        .collect();
    let outside = analysis.totals.outside.allocations;
    if outside > 0 {
        lines.push(format!("outside {outside}"));
    }
    lines
}
