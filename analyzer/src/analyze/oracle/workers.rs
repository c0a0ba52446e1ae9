//! What each thread serves, step by step, and whose its blocks are by that. Nothing is cached or put off: a zone
//! is a list of blocks, and what a thread owes is counted anew each time.
//!
//! One file on purpose: naive, to be read from top to bottom beside the rules of `requests/owner.rs`.

use std::collections::{HashMap, HashSet};

use leak_wire::{Event, Transfer, Wait};

use super::super::script::Told;
use super::{Behind, Block, Oracle, Request};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Serves {
    #[default]
    None,
    Request(usize, bool),
    Tail(usize),
}

/// What a proof rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rests {
    Touch,
    Handed,
    Waited,
    Tail,
    Passed,
    Alone,
}

impl Rests {
    fn on(waited: bool) -> Rests {
        match waited {
            true => Rests::Waited,
            false => Rests::Touch,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Worker {
    serves: Serves,
    waited: bool,
    woke: bool,
    /// A loop has written to one that streams since it answered.
    passed: bool,
    after: bool,
    /// It serves none by what others did, and has not waited nor taken a queue's lock since.
    adrift: bool,
    /// Requests that it has answered since it last waited.
    answered: usize,
    /// It has waited for readiness.
    polls: bool,
    zone: Vec<usize>,
    /// Before its first touch; then the request that it lives for, and its blocks from before.
    born_for: Option<(usize, Vec<usize>)>,
    lived: bool,
    /// The request whose worker created it, and by what proof; its blocks from before its last wait.
    within: Option<(usize, Rests, Vec<usize>)>,
    reads: bool,
    answers_others: bool,
    /// What it did up to an answer behind which others waited.
    aside: Option<(usize, Vec<usize>)>,
    /// The last request that it answered by itself, while others waited behind it.
    alone: Option<usize>,
}

#[derive(Debug, Default)]
struct Run {
    workers: HashMap<u32, Worker>,
    process_of: HashMap<u32, u32>,
    /// Who touched a request last, of those that have begun.
    toucher: HashMap<usize, u32>,
    answered: HashSet<usize>,
    ended: HashSet<usize>,
    ended_at: HashMap<usize, usize>,
    answer_begun: HashSet<usize>,
    touches: Vec<(usize, u32, usize)>,
    /// Block, request, and what proves that.
    owners: Vec<(usize, usize, Rests)>,
    /// Blocks of threads that lived for one request, and when that was known.
    born_for: HashMap<usize, usize>,
    step: usize,
    /// For whom threads are created, and what proves that.
    creations: HashMap<(u32, u64), (usize, Rests)>,
    migrates: HashSet<u32>,
    multiplexes: HashSet<u32>,
    takes_unseen: HashSet<u32>,
    answers_together: HashSet<u32>,
    resumes: HashSet<u32>,
    behind: Vec<Behind>,
}

impl Run {
    fn unanswered(&self, thread: u32) -> usize {
        let mine = self.toucher.iter().filter(|(_, of)| **of == thread);
        mine.filter(|(request, _)| {
            !self.answered.contains(request) && !self.ended.contains(request)
        })
        .count()
    }

    /// Heads that wait behind what the thread serves.
    fn behind(&self, thread: u32) -> usize {
        let waits = |one: &&Behind| {
            let begun = one.own.is_some_and(|own| self.toucher.contains_key(&own));
            let mut before = one.before.iter().rev();
            let server = before.find_map(|before| self.toucher.get(before));
            one.head <= self.step && self.step < one.until && !begun && server == Some(&thread)
        };
        self.behind.iter().filter(waits).count()
    }

    fn is_sole(&self, thread: u32) -> bool {
        self.unanswered(thread) + self.behind(thread) <= 1
    }

    fn puts_aside(&mut self, thread: u32, request: usize) {
        self.settle_aside(thread);
        let waits = self.behind(thread) > 0 && self.unanswered(thread) == 0;
        let worker = self.worker(thread);
        let zone = std::mem::take(&mut worker.zone);
        if waits && worker.serves == Serves::Request(request, true) && !worker.polls {
            worker.aside = Some((request, zone));
        }
    }

    fn settle_aside(&mut self, thread: u32) {
        let Some((answered, blocks)) = self.worker(thread).aside.take() else {
            return;
        };
        let worker = self.worker(thread).clone();
        let gone_on = match worker.serves {
            Serves::Request(request, true) if request != answered => {
                let mut owners = self.owners.iter();
                !worker.zone.is_empty() || owners.any(|(_, of, _)| *of == request)
            }
            _ => false,
        };
        if gone_on {
            self.worker(thread).alone = Some(answered);
            let blocks = blocks.into_iter();
            self.owners
                .extend(blocks.map(|block| (block, answered, Rests::Alone)));
        }
    }

    /// Another one is answered by the same write.
    fn answers_together(&mut self, former: usize) {
        let server = self.toucher[&former];
        let process = self.process_of[&server];
        self.answers_together.insert(process);
        let worker = self.worker(server);
        if worker.aside.as_ref().is_some_and(|aside| aside.0 == former) {
            worker.aside = None;
        }
    }

    fn worker(&mut self, thread: u32) -> &mut Worker {
        self.workers.entry(thread).or_default()
    }

    fn give(&mut self, thread: u32, request: usize, rests: Rests) {
        for block in std::mem::take(&mut self.worker(thread).zone) {
            self.owners.push((block, request, rests));
        }
    }

    fn drop_zone(&mut self, thread: u32) {
        self.worker(thread).zone.clear();
    }

    fn end_birth(&mut self, thread: u32, next: Option<usize>) {
        let worker = self.worker(thread);
        worker.lived = true;
        if worker
            .born_for
            .as_ref()
            .is_some_and(|born_for| Some(born_for.0) != next)
        {
            worker.born_for = None;
        }
        if let Some((request, rests, mut blocks)) = self.worker(thread).within.take()
            && next.is_none()
            && !self.ended.contains(&request)
        {
            blocks.append(&mut self.worker(thread).zone);
            self.worker(thread).within = Some((request, rests, blocks));
        }
    }

    fn creates(&mut self, process: u32, thread: u32, created: u64) {
        let (others, sole) = (self.unanswered(thread), self.is_sole(thread));
        let worker = self.worker(thread);
        let made_for = match worker.serves {
            Serves::Request(request, _) if sole => Some((request, Rests::on(worker.waited))),
            Serves::Tail(request) if others == 0 => Some((request, Rests::Tail)),
            _ => None,
        };
        self.creations.remove(&(process, created));
        self.creations
            .extend(made_for.map(|made_for| ((process, created), made_for)));
    }

    fn was_created(&mut self, process: u32, thread: u32, created: u64) {
        if let Some((request, rests)) = self.creations.remove(&(process, created))
            && !self.worker(thread).lived
            && self.worker(thread).zone.is_empty()
            && !self.ended.contains(&request)
        {
            let worker = self.worker(thread);
            worker.lived = true;
            worker.within = Some((request, rests, Vec::new()));
        }
    }

    fn serve(&mut self, thread: u32, request: usize, own: bool) {
        let worker = self.worker(thread);
        (worker.serves, worker.waited) = (Serves::Request(request, own), false);
        (worker.after, worker.adrift, worker.passed) = (false, false, false);
        if worker.reads && worker.answers_others {
            let process = self.process_of[&thread];
            self.migrates.insert(process);
        }
        if self.unanswered(thread) > 1 {
            let process = self.process_of[&thread];
            self.multiplexes.insert(process);
        }
    }

    fn reads(&mut self, step: usize, thread: u32, request: usize) {
        if let Serves::Tail(_) = self.worker(thread).serves {
            if self.worker(thread).woke {
                self.drop_zone(thread);
            }
            self.rest(thread);
        }
        let worker = self.worker(thread);
        worker.reads = true;
        if !worker.lived && worker.serves == Serves::None {
            worker.born_for = Some((request, std::mem::take(&mut worker.zone)));
            worker.lived = true;
        } else {
            self.end_birth(thread, Some(request));
            self.drop_zone(thread);
        }
        self.touches.push((step, thread, request));
        self.serve(thread, request, true);
    }

    /// Whether this began the answer.
    fn touch(&mut self, step: usize, thread: u32, request: usize, reader: u32) -> bool {
        let begins = !self.answer_begun.contains(&request);
        let served = match self.worker(thread).serves {
            Serves::None => None,
            Serves::Request(request, _) | Serves::Tail(request) => Some(request),
        };
        if !begins && served.is_some_and(|other| other != request) {
            let process = self.process_of[&thread];
            let resumes = self.resumes.contains(&process);
            let worker = self.worker(thread);
            worker.passed |= worker.polls && matches!(worker.serves, Serves::Tail(_));
            if worker.polls && resumes {
                worker.zone.clear();
            }
            return false;
        }
        self.answer_begun.insert(request);
        self.touches.push((step, thread, request));
        let before = self.toucher.insert(request, thread);
        if let Some(before) = before.filter(|before| *before != thread)
            && let Serves::Request(other, _) | Serves::Tail(other) = self.worker(before).serves
            && other == request
        {
            self.drop_zone(before);
            self.worker(before).serves = Serves::None;
            self.worker(before).adrift = true;
        }
        let worker = self.worker(thread);
        let after_wait = match worker.serves {
            Serves::None => true,
            Serves::Request(served, _) => served == request && worker.waited,
            Serves::Tail(_) => false,
        };
        if after_wait && worker.polls && !begins && reader == thread {
            let process = self.process_of[&thread];
            self.resumes.insert(process);
        }
        let worker = self.worker(thread);
        if let Serves::Request(other, _) = worker.serves
            && other == request
        {
            worker.waited = false;
            return begins;
        }
        let (serves, adrift, handed) = (worker.serves, worker.adrift, reader != thread);
        self.end_birth(thread, Some(request));
        let alone = self.unanswered(thread) <= 1 && self.behind(thread) == 0;
        match serves {
            Serves::None if begins && handed && alone && !adrift => {
                self.give(thread, request, Rests::Handed)
            }
            _ => self.drop_zone(thread),
        }
        if begins && handed {
            let worker = self.worker(thread);
            worker.answers_others = true;
            if matches!(serves, Serves::Tail(_)) && !worker.woke {
                let process = self.process_of[&thread];
                self.takes_unseen.insert(process);
            }
        }
        self.serve(thread, request, !handed);
        begins
    }

    fn has_answered(&mut self, request: usize) {
        self.answered.insert(request);
        let server = self.toucher[&request];
        let served = match self.worker(server).serves {
            Serves::None => None,
            Serves::Request(request, _) | Serves::Tail(request) => Some(request),
        };
        if served == Some(request) {
            self.puts_aside(server, request);
            self.worker(server).serves = Serves::Tail(request);
            self.worker(server).woke = false;
            self.worker(server).passed = false;
            self.worker(server).answered += 1;
        }
    }

    fn tail(&mut self, thread: u32, request: usize) {
        let worker = self.worker(thread);
        let (answered, woke, passed) = (worker.answered, worker.woke, worker.passed);
        let rests = match worker.passed {
            true => Rests::Passed,
            false => Rests::Tail,
        };
        let resumes = passed && self.resumes.contains(&self.process_of[&thread]);
        match self.unanswered(thread) {
            0 if answered <= 1 && !woke && !resumes => self.give(thread, request, rests),
            _ => self.drop_zone(thread),
        }
    }

    fn wake(&mut self, thread: u32) {
        if let Serves::Tail(request) = self.worker(thread).serves {
            self.tail(thread, request);
            self.worker(thread).woke = true;
            self.job_is_over(thread);
        }
    }

    fn lock(&mut self, thread: u32) {
        self.worker(thread).adrift = false;
        match self.worker(thread).serves {
            Serves::Request(..) => {}
            Serves::Tail(request) => {
                self.tail(thread, request);
                self.worker(thread).serves = Serves::None;
            }
            Serves::None => {
                self.end_birth(thread, None);
                self.drop_zone(thread);
                self.worker(thread).after = false;
            }
        }
        self.job_is_over(thread);
    }

    fn job_is_over(&mut self, thread: u32) {
        if !self.worker(thread).polls {
            self.worker(thread).answered = 0;
        }
    }

    fn idle(&mut self, thread: u32) {
        self.settle_aside(thread);
        let worker = self.worker(thread);
        if worker.serves == Serves::None && !worker.after && worker.reads && !worker.zone.is_empty()
        {
            let process = self.process_of[&thread];
            self.multiplexes.insert(process);
        }
        self.rest(thread);
        self.worker(thread).answered = 0;
    }

    fn rest(&mut self, thread: u32) {
        self.worker(thread).adrift = false;
        match self.worker(thread).serves {
            Serves::Tail(request) => {
                self.tail(thread, request);
                self.worker(thread).serves = Serves::None;
            }
            Serves::None => {
                self.end_birth(thread, None);
                self.drop_zone(thread);
                self.worker(thread).after = false;
            }
            Serves::Request(_, own) => {
                let alone = self.is_sole(thread);
                if !alone {
                    self.drop_zone(thread);
                }
                let worker = self.worker(thread);
                worker.waited = true;
                if !own || !alone {
                    worker.serves = Serves::None;
                }
            }
        }
    }

    fn ends(&mut self, thread: u32, all: &[Block]) {
        self.settle_aside(thread);
        let worker = self.worker(thread);
        worker.lived = true;
        if let Some((request, blocks)) = worker.born_for.take() {
            let step = self.step;
            self.born_for
                .extend(blocks.iter().map(|block| (*block, step)));
            self.owners.extend(
                blocks
                    .into_iter()
                    .map(|block| (block, request, Rests::Touch)),
            );
        }
        if let Some((request, rests, mut blocks)) = self.worker(thread).within.take() {
            blocks.append(&mut self.worker(thread).zone);
            let end = self.ended_at.get(&request).copied();
            let born = |block: &usize| end.is_none_or(|end| all[*block].born < end);
            if blocks.iter().all(born) {
                let step = self.step;
                self.born_for
                    .extend(blocks.iter().map(|block| (*block, step)));
                self.owners
                    .extend(blocks.into_iter().map(|block| (block, request, rests)));
            }
        }
        self.rest(thread);
        self.worker(thread).serves = Serves::None;
    }

    fn request_ends(&mut self, request: usize) {
        self.answered.insert(request);
        self.ended_at.insert(request, self.step);
        let Some(server) = self.toucher.get(&request).copied() else {
            return;
        };
        let aside = self.worker(server).aside.as_ref();
        if aside.is_some_and(|aside| aside.0 == request) {
            self.settle_aside(server);
        }
        match self.worker(server).serves {
            Serves::Tail(other) if other == request => match self.worker(server).woke {
                true => self.worker(server).after = true,
                false => self.tail(server, request),
            },
            Serves::Request(other, _) if other == request => self.drop_zone(server),
            _ => {
                self.ended.insert(request);
                return;
            }
        }
        self.worker(server).serves = Serves::None;
        self.worker(server).adrift = true;
        self.ended.insert(request);
    }

    fn allocates(&mut self, thread: u32, block: usize) {
        let sole = self.is_sole(thread);
        let worker = self.worker(thread);
        match worker.serves {
            Serves::Request(request, _) if sole => {
                let rests = Rests::on(worker.waited);
                self.owners.push((block, request, rests));
            }
            _ => worker.zone.push(block),
        }
    }
}

/// Goes through all steps; fills in touches, ends of what was answered, and owners.
pub(super) fn run(oracle: &mut Oracle<'_>) {
    let mut run = Run {
        behind: oracle.behind.clone(),
        ..Run::default()
    };
    for step in 0..oracle.steps.len() {
        let (process, thread, told) = oracle.steps[step].clone();
        run.step = step;
        match &told {
            Told::Begins => continue,
            Told::Ends => {
                process_ends(&mut run, oracle, process, step);
                continue;
            }
            Told::ThreadBegins => {
                run.process_of.insert(thread, process);
                run.worker(thread);
                continue;
            }
            Told::ThreadEnds => continue,
            _ => {}
        }
        let begun = (0..oracle.requests.len()).filter(|id| {
            let request = &oracle.requests[*id];
            request.begin == step && request.by_head && request.reader == thread
        });
        for request in begun.collect::<Vec<_>>() {
            run.toucher.insert(request, thread);
            run.reads(step, thread, request);
        }
        match &told {
            Told::Event(Event::Allocation { .. } | Event::ReallocationEnd { .. }) => {
                let own = |block: &Block| block.born == step && !block.inherited;
                if let Some(block) = oracle.blocks.iter().position(own) {
                    run.allocates(thread, block);
                }
            }
            Told::Event(Event::Enter { wait, connection }) => match wait {
                Wait::Write => {
                    if let Some(first) = oracle.first_unanswered(*connection, step)
                        && run.touch(step, thread, first, oracle.requests[first].reader)
                    {
                        end_answered(&mut run, oracle, thread, step);
                    }
                }
                Wait::Wake => run.wake(thread),
                // A hint, and no proof.
                Wait::Notify | Wait::NotifyAll => {}
                Wait::Queue => {
                    run.lock(thread);
                    end_answered(&mut run, oracle, thread, step);
                }
                Wait::Read => {
                    end_answered(&mut run, oracle, thread, step);
                    run.job_is_over(thread);
                }
                Wait::Accept | Wait::Poll | Wait::Lock => {
                    run.worker(thread).polls |= *wait == Wait::Poll;
                    run.idle(thread);
                    end_answered(&mut run, oracle, thread, step);
                }
            },
            Told::Event(Event::Transferred {
                connection,
                transfer: Transfer::Write,
                ..
            }) => {
                if let Some(first) = oracle.first_unanswered(*connection, step)
                    && run.touch(step, thread, first, oracle.requests[first].reader)
                {
                    end_answered(&mut run, oracle, thread, step);
                }
            }
            Told::Event(Event::Answer { connection, .. }) => {
                answer(&mut run, oracle, (step, thread), *connection);
            }
            Told::Event(Event::ThreadCreate { thread: created }) => {
                run.creates(process, thread, *created);
            }
            Told::Event(Event::ThreadCreated { thread: created }) => {
                run.was_created(process, thread, *created);
            }
            Told::Event(Event::ExitBegins) => end_answered(&mut run, oracle, thread, step),
            Told::Event(Event::ThreadEnd) => {
                run.ends(thread, &oracle.blocks);
                end_answered(&mut run, oracle, thread, step);
            }
            _ => {}
        }
        closed(&mut run, oracle, step);
    }
    oracle.touches = run.touches;
    oracle.born_for = run.born_for;
    for (block, request, rests) in run.owners {
        let process = oracle.blocks[block].process;
        let holds = !run.migrates.contains(&process)
            && match rests {
                Rests::Touch => true,
                Rests::Waited => !run.multiplexes.contains(&process),
                Rests::Tail | Rests::Handed => !run.takes_unseen.contains(&process),
                Rests::Passed => {
                    !run.takes_unseen.contains(&process) && !run.resumes.contains(&process)
                }
                Rests::Alone => !run.answers_together.contains(&process),
            };
        oracle.owners.insert(block, (request, holds));
    }
}

fn answer(run: &mut Run, oracle: &mut Oracle<'_>, (step, thread): (usize, u32), connection: u32) {
    let of_connection: Vec<usize> = oracle.of_connection(connection).map(|(id, _)| id).collect();
    let answered = of_connection
        .iter()
        .filter(|id| oracle.requests[**id].answer == Some(step));
    for request in answered.copied().collect::<Vec<_>>() {
        run.toucher
            .entry(request)
            .or_insert(oracle.requests[request].reader);
        let own = of_connection.iter().position(|id| *id == request);
        let former = own
            .and_then(|at| at.checked_sub(1))
            .map(|at| of_connection[at]);
        let one = oracle.requests[request].clone();
        let same = |of: fn(&Request) -> Option<usize>| {
            former.filter(|former| of(&oracle.requests[*former]) == of(&one))
        };
        let (same_write, same_read) = (same(|of| of.write), same(|of| Some(of.read)));
        if let Some(former) = same_write {
            run.answers_together(former);
        }
        if run.touch(step, thread, request, oracle.requests[request].reader) {
            end_answered(run, oracle, thread, step);
        }
        let in_turn = same_read.is_some_and(|former| {
            let server = run.toucher[&former];
            run.worker(server).alone == Some(former)
        });
        if one.waited && !in_turn {
            oracle.requests[request].begin = one.head;
        }
        run.has_answered(request);
    }
    let next = of_connection.into_iter().find(|id| {
        let request = &oracle.requests[*id];
        request.begin == step
            && !request.by_head
            && request.reader != u32::MAX
            && request.answer != Some(step)
    });
    if let Some(next) = next {
        let reader = oracle.requests[next].reader;
        run.toucher.insert(next, reader);
        if reader == thread {
            run.reads(step, thread, next);
        }
    }
}

/// The thread enters a wait, or ends: what it has answered ends.
fn end_answered(run: &mut Run, oracle: &mut Oracle<'_>, thread: u32, step: usize) {
    for request in 0..oracle.requests.len() {
        let mine = run.toucher.get(&request) == Some(&thread);
        if mine && run.answered.contains(&request) && !run.ended.contains(&request) {
            run.request_ends(request);
            let process = oracle.process_of(run, request);
            if oracle.died(process) > step {
                oracle.requests[request].end = Some(step);
            }
        }
    }
}

/// What a close leaves without an answer.
fn closed(run: &mut Run, oracle: &Oracle<'_>, step: usize) {
    for request in 0..oracle.requests.len() {
        // One whose process dies with its connection stays open.
        let process = oracle.process_of(run, request);
        let closes =
            |(at, by, by_close): (usize, u32, bool)| at == step && (by_close || by != process);
        if oracle.requests[request].closing.is_some_and(closes) {
            run.request_ends(request);
        }
    }
}

fn process_ends(run: &mut Run, oracle: &mut Oracle<'_>, process: u32, step: usize) {
    closed(run, oracle, step);
    for request in 0..oracle.requests.len() {
        let Some(server) = run.toucher.get(&request) else {
            continue;
        };
        let mine = run.process_of.get(server) == Some(&process);
        if mine && run.answered.contains(&request) && !run.ended.contains(&request) {
            run.request_ends(request);
            let of = oracle.process_of(run, request);
            if oracle.died(of) >= step && oracle.requests[request].closing.is_none() {
                let request = &mut oracle.requests[request];
                (request.end, request.last) = (request.answer, true);
            }
        }
    }
    let mut threads: Vec<u32> = run
        .process_of
        .iter()
        .filter(|of| *of.1 == process)
        .map(|of| *of.0)
        .collect();
    threads.sort_unstable();
    for thread in threads {
        run.worker(thread).within = None;
        run.ends(thread, &oracle.blocks);
    }
}

impl Oracle<'_> {
    /// Whether a block that has survived its request's end was live when its process's serving ended: what was
    /// freed after the last answer by others than those who gave one that did not end.
    pub(super) fn retained(&self, block: &Block, end: usize) -> bool {
        let Some(freed) = block.ended else {
            return true;
        };
        let here = |id: usize| self.process_at(id, usize::MAX) == block.process;
        let of_process = (0..self.requests.len()).filter(|id| here(*id));
        let moments = of_process.flat_map(|id| {
            let request = &self.requests[id];
            [request.end, request.answer].into_iter().flatten()
        });
        let served = moments.max().unwrap_or(0);
        let lasting = self.requests.iter().filter(|request| request.last);
        let tidies = lasting.filter_map(|request| {
            let id = self
                .requests
                .iter()
                .position(|other| std::ptr::eq(other, request))?;
            let last = self.touches.iter().rev().find(|touch| touch.2 == id)?;
            (self.process_at(id, usize::MAX) == block.process).then_some(last.1)
        });
        let by = self.steps[freed].1;
        freed > served && end < freed && !tidies.into_iter().any(|thread| thread == by)
    }

    fn process_of(&self, run: &Run, request: usize) -> u32 {
        let last = run.touches.iter().rev().find(|touch| touch.2 == request);
        last.map_or(self.requests[request].process, |touch| {
            self.steps[touch.0].0
        })
    }
}
