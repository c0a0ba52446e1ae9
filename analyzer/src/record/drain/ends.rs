//! How things end: a thread and its lane, an image, the session.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use leak_wire::layout::{Stop, claim};

use super::{Drain, types};
use crate::record::images::Image;
use crate::record::lanes::{Claimed, Lanes, wake};
use crate::record::{procfs, system};
use crate::trace::{Note, NotedEnd, NotedOutcome, WriteError};

/// How long a thread must have been silent before anybody asks whether it is gone.
const SILENCE: Duration = Duration::from_secs(1);
/// How many times that is doubled while the thread stays silent.
const MAX_DOUBLINGS: u32 = 5;
/// The same while lanes are scarce.
const SHORT_SILENCE: Duration = Duration::from_millis(10);
/// How many ticks the first image may take to claim its slot. No time: who was stopped for long must look once
/// more.
const BIRTH: u32 = 10;

impl Drain {
    /// Frees the lanes of threads that are gone.
    pub(super) fn free_silent(&mut self, now: Instant) -> Result<(), WriteError> {
        for index in self.lanes.ready() {
            let Some(Some(lane)) = self.lanes.open.get_mut(index) else {
                continue;
            };
            // A thread that only sleeps is asked for more and more seldom, unless lanes are scarce.
            let patience = match self.scarce {
                true => SHORT_SILENCE,
                false => SILENCE * (1 << lane.asked.min(MAX_DOUBLINGS)),
            };
            if now - lane.active < patience && !lane.ending {
                continue;
            }
            let image = self.images.running.get(&lane.image);
            let gone = match image {
                None => true,
                // In a pid namespace of its own its threads can't be asked for.
                Some(image) if image.pid != image.own_pid => false,
                Some(image) => !system::has_thread(image.pid, lane.tid),
            };
            if !gone {
                // Not asked again at once.
                lane.active = now;
                lane.asked = lane.asked.saturating_add(1);
                lane.ending = false;
                continue;
            }
            // Drained after it was gone: nothing can follow.
            self.drain_lane(index, now)?;
            self.close_lane(index)?;
        }
        Ok(())
    }

    /// The thread of lane `index` is gone and its lane drained.
    pub(super) fn close_lane(&mut self, index: usize) -> Result<(), WriteError> {
        self.count_losses(index);
        if let Some(Some(mut lane)) = self.lanes.open.get_mut(index).map(Option::take) {
            self.writer.write_events(&mut lane.events)?;
            if let Some(image) = self.images.running.get_mut(&lane.image) {
                if let Some(live) = &mut image.types.live {
                    live.thread_ends(&lane.follower);
                }
                self.writer.note(Note::ThreadEnd {
                    thread: lane.events.thread,
                    stamp: self.mapping.stamp(),
                });
            }
        }
        self.lanes.release(&self.mapping, index);
        Ok(())
    }

    /// An image has ended, and everything that it published is drained.
    pub(super) fn end_image(
        &mut self,
        number: u32,
        status: Option<i32>,
        replaced: bool,
    ) -> Result<(), WriteError> {
        let own_pid = self.images.running.get(&number).map(|image| image.own_pid);
        for index in self.lanes.ready() {
            let of = self.lanes.open.get(index).and_then(Option::as_ref);
            if of.is_some_and(|lane| lane.image == number) {
                self.close_lane(index)?;
                continue;
            }
            let Some(header) = self.mapping.lanes().get(index) else {
                continue;
            };
            let half = Lanes::look(header);
            if !replaced && own_pid.is_some_and(|own_pid| half == Claimed::Half { own_pid }) {
                self.lanes.release(&self.mapping, index);
            }
        }
        for note in self.images.warnings(&self.mapping) {
            self.writer.note(note);
        }
        let ended = self.images.end(&self.mapping, number, status, replaced);
        let Some((mut image, outcome)) = ended else {
            return Ok(());
        };
        let now = self.mapping.stamp();
        // An exec is the end of what it replaces, whenever we come to see it.
        let stamp = match outcome {
            NotedOutcome::Exec => image.exec.map_or(now, |exec| exec.min(now)),
            _ => now,
        };
        if let Some(marks) = &mut image.marks {
            self.writer.write_events(marks)?;
        }
        if let Some(note) = types::unread(&image) {
            self.writer.note(note);
        }
        self.writer.note(Note::ProcessEnd {
            image: number,
            stamp,
            outcome,
        });
        // Nobody has to have told how it ended: the kernel counts its kills.
        let may_be_killed = match outcome {
            NotedOutcome::Killed { signal } => signal.is_none_or(|signal| signal == libc::SIGKILL),
            NotedOutcome::Unknown => true,
            NotedOutcome::Exit { .. } | NotedOutcome::Exec => false,
        };
        if may_be_killed && self.images.limits.killed_one() {
            self.writer.note(Note::MemoryKill { image: number });
        }
        Ok(())
    }

