//! One server under a law and a traffic, told to the analyzer event by event; and what its run can show.

mod shown;

use std::collections::HashMap;

use leak_wire::Event;

use super::super::Options;
use super::super::script::{Script, Told};
use super::dice::Dice;
use super::law::{Act, Law, Memory, State, Where};
use super::traffic::{Processes, Request, Traffic, requests};
use crate::analysis::{Analysis, Verdict};

/// The call site that the law is at.
const SITE: u32 = 7;
/// Where the others allocate.
const ELSEWHERE: u32 = 8;
/// Mean bytes between two samples.
const SAMPLE: u64 = 2048;

/// A run: the law, the traffic, the seed, and whether only a sample of the blocks is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'l> {
    pub(super) law: &'l Law,
    pub(super) traffic: Traffic,
    pub(super) seed: u64,
    pub(super) sampled: bool,
}

/// What the analyzer says of it, and what is true.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// `None`: it saw none of the law's blocks.
    pub(super) verdict: Option<Verdict>,
    pub(super) is_sure: bool,
    pub(super) text: String,
    /// The run shows what is true of the law.
    pub(super) shown: bool,
    /// Requests whose blocks have outlived what is freed there, as the evidence says.
    pub(super) mature: u64,
}

/// A recorded block's history.
#[derive(Clone, Copy, Debug)]
struct Past {
    process: usize,
    /// Of the law, not of what the others do.
    subject: bool,
    /// Requests of the process, and visits of the law there, before it was made.
    request: usize,
    visit: usize,
    leaked: bool,
    /// The same when it was freed.
    death: Option<(usize, usize)>,
    /// It was not freed then, but went into another by realloc.
    moved: bool,
}

/// A process.
struct Process {
    name: String,
    memory: Memory,
    subject: State,
    others: Option<State>,
    /// By block: its place in the history, where it was recorded.
    blocks: HashMap<u32, usize>,
    requests: usize,
    visits: usize,
    /// Threads that have a connection.
    accepted: Vec<bool>,
}

struct World<'l> {
    run: Run<'l>,
    dice: Dice,
    script: Script,
    past: Vec<Past>,
    connections: usize,
}

impl Run<'_> {
    pub(super) fn outcome(self) -> Outcome {
        let mut dice = Dice::new(&format!("{} {}", self.law.name, self.traffic), self.seed);
        let requests = requests(self.traffic, &mut dice);
        let mut script = Script::default();
        if self.sampled {
            script.facts.sample_bytes = SAMPLE;
        }
        let mut world = World {
            run: self,
            dice,
            script,
            past: Vec::new(),
            connections: 0,
        };
        let processes = world.serve(&requests);
        let analysis = world.script.analysis(&Options::default());
        let (verdict, is_sure, text) = self.verdict(&analysis);
        let site = analysis.sites.iter().find(|site| site.id == SITE);
        let mature = site.map_or(0, |site| site.evidence.mature_requests);
        Outcome {
            verdict,
            is_sure,
            text,
            shown: world.shown(&processes),
            mature,
        }
    }

    fn verdict(self, analysis: &Analysis) -> (Option<Verdict>, bool, String) {
        let Some(site) = analysis.sites.iter().find(|site| site.id == SITE) else {
            return (None, false, String::new());
        };
        let evidence = &site.evidence;
        match self.law.at {
            Where::Requests => (Some(site.verdict), evidence.is_sure, evidence.text.clone()),
            Where::Background => (
                Some(site.outside_verdict),
                evidence.is_sure,
                evidence.text.clone(),
            ),
            Where::Failing(_) => {
                let group = site.groups.iter().find(|group| group.status == Some(500));
                let text = group.map_or(String::new(), |group| group.text.clone());
                (group.map(|group| group.verdict), evidence.is_sure, text)
            }
        }
    }
}

