//! The drain thread: pass after pass over the lanes, until the tree has ended.

mod asked;
mod ends;
mod losses;
mod marks;
mod pace;
mod read_lanes;
mod take;
mod types;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use leak_wire::layout::Stop;

use super::build_id::BuildIds;
use super::clock::Clock;
use super::control::Told;
use super::images::Images;
use super::lanes::Lanes;
use super::mapping::Mapping;
use super::procfs;
use super::state::Asked;
use super::system;
use crate::trace::{Note, NotedEnd, WriteError, Writer};
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

#[cfg(test)]
mod tests;
