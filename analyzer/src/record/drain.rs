//! The drain thread: pass after pass over the lanes, until the tree has ended.

mod asked;
mod ends;
mod losses;
mod pace;
mod types;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use leak_wire::layout::Stop;
use leak_wire::{Event, Record};

use super::build_id::BuildIds;
use super::clock::Clock;
use super::control::Told;
use super::images::{Image, Images};
use super::lanes::{Claimed, Lanes, OpenLane, Take};
use super::live::LiveBlocks;
use super::mapping::Mapping;
use super::procfs::{self, Program};
use super::state::Asked;
use super::{resident, system};
use crate::trace::{At, Commons, Note, NotedEnd, ThreadEvents, WriteError, Writer};
use pace::Pace;

/// Shortest and longest sleep between passes.
const SLEEP: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(100));
/// From this fill on (in 256ths of a lane) sleeps get shorter, below that one they get longer.
const BUSY: u32 = 64;
const CALM: u32 = 16;
/// After so many lanes there is a look whether others are waited for.
const FEW_LANES: usize = 32;
/// How old events may get before they are written.
const AGE: Duration = Duration::from_secs(1);
/// How often readings are taken and rare troubles looked for.
const TICK: Duration = Duration::from_secs(1);

/// The drain thread's state.
pub(crate) struct Drain {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) writer: Writer,
    pub(crate) images: Images,
    pub(crate) told: Receiver<Told>,
    /// What was told and not dealt with yet.
    news: VecDeque<Told>,
    place: Place,
    pub(crate) follow: bool,
    keep_lasting: bool,
    /// Questions that are not answered yet.
    asked: Vec<Asked>,
    lanes: Lanes,
    build_ids: BuildIds,
    threads: u32,
    last_tick: Instant,
    ticks: u32,
    busy_since_tick: bool,
    scarce: bool,
    slotless: u64,
    pace: Pace,
    /// Stamps at the begin of this pass and the two before it, the newest first.
    passes: [u64; 3],
    /// What the file was last told to hold.
    through: u64,
    /// The image of which types were read last.
    last_reading: u32,
    /// The image that is our namespace's first process, once it exits: the kernel kills us with it.
    dies_with: Option<u32>,
}

/// What tells this session from others.
pub(crate) struct Place {
    /// Its name.
    pub(crate) name: String,
    /// Where its trace is.
    pub(crate) trace: PathBuf,
    /// Since its start.
    pub(crate) clock: Clock,
}

/// What a pass found.
#[derive(Clone, Copy, Default)]
struct Pass {
    /// Something was drained.
    busy: bool,
    /// The fullest lane, in 256ths.
    fullest: u32,
    /// How long until types can be read, if any are to be.
    reading: Option<Duration>,
}

impl Drain {
    /// A session whose trace has only its header yet.
    pub(crate) fn new(
        mapping: Arc<Mapping>,
        writer: Writer,
        images: Images,
        told: Receiver<Told>,
        place: Place,
        follow: bool,
        keep_lasting: bool,
    ) -> Drain {
        let now = Instant::now();
        Drain {
            lanes: Lanes::new(&mapping),
            mapping,
            writer,
            images,
            told,
            news: VecDeque::new(),
            place,
            follow,
            keep_lasting,
            asked: Vec::new(),
            build_ids: BuildIds::default(),
            threads: 0,
            last_tick: now,
            ticks: 0,
            busy_since_tick: false,
            scarce: false,
            slotless: 0,
            pace: Pace::start(now),
            passes: [0; 3],
            through: 0,
            last_reading: 0,
            dies_with: None,
        }
    }