impl World<'_> {
    /// Tells all requests; gives the processes.
    fn serve(&mut self, requests: &[Request]) -> Vec<Process> {
        let law = self.run.law;
        let count = requests
            .iter()
            .map(|request| request.process)
            .max()
            .unwrap_or(0)
            + 1;
        let subjects = requests.iter().filter(|request| request.subject).count();
        let visits = match law.at {
            Where::Background => requests.len(),
            Where::Requests | Where::Failing(_) => subjects,
        };
        let server = (law.choose)(&mut self.dice, visits / count);
        let others = match law.at {
            Where::Failing(others) => {
                Some(others(&mut self.dice, (requests.len() - subjects) / count))
            }
            Where::Requests | Where::Background => None,
        };
        let bytes = self.dice.magnitude(100.0, 4096.0) as u64;
        let process = |at: usize| Process {
            name: format!("w{at}"),
            memory: Memory::new(bytes),
            subject: server(),
            others: others.as_ref().map(|others| others()),
            blocks: HashMap::new(),
            requests: 0,
            visits: 0,
            accepted: vec![false; law.threads],
        };
        let mut processes: Vec<Process> = (0..count).map(process).collect();
        if self.run.traffic.processes != Processes::One {
            self.script.tell("p1.t1 lock");
            (0..count).for_each(|at| self.script.tell(&format!("fork p1 w{at}")));
        }
        let mut last: Vec<usize> = vec![0; count];
        for (at, request) in requests.iter().enumerate() {
            last[request.process] = at;
        }
        for (at, request) in requests.iter().enumerate() {
            self.request(request, &mut processes[request.process], request.process);
            if last[request.process] == at {
                let name = &processes[request.process].name;
                self.script.tell(&format!("dies {name}"));
            }
        }
        processes
    }

    fn request(&mut self, request: &Request, process: &mut Process, index: usize) {
        let thread = self.dice.count(0, self.run.law.threads);
        let (at, connection) = self.connected(process, index, thread);
        let background = matches!(self.run.law.at, Where::Background);
        let (label, status) = match (self.run.law.at, request.subject) {
            (Where::Failing(_), true) => ("GET /law", 500),
            (Where::Failing(_), false) | (_, true) => ("GET /law", 200),
            (_, false) => ("GET /other", 200),
        };
        self.script
            .tell(&format!("{at} read c{connection} {label}"));
        let is_subject = request.subject && !background;
        match &mut process.others {
            _ if is_subject => (process.subject)(&mut process.memory, &mut self.dice, thread),
            Some(others) => others(&mut process.memory, &mut self.dice, thread),
            None => {
                let block = format!("x{connection}");
                self.script.tell(&format!(
                    "{at} alloc {block} 64 @{ELSEWHERE}; {at} free {block}"
                ));
            }
        }
        self.acts(process, index, &at, is_subject);
        self.script.tell(&format!(
            "{at} answer c{connection} {status}; {at} reads c{connection}"
        ));
        process.visits += usize::from(is_subject || background);
        process.requests += 1;
        if background {
            let worker = format!("{}.b", process.name);
            self.script.tell(&format!("{worker} lock"));
            (process.subject)(&mut process.memory, &mut self.dice, thread);
            self.acts(process, index, &worker, true);
            self.script.tell(&format!("{worker} lock"));
        }
    }

    /// The name of the thread and the number of its connection.
    fn connected(&mut self, process: &mut Process, index: usize, thread: usize) -> (String, usize) {
        let name = format!("{}.t{thread}", process.name);
        let connection = 100 * (index + 1) + thread;
        if !std::mem::replace(&mut process.accepted[thread], true) {
            self.connections += 1;
            self.script.tell(&format!(
                "{name} waits; {name} accept c{connection}; {name} reads c{connection}"
            ));
        }
        (name, connection)
    }

    /// Tells what the law did, on this thread.
    fn acts(&mut self, process: &mut Process, index: usize, thread: &str, subject: bool) {
        let (id, thread) = self.script.thread(thread);
        let now = (process.requests, process.visits);
        let address = |block: u32| ((index as u64 + 1) << 32) + 16 * (u64::from(block) + 1);
        for act in std::mem::take(&mut process.memory.acts) {
            let mut tell = |event| self.script.steps.push((id, thread, Told::Event(event)));
            let (block, bytes) = match act {
                Act::Free(block) => {
                    if let Some(at) = process.blocks.get(&block) {
                        self.past[*at].death = Some(now);
                        tell(Event::Free {
                            address: address(block),
                        });
                    }
                    continue;
                }
                Act::Allocate { block, bytes } => (block, bytes),
                Act::Grow { new, bytes, .. } => (new, bytes),
            };
            let missed = (-(bytes as f64) / SAMPLE as f64).exp();
            let taken = !self.run.sampled || !self.dice.falls(missed);
            let to = if taken { address(block) } else { 0 };
            match act {
                Act::Grow { old, .. } => {
                    let old_at = process.blocks.get(&old).copied();
                    if let Some(at) = old_at {
                        (self.past[at].death, self.past[at].moved) = (Some(now), true);
                    }
                    if old_at.is_some() || taken {
                        tell(Event::ReallocationBegin {
                            address: address(old),
                        });
                        tell(Event::ReallocationEnd {
                            address: to,
                            size: bytes,
                            site: SITE,
                        });
                    }
                }
                _ if taken => tell(Event::Allocation {
                    address: to,
                    size: bytes,
                    site: SITE,
                }),
                _ => {}
            }
            if taken {
                process.blocks.insert(block, self.past.len());
                self.past.push(Past {
                    process: index,
                    subject,
                    request: now.0,
                    visit: now.1,
                    leaked: process.memory.leaked[block as usize],
                    death: None,
                    moved: false,
                });
            }
        }
    }
}
