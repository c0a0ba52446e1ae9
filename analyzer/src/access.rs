//! Access logs: which line is of which request of a trace, and what the line tells of it that the trace does not: names
//! of query parameters, user agent, request id. A line that may be of two requests is of none.

mod common;
mod fields;
mod form;
mod group;
mod join;
mod line;
mod moment;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::figures::{count, counted};

pub use join::join;

/// What a line tells of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Names of the query's parameters, each once, in their order.
    pub query_keys: Vec<String>,
    /// The client, as it calls itself.
    pub user_agent: Option<String>,
    /// What the log calls the request.
    pub request_id: Option<String>,
}

/// What became of a log's lines.
#[derive(Clone, Debug, Default)]
pub struct AccessLog {
    /// By the request's place among all of the analysis.
    of: FxHashMap<usize, Entry>,
    /// Lines.
    pub counts: Counts,
}

/// How many lines there are, and of what kind: all of them are of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of one request by a recorded id.
    pub by_id: u64,
    /// Of one request by time, method, path and status.
    pub by_time: u64,
    /// They may be of several requests, or several lines of one.
    pub ambiguous: u64,
    /// Of no request that was recorded.
    pub unknown: u64,
    /// From before or after the recorded time.
    pub outside: u64,
    /// In no form that is known.
    pub unread: u64,
}

impl AccessLog {
    /// The entry of a request.
    pub fn of(&self, request: usize) -> Option<&Entry> {
        self.of.get(&request)
    }
}

impl Counts {
    /// What to say of them, in one line.
    pub fn text(&self) -> String {
        let joined = self.by_id + self.by_time;
        let all = joined + self.ambiguous + self.unknown + self.outside + self.unread;
        let mut text = format!(
            "{} of {} joined to requests",
            count(joined),
            counted(all, "line")
        );
        if self.by_id > 0 {
            text += &format!(", {} of them by ids", count(self.by_id));
        }
        let others = [
            (self.ambiguous, "may be of several"),
            (self.unknown, "of no request that was recorded"),
            (self.outside, "from before or after the recording"),
            (self.unread, "not understood"),
        ];
        for (number, what) in others.into_iter().filter(|(number, _)| *number > 0) {
            text += &format!("; {} {what}", count(number));
        }
        text
    }
}
