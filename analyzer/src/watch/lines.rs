//! A block of text or a line of JSON for each interval.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::progress::Progress;
use crate::watch::live::Reached;
use crate::watch::options::{Mode, Options};
use crate::watch::watching::Watch;
use crate::watch::{json, openmetrics, plain};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long a moment is waited for that the file does not hold yet: the recorder writes what is a second old.
const PATIENCE: Duration = Duration::from_millis(3000);
/// How long verdicts are waited for when a block is due.
const JUDGING: Duration = Duration::from_secs(10);

/// Now, as nanoseconds since the trace's start.
fn now_ns(watch: &Watch) -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    now.saturating_sub(watch.live.facts().started_at_ns)
}

/// Reads all that is there.
fn catch_up(watch: &mut Watch) -> Result<Reached, String> {
    let mut progress = Progress::of(format!("Reading {}", watch.name));
    loop {
        let reached = watch.read_on(Instant::now() + LOOK)?;
        if reached != Reached::More {
            return Ok(reached);
        }
        progress.at(watch.live.part());
    }
}

/// Prints a block or a line for each interval.
pub(super) fn lines(watch: &mut Watch, options: &Options) -> Result<(), String> {
    let mut due = Instant::now();
    let mut reached = catch_up(watch)?;
    loop {
        let wanted = now_ns(watch);
        let patience = Instant::now() + PATIENCE;
        while reached == Reached::Now && !watch.live.is_whole(wanted) && Instant::now() < patience {
            std::thread::sleep(LOOK);
            reached = catch_up(watch)?;
        }
        if !print(watch, options, reached == Reached::End)? {
            return Ok(());
        }
        if reached == Reached::End {
            return Ok(());
        }
        due = (due + options.every).max(Instant::now());
        while Instant::now() < due && reached == Reached::Now {
            std::thread::sleep(LOOK.min(due.saturating_duration_since(Instant::now())));
            reached = catch_up(watch)?;
        }
    }
}

/// Prints one; false: nobody reads it any more.
fn print(watch: &mut Watch, options: &Options, is_last: bool) -> Result<bool, String> {
    let requests = watch.live.replay.ended;
    watch.judge.begin(requests, is_last);
    watch.judge.hear(JUDGING);
    let view = watch.look();
    let heading = watch.heading();
    if let Some(path) = &options.openmetrics {
        openmetrics::write(path, &view)?;
    }
    let (word, text) = watch.ended();
    let mut out = io::stdout().lock();
    let printed = match options.mode {
        Mode::Json => json::line(&heading, &view, is_last.then_some(word), &mut out),
        _ => plain::block(&heading, &view, &mut out).and_then(|()| match is_last {
            true => writeln!(out, "{text}"),
            false => Ok(()),
        }),
    };
    match printed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("what is watched can't be printed: {error}")),
    }
}