    /// Drains until the tree has ended or nothing more can be written; whether any image ever began.
    pub(crate) fn run(mut self) -> bool {
        self.writer.note(self.place.clock.point(&self.mapping));
        let mut sleep = SLEEP.0;
        let (ended, stop) = loop {
            // Relaxed: compared again by the kernel.
            let doorbell = self.mapping.header().doorbell.load(Ordering::Relaxed);
            let pass = match self.pass() {
                Ok(pass) => pass,
                Err(WriteError::Limit) => break (NotedEnd::Limit, Stop::Limit),
                Err(WriteError::Disk(_)) => break (NotedEnd::DiskFull, Stop::Disk),
            };
            if let Some(first) = self.dies_with {
                self.die_with(first);
                return true;
            }
            if self.may_stop() {
                break (NotedEnd::Complete, Stop::Asked);
            }
            sleep = next_sleep(sleep, pass);
            if self.has_ended() {
                break (NotedEnd::Complete, Stop::RecorderGone);
            }
            let time = pass.reading.map_or(sleep, |until| until.min(sleep));
            if !time.is_zero() {
                self.sleep(doorbell, time);
            }
        };
        self.stop(stop);
        if stop == Stop::Asked {
            self.take_the_last();
        }
        self.finish(ended);
        self.answer_who_waited(stop == Stop::Asked);
        self.images.any
    }

    /// One pass: news, slots, lanes, ends, and what is due.
    fn pass(&mut self) -> Result<Pass, WriteError> {
        let now = Instant::now();
        // Relaxed: a sign of life.
        let progress = &self.mapping.header().progress;
        progress.fetch_add(1, Ordering::Relaxed);
        // Gives what follows in the lanes a time, also where no fact does.
        self.passes = [self.mapping.stamp(), self.passes[0], self.passes[1]];
        let mut ended: Vec<(u32, Option<i32>, bool)> = Vec::new();
        self.hear();
        while let Some(told) = self.news.pop_front() {
            match told {
                Told::Attached { pid, from, .. } => {
                    // The images that it replaces may have claimed slots that were not seen yet.
                    self.discover(true);
                    let replaced = self.images.replaced(pid, from);
                    ended.extend(replaced.into_iter().map(|image| (image, None, true)));
                }
                Told::Ended { pid, status } => {
                    // Its last image may have claimed a slot that was not seen yet.
                    self.discover(true);
                    self.images.leave(pid);
                    let images = self.images.of_process(pid);
                    ended.extend(images.into_iter().map(|image| (image, status, false)));
                }
                Told::Mark { pid, label } => self.mark(pid, &label)?,
                Told::Asked { connection, what } => self.ask(connection, what, now),
                Told::Foreign { pid, uid, program } => self.turned_away(pid, uid, &program),
            }
        }
        self.discover(false);
        self.see_who_left();
        let mut pass = self.drain_all(now)?;
        if pass.busy {
            self.hear_lanes();
        }
        for (image, status, replaced) in ended {
            self.end_image(image, status, replaced)?;
        }
        pass.reading = self.read_types(now)?;
        self.answer_asked(now)?;
        self.busy_since_tick |= pass.busy;
        self.write_old(now)?;
        self.free_silent(now)?;
        self.scarce = self.lanes.replenish(&self.mapping);
        let idle = self.pace.is_idle(now);
        for reading in self.images.readings(now, idle, &self.mapping) {
            self.writer.note(reading);
        }
        if now - self.last_tick >= TICK {
            self.last_tick = now;
            self.ticks += 1;
            self.tick()?;
        }
        Ok(pass)
    }

    /// Takes in what the control thread tells. That an image is expected counts at once, the rest in its
    /// turn.
    fn hear(&mut self) {
        while let Ok(told) = self.told.try_recv() {
            if let Told::Attached {
                own_pid,
                pid,
                program,
                from,
            } = &told
            {
                self.images.expect(*own_pid, *pid, *from, program.clone());
            }
            self.news.push_back(told);
        }
    }

    fn discover(&mut self, always: bool) {
        let seen = self.images.look(&self.mapping, always);
        // Told before it claims its slot: what was seen is expected now. (By /proc it may have become
        // another program meanwhile.)
        self.hear();
        for note in self.images.begin_new(&self.mapping, seen) {
            self.writer.note(note);
        }
    }

