//! Verdicts so far: the ordinary report of what is there, made by a process of its own, as often as that is cheap.
//!
//! A report reads the whole trace. So the next one is begun when the last one took less than a twentieth of the time
//! since, and none of a trace that is larger than [`LARGEST`]: its verdicts stay what they were, and say as of when.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use serde_json::Value;

/// A larger trace is not judged while it is watched.
const LARGEST: u64 = 256 << 20;
/// Reports take this part of the time, at most.
const PART: u32 = 20;
/// Verdicts, the worst first.
const ORDER: [&str; 7] = [
    "leak",
    "growing_buffer",
    "too_few_requests",
    "bounded",
    "warm_up",
    "freed_later",
    "clean",
];

/// Survivors of a call site up to so old: how many were freed, and are alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) up_to_requests: u64,
    pub(super) freed: u64,
    pub(super) alive: u64,
}

/// What is thought of a call site, or of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) verdict: String,
    /// So many more requests are needed to tell.
    pub(super) needed: Option<u64>,
    /// Why, and how long what it keeps lives: of call sites.
    pub(super) text: String,
    pub(super) lives: Vec<Life>,
}

impl Judged {
    /// In a word or two, where there is little room.
    pub(super) fn short(&self) -> String {
        match self.needed {
            Some(needed) => format!("needs {needed} more"),
            None => self.verdict.clone(),
        }
    }

    /// In a few words.
    pub(super) fn words(&self) -> String {
        match self.needed {
            Some(needed) => format!("{}, needs {needed} more", self.verdict),
            None => self.verdict.clone(),
        }
    }
}

/// All verdicts of one report.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    /// So many requests had ended.
    pub(super) requests: u64,
    groups: FxHashMap<(String, Option<u64>), Judged>,
    endpoints: FxHashMap<String, Judged>,
    sites: FxHashMap<String, Judged>,
    pub(super) seconds_to_limit: Option<u64>,
}

impl Verdicts {
    /// Of the requests of a label with one status; nothing was left where nothing was judged.
    pub(super) fn group(&self, label: &str, status: Option<u32>) -> Option<&Judged> {
        let key = (label.to_owned(), status.map(u64::from));
        self.groups.get(&key).or_else(|| self.endpoints.get(label))
    }

    /// Of the call site with this fingerprint.
    pub(super) fn site(&self, fingerprint: &str) -> Option<&Judged> {
        self.sites.get(fingerprint)
    }

    fn read(report: &Value) -> Verdicts {
        let mut verdicts = Verdicts {
            seconds_to_limit: report["memory"]["seconds_to_limit"].as_u64(),
            ..Verdicts::default()
        };
        for endpoint in list(&report["endpoints"]) {
            verdicts.requests += endpoint["requests"].as_u64().unwrap_or(0);
            let label = text(&endpoint["label"]);
            let judged = Judged {
                verdict: text(&endpoint["verdict"]),
                ..Judged::default()
            };
            for status in list(&endpoint["statuses"]) {
                let key = (label.clone(), status["status"].as_u64());
                let clean = Judged {
                    verdict: "clean".to_owned(),
                    ..Judged::default()
                };
                verdicts.groups.insert(key, clean);
            }
            verdicts.endpoints.insert(label, judged);
        }
        for site in list(&report["sites"]) {
            verdicts.add_site(site);
        }
        verdicts
    }