    /// Whether the tree has ended (or never began).
    pub(super) fn has_ended(&mut self) -> bool {
        if !self.images.any && self.ticks > BIRTH {
            return true;
        }
        if !self.images.members.is_empty() {
            return false;
        }
        // A child that has not spoken yet is one all the same.
        let strangers = match self.follow {
            true => procfs::strangers(&self.place.name),
            false => Vec::new(),
        };
        strangers.iter().for_each(|pid| self.images.join(*pid));
        self.images.members.is_empty()
    }

    /// The image `first` exits, and all others of our namespace are killed when it is gone: ends the trace
    /// while `first` still waits for us. What other threads do from here on nobody will see.
    pub(super) fn die_with(&mut self, first: u32) {
        let others = self.images.running.iter();
        let numbers: Vec<(u32, u32)> = others.map(|(number, image)| (*number, image.pid)).collect();
        for (number, pid) in numbers {
            let status = match number == first {
                true => None,
                false => last_status(pid),
            };
            // An error here shows again below.
            let _ = self.end_image(number, status, false);
        }
        self.finish(NotedEnd::Complete);
        self.stop(Stop::RecorderGone);
    }

    /// Targets record nothing from here on, and none waits for us.
    pub(super) fn stop(&self, why: Stop) {
        let header = self.mapping.header();
        // Release: with the wake-ups below, whoever is woken sees it.
        header.stopped.store(why as u32, Ordering::Release);
        self.mapping
            .lanes()
            .iter()
            .filter(|lane| claim::state(lane.claim.load(Ordering::Relaxed)) == claim::LIVE)
            .for_each(|lane| wake(&lane.room));
        // Whoever sees this stamp sees why it came: each thread looks anew with its next event.
        self.mapping.stamp();
    }

    /// Writes what is still held, and the end.
    pub(super) fn finish(&mut self, ended: NotedEnd) {
        let mut images: Vec<Image> = Vec::new();
        if ended == NotedEnd::Complete {
            for lane in self.lanes.open.iter_mut().flatten() {
                // An error here shows again below.
                let _ = self.writer.write_events(&mut lane.events);
            }
            images.extend(self.images.running.drain().map(|(_, image)| image));
            for marks in images.iter_mut().filter_map(|image| image.marks.as_mut()) {
                let _ = self.writer.write_events(marks);
            }
        }
        for index in self.lanes.ready() {
            self.count_losses(index);
        }
        self.count_session_losses();
        let point = self.place.clock.point(&self.mapping);
        self.writer.note(point);
        // What can't be written is missing; the reader says so.
        let _ = self.writer.finish(ended, self.mapping.stamp());
    }
}

/// The wait status of a process that will be killed with its namespace, unless it has ended before.
fn last_status(pid: u32) -> Option<i32> {
    if procfs::has_ended(pid) {
        return procfs::zombie_status(pid);
    }
    system::exists(pid).then_some(libc::SIGKILL)
}