    fn drain_all(&mut self, now: Instant) -> Result<Pass, WriteError> {
        let mut pass = Pass::default();
        let mapping = Arc::clone(&self.mapping);
        for (count, index) in self.lanes.ready().enumerate() {
            let Some(header) = mapping.lanes().get(index) else {
                break;
            };
            if count % FEW_LANES == 0 && self.lanes.are_wanted(&mapping) {
                // Who waits for one is not to wait for what others have written, too.
                self.scarce = self.lanes.replenish(&mapping);
            }
            let known = matches!(self.lanes.open.get(index), Some(Some(_)));
            if known && !self.lanes.has_news(&mapping, index) {
                continue;
            }
            if !known {
                if Lanes::look(header) != Claimed::Live {
                    continue;
                }
                // Relaxed, all: the claim's Acquire came before.
                let image = header.image.load(Ordering::Relaxed);
                let tid = header.thread.load(Ordering::Relaxed);
                let start = header.start.load(Ordering::Relaxed);
                self.open_lane(index, image, (tid, start), now);
                // Threads come: more lanes may be wanted soon.
                pass.fullest = pass.fullest.max(BUSY);
            }
            let fill = self.drain_lane(index, now)?;
            // Relaxed: as above. One pass may take long on a busy machine.
            mapping.header().progress.fetch_add(1, Ordering::Relaxed);
            pass.busy |= fill > 0;
            pass.fullest = pass.fullest.max(fill);
        }
        let images = self.images.running.values_mut();
        for live in images.filter_map(|image| image.types.live.as_mut()) {
            live.pass_ends();
        }
        Ok(pass)
    }

    /// Events came.
    fn hear_lanes(&mut self) {
        let lanes = self.lanes.open.iter().flatten();
        let working = lanes.filter(|lane| !lane.waits && !lane.broken);
        let working = working.map(|lane| lane.heard).max();
        self.pace.hear(Instant::now(), working);
    }

    /// A thread has claimed lane `index`.
    fn open_lane(&mut self, index: usize, image: u32, (tid, start): (u32, u64), now: Instant) {
        if !self.images.running.contains_key(&image) {
            self.discover(true);
        }
        let thread = self.threads;
        let mut lane = Box::new(OpenLane::new(image, tid, thread, now));
        if self.keep_lasting {
            lane.events.keep_lasting();
        }
        if self.images.running.contains_key(&image) {
            self.threads += 1;
            self.writer.note(Note::ThreadBegin {
                thread,
                image,
                tid,
                start: start.min(self.mapping.stamp()),
            });
        } else {
            // An image that is not there can't record; what claims to be its is let go.
            lane.broken = true;
        }
        if let Some(slot) = self.lanes.open.get_mut(index) {
            *slot = Some(lane);
        }
    }

    fn drain_lane(&mut self, index: usize, now: Instant) -> Result<u32, WriteError> {
        let before = self.lanes.open.get(index).and_then(Option::as_ref);
        let was_broken = before.is_none_or(|lane| lane.broken);
        let of = before.map(|lane| lane.image);
        let running = &mut self.images.running;
        let mut taker = Taker {
            live: of.and_then(|of| running.get_mut(&of)?.types.live.take()),
            images: &mut self.images,
            build_ids: &mut self.build_ids,
            writer: &mut self.writer,
        };
        let drained = self.lanes.drain(&self.mapping, index, &mut taker);
        if let Some(live) = taker.live
            && let Some(image) = of.and_then(|of| self.images.running.get_mut(&of))
        {
            image.types.live = Some(live);
        }
        let fill = drained?;
        let Some(Some(lane)) = self.lanes.open.get_mut(index) else {
            return Ok(fill);
        };
        if fill > 0 {
            lane.active = now;
            lane.heard = now;
            lane.asked = 0;
            lane.oldest.get_or_insert(now);
            lane.unwritten.get_or_insert(self.passes[2]);
            if let Some(image) = self.images.running.get_mut(&lane.image) {
                image.active = true;
                image.looks.is_due = true;
            }
        }
        if lane.broken && !was_broken {
            self.writer.note(Note::Lost {
                allocations: 0,
                frees: 0,
                other: 1,
            });
            self.writer.note(Note::Warning {
                code: "lane_damaged".to_owned(),
                text: format!(
                    "thread {} overwrote its lane with something else; its later events are missing, look for stray writes in the program",
                    lane.tid
                ),
            });
        }
        Ok(fill)
    }