    fn add_site(&mut self, site: &Value) {
        let evidence = &site["evidence"];
        let needed = evidence["requests_needed"].as_u64();
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let lives = list(&evidence["lives"]).map(|life| Life {
            up_to_requests: number(&life["up_to_requests"]),
            freed: number(&life["freed"]),
            alive: number(&life["alive"]),
        });
        let judged = Judged {
            verdict: text(&site["verdict"]),
            needed,
            text: text(&evidence["text"]),
            lives: lives.collect(),
        };
        self.sites.insert(text(&site["fingerprint"]), judged);
        for group in list(&site["groups"]) {
            let label = text(&group["label"]);
            // A site that holds next to nothing is no matter of its endpoint.
            let worst = self.endpoints.get(&label).map(|of| rank(&of.verdict));
            let verdict = text(&group["verdict"]);
            if worst.is_none_or(|worst| rank(&verdict) < worst) {
                continue;
            }
            let of = self
                .groups
                .entry((label, group["status"].as_u64()))
                .or_default();
            if of.verdict.is_empty() || rank(&verdict) < rank(&of.verdict) {
                of.needed = needed.filter(|_| verdict == "too_few_requests");
                of.verdict = verdict;
            } else if verdict == of.verdict && verdict == "too_few_requests" {
                of.needed = of.needed.max(needed);
            }
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn rank(verdict: &str) -> usize {
    let found = ORDER.iter().position(|known| *known == verdict);
    found.unwrap_or(ORDER.len())
}

/// Makes reports.
#[derive(Debug)]
pub(super) struct Judge {
    trace: PathBuf,
    /// How a request is found, as on the command line.
    arguments: Vec<String>,
    running: Option<(Instant, Receiver<Option<Verdicts>>)>,
    /// When the last one was begun, and how long it took.
    last: Option<(Instant, Duration)>,
    /// How many requests had ended when it was begun.
    judged: Option<u64>,
    pub(super) verdicts: Option<Verdicts>,
}

impl Judge {
    pub(super) fn new(trace: &Path, arguments: Vec<String>) -> Judge {
        Judge {
            trace: trace.to_path_buf(),
            arguments,
            running: None,
            last: None,
            judged: None,
            verdicts: None,
        }
    }

    /// Begins a report, if one is due, now that so many requests have ended; the last one is due where any has since.
    pub(super) fn begin(&mut self, requests: u64, is_last: bool) {
        let due = |(begun, took): (Instant, Duration)| begun.elapsed() >= took * PART;
        let size = self.trace.metadata().map_or(0, |metadata| metadata.len());
        let is_due = is_last || self.last.is_none_or(due);
        let is_news = requests > 0 && self.judged != Some(requests);
        if self.running.is_some() || !is_due || !is_news || size > LARGEST {
            return;
        }
        let mut command = report_of(&self.trace, &self.arguments);
        command.args(["--format", "json", "--requests", "none"]);
        let (tell, told) = channel();
        let reading = move || {
            let output = command
                .output()
                .ok()
                .filter(|output| output.status.success());
            let report = output.and_then(|of| serde_json::from_slice(&of.stdout).ok());
            // Nobody hears it where the watch has ended.
            let _ = tell.send(report.as_ref().map(Verdicts::read));
        };
        if std::thread::Builder::new().spawn(reading).is_ok() {
            self.running = Some((Instant::now(), told));
            self.judged = Some(requests);
        }
    }

    /// Takes what a report that was begun says, if it is there; waits for it for so long.
    pub(super) fn hear(&mut self, patience: Duration) {
        let Some((begun, told)) = &self.running else {
            return;
        };
        let heard = match patience.is_zero() {
            true => told
                .try_recv()
                .map_err(|error| error == TryRecvError::Empty),
            false => told.recv_timeout(patience).map_err(|_| true),
        };
        match heard {
            Err(true) => return,
            Err(false) | Ok(None) => {}
            Ok(Some(verdicts)) => self.verdicts = Some(verdicts),
        }
        self.last = Some((*begun, begun.elapsed()));
        self.running = None;
    }

    /// The command that makes the page of the trace.
    pub(super) fn page(&self, output: &Path) -> Command {
        let mut command = report_of(&self.trace, &self.arguments);
        command.args(["--format", "html", "-o"]).arg(output);
        command
    }
}

/// A report of `trace`.
fn report_of(trace: &Path, arguments: &[String]) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "leak-analyze".into());
    let mut command = Command::new(program);
    command.arg(trace).args(arguments);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}
