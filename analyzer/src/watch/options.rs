//! How to watch.

use std::path::PathBuf;
use std::time::Duration;

use crate::analyze;

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