    /// Writes what has waited for long enough.
    fn write_old(&mut self, now: Instant) -> Result<(), WriteError> {
        for lane in self.lanes.open.iter_mut().flatten() {
            if lane.oldest.is_some_and(|oldest| now - oldest >= AGE) {
                (lane.oldest, lane.unwritten) = (None, None);
                self.writer.write_events(&mut lane.events)?;
            }
        }
        Ok(())
    }

    /// A mark from outside: an event of the process, on a thread that is nobody's.
    fn mark(&mut self, pid: u32, label: &[u8]) -> Result<(), WriteError> {
        let number = self.images.of_process(pid).into_iter().max();
        let Some(number) = number else {
            return Ok(());
        };
        let Some(image) = self.images.running.get_mut(&number) else {
            return Ok(());
        };
        image.looks.calls += 1;
        let stamp = self.mapping.stamp();
        let (writer, threads) = (&mut self.writer, &mut self.threads);
        let marks = image.marks.get_or_insert_with(|| {
            let thread = *threads;
            *threads += 1;
            writer.note(Note::ThreadBegin {
                thread,
                image: number,
                tid: 0,
                start: stamp,
            });
            ThreadEvents::new(thread, number)
        });
        let label = leak_wire::Bytes::Slice(label);
        marks.push(At::Stamp(stamp), Event::Mark { label });
        writer.write_events(marks)
    }

    /// A process of another user is not recorded.
    fn turned_away(&mut self, pid: u32, uid: u32, program: &Program) {
        self.writer.note(Note::Warning {
            code: "other_user".to_owned(),
            text: format!(
                "process {pid} ({}) runs as user {uid}, and that it belongs to this session could not be proved to its \
                 recorder, which is another user's: it is not here, and others like it may not be (it takes Linux 6.5, \
                 and a parent that is traced and lives)",
                program.executable
            ),
        });
    }

    /// Readings, and what is looked for now and then.
    fn tick(&mut self) -> Result<(), WriteError> {
        if std::mem::take(&mut self.busy_since_tick) {
            let point = self.place.clock.point(&self.mapping);
            self.writer.note(point);
        }
        for index in self.lanes.ready() {
            self.count_losses(index);
        }
        self.count_session_losses();
        self.images.free_abandoned(&self.mapping);
        let unwatched = self.images.unwatched.iter().copied();
        let gone = unwatched.filter(|pid| procfs::has_ended(*pid));
        // Dealt with as if told: what they claimed and published after this pass looked is seen first.
        let status = None;
        self.news
            .extend(gone.map(|pid| Told::Ended { pid, status }));
        self.tell_through();
        self.writer.write_notes()
    }

    /// Tells up to when the file holds all, where more was written: who follows it reads so far. What is in a lane after
    /// a pass was published after the pass before had begun; a thread may be interrupted for as long as a pass between
    /// its stamp and that.
    fn tell_through(&mut self) {
        let lanes = self.lanes.open.iter().flatten();
        let unwritten = lanes.filter_map(|lane| lane.unwritten).min();
        let stamp = unwritten.unwrap_or(self.passes[1]);
        if self.writer.last() > self.through && stamp > self.through {
            self.through = stamp;
            self.writer.note(Note::Through { stamp });
        }
    }

    fn sleep(&mut self, doorbell: u32, time: Duration) {
        let header = self.mapping.header();
        // Relaxed: ordered by the fence.
        header.recorder_sleeps.store(1, Ordering::Relaxed);
        // SeqCst: pairs with the producer's fence in its ringing: either it sees that we sleep, or we
        // see that its lane presses.
        fence(Ordering::SeqCst);
        if !self.lanes.is_pressing(&self.mapping) {
            system::futex_wait(&header.doorbell, doorbell, time);
        }
        header.recorder_sleeps.store(0, Ordering::Relaxed);
    }
}

