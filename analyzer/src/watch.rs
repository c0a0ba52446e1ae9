//! `leak-analyze watch`: says of a program that runs what is left over, again and again.
//!
//! It follows the trace, which the recorder writes anyway: the program and its recorder know nothing of it, any number
//! may look at once, and come and go. What is live, and whose, is exact up to the moment that a block names; verdicts are
//! those of the ordinary report, which another process makes of the same trace now and then.

mod json;
mod live;
mod openmetrics;
mod plain;
mod replay;
mod screen;
mod standing;
mod target;
mod verdicts;
mod view;
mod words;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::analyze;
use crate::progress::Progress;
use crate::trace::{Ended, Outcome};
use live::{Live, Reached};
use plain::Heading;
use standing::Standing;
use verdicts::Judge;
use view::{Input, Names, View};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long a moment is waited for that the file does not hold yet: the recorder writes what is a second old.
const PATIENCE: Duration = Duration::from_millis(3000);
/// How long verdicts are waited for when a block is due.
const JUDGING: Duration = Duration::from_secs(10);

/// What to show it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Blocks of text.
    Plain,
    /// Lines of JSON.
    Json,
    /// The whole terminal.
    Screen,
}

/// What is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// When the first request began.
    Start,
    /// When the watch began.
    Now,
    /// The last mark of this label.
    Mark(String),
}

/// How to watch.
#[derive(Clone, Debug)]
pub struct Options {
    /// A trace, or the pid of a process that is being recorded.
    pub target: PathBuf,
    /// What to show it with.
    pub mode: Mode,
    /// The time between two looks.
    pub every: Duration,
    /// What is compared with.
    pub since: Since,
    /// How requests are found.
    pub requests: analyze::Options,
    /// The same, as on the command line of a report.
    pub arguments: Vec<String>,
    /// A file for a collector.
    pub openmetrics: Option<PathBuf>,
}

/// Watches until recording ends, or the viewer goes.
///
/// # Errors
/// One line: why there is nothing to be watched.
pub fn watch(options: &Options) -> Result<(), String> {
    let mut watch = Watch::begin(options)?;
    match options.mode {
        Mode::Screen => screen::run(&mut watch, options),
        Mode::Plain | Mode::Json => lines(&mut watch, options),
    }
}

/// A trace that is watched.
struct Watch {
    live: Live,
    name: String,
    since: Since,
    /// How things stood at the first look, at the last one, and where the viewer wanted.
    first: Option<Standing>,
    before: Option<Standing>,
    chosen: Option<Standing>,
    names: Names,
    judge: Judge,
}

impl Watch {
    fn begin(options: &Options) -> Result<Watch, String> {
        let target = target::find(&options.target)?;
        let mark = match &options.since {
            Since::Mark(label) => Some(label.clone()),
            Since::Start | Since::Now => None,
        };
        let live = Live::open(&target.path, &options.requests, mark);
        Ok(Watch {
            live: live.map_err(|error| error.to_string())?,
            name: target.name,
            since: options.since.clone(),
            first: None,
            before: None,
            chosen: None,
            names: Names::default(),
            judge: Judge::new(&target.path, options.arguments.clone()),
        })
    }

    fn read_on(&mut self, deadline: Instant) -> Result<Reached, String> {
        let reached = self.live.read_on(deadline);
        reached.map_err(|error| error.to_string())
    }

    /// How things stand, for a viewer; the next look is compared with this one.
    fn look(&mut self) -> View {
        let now = self.live.standing();
        if self.first.is_none() && self.since == Since::Now {
            self.first = Some(now.to_compare());
        }
        let view = self.view(&now);
        self.before = Some(now.to_compare());
        view
    }

    fn view(&mut self, now: &Standing) -> View {
        // What is named is remembered; the rest of the watch is only looked at.
        let mut names = std::mem::take(&mut self.names);
        let input = Input {
            live: &self.live,
            now,
            base: self.base(),
            // At the first look all that has changed has changed this time.
            before: self.before.as_ref().or(self.base()),
            verdicts: self.judge.verdicts.as_ref(),
        };
        let view = view::view(&input, &mut names);
        self.names = names;
        view
    }

    /// What is compared with; `None`: nothing was there.
    fn base(&self) -> Option<&Standing> {
        let replay = &self.live.replay;
        let wanted = match self.since {
            Since::Start => None,
            Since::Now => self.first.as_ref(),
            Since::Mark(_) => replay.marked.as_ref(),
        };
        let chosen = self.chosen.as_ref();
        chosen.or(wanted).or(replay.start.as_ref())
    }

    fn heading(&self) -> Heading {
        let facts = self.live.facts();
        let first = facts.processes.first();
        let words = first.map(|first| first.arguments.iter().take(2));
        // Without folders: what it is called matters, and there is little room.
        let words = words.into_iter().flatten();
        let words = words.map(|word| word.rsplit('/').next().unwrap_or(word));
        let program = words.collect::<Vec<_>>().join(" ");
        let replay = &self.live.replay;
        Heading {
            name: match first.filter(|_| !program.is_empty()) {
                Some(first) => format!("{program} (pid {})", first.pid),
                None => self.name.clone(),
            },
            since: match (&self.chosen, &self.since) {
                (Some(_), _) => "the new baseline".to_owned(),
                (None, Since::Now) => "now".to_owned(),
                (None, Since::Mark(label)) if replay.marked.is_some() => format!("mark {label}"),
                (None, Since::Mark(label)) => format!("start, as mark {label} has not come"),
                (None, Since::Start) => "start".to_owned(),
            },
            started_at_ns: facts.started_at_ns,
        }
    }

    /// How recording has ended, in a word of the JSON's, and in a line.
    fn ended(&self) -> (&'static str, String) {
        let facts = self.live.facts();
        let (word, text) = match facts.ended {
            Ended::Complete => ("complete", "the program has ended"),
            Ended::Killed => ("killed", "the program was killed"),
            Ended::DiskFull => ("disk_full", "recording has ended: the disk is full"),
            Ended::Limit => ("limit", "recording has ended at LEAK_MAX_TRACE"),
            Ended::Recording | Ended::Truncated => (
                "truncated",
                "the trace was cut short, or its recorder killed",
            ),
        };
        let first = facts.processes.first().map(|first| first.outcome);
        let status = match first {
            Some(Outcome::Exit(Some(code))) => format!(" with status {code}"),
            _ => String::new(),
        };
        let text = format!("{text}{status}; leak-analyze {} has the report", self.name);
        (word, text)
    }
}

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
fn lines(watch: &mut Watch, options: &Options) -> Result<(), String> {
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
    watch.judge.begin(is_last);
    watch.judge.hear(JUDGING);
    let view = watch.look();
    let heading = watch.heading();
    if let Some(path) = &options.openmetrics {
        write_metrics(path, &view)?;
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

fn write_metrics(path: &Path, view: &View) -> Result<(), String> {
    let written = openmetrics::write(path, view);
    written.map_err(|error| {
        format!(
            "{}: {error}; name a file in a folder that can be written to",
            path.display()
        )
    })
}
