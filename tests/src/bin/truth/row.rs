//! A row of the results: one shape with one number of connections.

use std::path::Path;
use std::time::Duration;

use crate::goals;
use crate::judge::{self, Judged};
use crate::run;
use crate::shape::Shape;
use crate::traffic::Traffic;

/// One shape with one number of connections.
#[derive(Debug)]
pub(crate) struct Row {
    /// The shape's name.
    pub(crate) shape: String,
    /// Whether it allows that everything is proved.
    pub(crate) proof: bool,
    /// How many connections.
    pub(crate) connections: usize,
    /// What the report is worth, or why there is none.
    pub(crate) judged: Result<Judged, String>,
    /// The goals that it misses.
    pub(crate) missed: Vec<String>,
    /// How long the server served.
    pub(crate) served: Duration,
    /// How long the report took.
    pub(crate) reported: Duration,
}

impl Row {
    /// Runs and judges.
    pub(crate) fn measure(
        shape: &Shape,
        traffic: &Traffic,
        connections: usize,
        keep: Option<&Path>,
    ) -> Row {
        let mut row = Row {
            shape: shape.name.clone(),
            proof: shape.proof,
            connections,
            judged: Err(String::new()),
            missed: Vec::new(),
            served: Duration::ZERO,
            reported: Duration::ZERO,
        };
        row.judged = run::run(shape, traffic, connections, keep).map(|run| {
            (row.served, row.reported) = (run.served, run.reported);
            judge::judge(&run.report, shape, traffic, connections)
        });
        if let Ok(judged) = &row.judged {
            row.missed = goals::missed(judged, shape);
        }
        row
    }

    /// Whether there is a report, and it reaches all goals.
    pub(crate) fn reached(&self) -> bool {
        self.judged.is_ok() && self.missed.is_empty()
    }
}