/// Longer while there is little to do, shorter while there is much: the doorbell wakes us in time.
fn next_sleep(sleep: Duration, pass: Pass) -> Duration {
    let next = match pass.fullest {
        BUSY.. => sleep / 2,
        CALM..BUSY => sleep,
        _ if pass.busy => (sleep * 2).min(Duration::from_millis(20)),
        _ => sleep * 2,
    };
    next.clamp(SLEEP.0, SLEEP.1)
}

/// Takes in what one lane holds.
struct Taker<'a> {
    /// The blocks of the lane's image; taken out once for all events, as nearly every one is of a block.
    live: Option<Box<LiveBlocks>>,
    images: &'a mut Images,
    build_ids: &'a mut BuildIds,
    writer: &'a mut Writer,
}

impl Take<WriteError> for Taker<'_> {
    #[inline]
    fn common(&mut self, lane: &mut OpenLane, commons: Commons<'_>) -> Result<usize, WriteError> {
        let (used, full) = lane.events.common(commons);
        lane.waits &= used == 0;
        if let Some(live) = &mut self.live {
            let taken = commons.within(used);
            live.see_common(taken, lane.events.order(At::Epoch), &mut lane.follower);
        }
        if full {
            self.writer.write_events(&mut lane.events)?;
        }
        Ok(used)
    }

    fn record(
        &mut self,
        lane: &mut OpenLane,
        at: At,
        record: Record<'_>,
    ) -> Result<(), WriteError> {
        if let Some(live) = &mut self.live {
            live.see(&record.event, lane.events.order(at), &mut lane.follower);
        }
        if is_news(&record.event)
            && let Some(image) = self.images.running.get_mut(&lane.image)
        {
            notice(&record, lane, image, self.build_ids, self.writer);
            // A module may be the first that brings types.
            self.live = self.live.take().or_else(|| image.types.live.take());
        }
        if serves(&record.event)
            && let Some(image) = self.images.running.get_mut(&lane.image)
        {
            image.looks.calls += 1;
        }
        lane.waits = match record.event {
            Event::Enter { wait, .. } => wait.may_be_idle(),
            Event::ThreadEnd => true,
            _ => false,
        };
        match lane.events.push(at, record.event) {
            true => self.writer.write_events(&mut lane.events),
            false => Ok(()),
        }
    }
}

/// Whether the recorder itself has to know of the event. Nearly all events are of memory: those pass
/// without a look at their image.
fn is_news(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Exec
            | Event::ExecFailed
            | Event::Exit { .. }
            | Event::ThreadEnd
            | Event::ModuleLoaded { .. }
            | Event::ModuleUnloaded { .. }
    )
}

/// Whether the event tells that the target is at work for a request.
fn serves(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Transferred { .. }
            | Event::RequestBegun { .. }
            | Event::Request { .. }
            | Event::Answer { .. }
            | Event::MarkBegin { .. }
            | Event::MarkEnd
            | Event::Mark { .. }
    )
}

/// What the recorder itself needs to know of an event.
fn notice(
    record: &Record<'_>,
    lane: &mut OpenLane,
    image: &mut Image,
    build_ids: &mut BuildIds,
    writer: &mut Writer,
) {
    match record.event {
        Event::Exec => image.exec = Some(record.stamp),
        Event::ExecFailed => image.exec = None,
        Event::Exit { code } => {
            image.exit = Some(code);
            // It waits until this is drained: the last moment to read it.
            let reading = resident::note(lane.image, image.pid, record.stamp);
            reading.into_iter().for_each(|reading| writer.note(reading));
        }
        Event::ThreadEnd => lane.ending = true,
        Event::ModuleUnloaded { start } => image.types.module_unloaded(start),
        Event::ModuleLoaded {
            start, end, path, ..
        } => {
            let path: Vec<u8> = path.iter().collect();
            let path = String::from_utf8_lossy(&path).into_owned();
            let executable = &image.program.executable;
            image.types.module_loaded((start, end), &path, executable);
            if let Some(build_id) = build_ids.news(image.pid, &path) {
                writer.note(Note::BuildId {
                    path,
                    since: record.stamp,
                    build_id,
                });
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
