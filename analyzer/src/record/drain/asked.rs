//! Questions from outside: how the recording stands, a moment for a report, its end.
//!
//! For a report of now, and before the end, the types of all that is live are read first, at full speed, as they are
//! for a process that ends by itself; an answer waits for that a bounded time.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::Drain;
use crate::record::control;
use crate::record::live::Extent;
use crate::record::state::{Asked, State, What};
use crate::trace::{ENDED_EARLY, Note, WriteError};

/// How long types are read for one answer at most.
const PATIENCE: Duration = Duration::from_secs(10);

impl Drain {
    /// Somebody asks.
    pub(super) fn ask(&mut self, connection: OwnedFd, what: What, now: Instant) {
        if what != What::Status {
            for image in self.images.running.values_mut() {
                let types = &mut image.types;
                if types.left.is_none() && !types.ends && image.exec.is_none() {
                    types.ends = true;
                    types.seek(Extent::All);
                }
            }
        }
        self.asked.push(Asked {
            connection,
            what,
            until: now + PATIENCE,
        });
    }

    /// Answers what can be answered. After the lanes were drained.
    pub(super) fn answer_asked(&mut self, now: Instant) -> Result<(), WriteError> {
        let reads = self.reads_for_an_answer();
        let is_due = |asked: &mut Asked| match asked.what {
            What::Status => true,
            What::Snapshot => !reads || now >= asked.until,
            What::Stop => false,
        };
        let due: Vec<Asked> = self.asked.extract_if(.., is_due).collect();
        if due.is_empty() {
            return Ok(());
        }
        self.write_out()?;
        let answer = self.state();
        due.iter().for_each(|asked| say(asked, &answer));
        Ok(())
    }

    /// Whether the recording is to end now, because somebody asked for it.
    pub(super) fn may_stop(&self) -> bool {
        let now = Instant::now();
        let reads = self.reads_for_an_answer();
        let mut asked = self.asked.iter();
        asked.any(|asked| asked.what == What::Stop && (!reads || now >= asked.until))
    }

    fn reads_for_an_answer(&self) -> bool {
        self.images.running.values().any(|image| image.types.ends)
    }

    /// Takes what was recorded before the targets were told to stop.
    pub(super) fn take_the_last(&mut self) {
        // What can't be written is missing; the reader says so.
        let _ = self.drain_all(Instant::now());
        self.writer.note(Note::Warning {
            code: ENDED_EARLY.to_owned(),
            text: "Recording was stopped while the program ran on (leak-analyze stop): what was alive then may have been \
                   freed later."
                .to_owned(),
        });
    }

    /// The recording has ended, and its trace is whole: answers those who waited, which is what those wanted who asked
    /// for the end.
    pub(super) fn answer_who_waited(&mut self, was_asked: bool) {
        let answer = self.state();
        for asked in std::mem::take(&mut self.asked) {
            match was_asked || asked.what == What::Stop {
                true => say(&asked, &answer),
                false => control::answer(&asked.connection, "Ethe recording has just ended"),
            }
        }
    }

    fn state(&self) -> State {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ns = since_epoch.unwrap_or_default().as_nanos() as u64;
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let cpu = usage.map_or(0, |usage| {
            (usage.user_time() + usage.system_time()).num_microseconds()
        });
        State {
            trace: self.place.trace.clone(),
            started_at_ns: self.place.clock.started_at_ns,
            age_ns: now_ns.saturating_sub(self.place.clock.started_at_ns),
            events: self.writer.events(),
            bytes: self.writer.bytes(),
            recorder: std::process::id(),
            cpu_ns: cpu.max(0) as u64 * 1000,
            processes: self.images.running.len(),
        }
    }
}

fn say(asked: &Asked, state: &State) {
    let mut answer = vec![b'K'];
    match serde_json::to_writer(&mut answer, state) {
        Ok(()) => control::answer(&asked.connection, answer),
        Err(error) => control::answer(&asked.connection, format!("E{error}")),
    }
}
