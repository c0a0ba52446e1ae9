//! A process without requests of its own (a master of workers, a pool's child) is judged over the time that others serve.

use super::{Ledger, PARTS, Serving, pieces};
use crate::requests::record::Record;

impl Ledger {
    /// A process of the tree begins to serve: how much was live here then.
    pub fn tree_serves(&mut self) {
        self.tree.from_bytes = Some(self.counts.held_bytes());
    }

    /// The process begins while others serve: what it holds has all come since.
    pub fn begins_meanwhile(&mut self, stamp: u64) {
        self.tree_serves();
        self.tree.begun = Some(stamp);
    }

    /// A thread of the process comes to a wait, as one does that has done its job.
    #[inline]
    pub fn comes_to_wait(&mut self, stamp: u64) {
        if self.tree.begun.is_some() && self.serving.from.is_none() {
            self.tree.waits.add(stamp, 1);
        }
    }

    /// The process ends: if it had no requests, it is judged over the time of the others', or over what was left of that
    /// when it began. Their number is what tells the time: all of them may have been slow at once.
    pub fn serves_with(&mut self, tree: Serving, records: &[Record]) {
        let from = self.tree.begun.or(tree.from).unwrap_or(0);
        let Some(from_bytes) = self.tree.from_bytes else {
            return;
        };
        if self.serving.from.is_some() || tree.to <= from {
            return;
        }
        let live = self.exit.held_before();
        let own = self.heap.own();
        let memory = own.filter(|(address, _)| pieces::is_memory(*address));
        let late = memory.filter(|(_, block)| block.born > tree.to);
        let late = late.map(|(address, block)| self.heap.amount(address, block).bytes);
        let late: u64 = late.sum();
        let started = records.iter().filter(|record| !record.void);
        let started = started.map(|record| record.start);
        let mut started: Vec<u64> = started
            .filter(|start| (from..=tree.to).contains(start))
            .collect();
        started.sort_unstable();
        let requests = started.len() as u64;
        let mut ends: [u64; PARTS] = std::array::from_fn(|part| {
            let place = (part + 1) * started.len() / PARTS;
            started.get(place).copied().unwrap_or(tree.to)
        });
        let jobs = self.tree.jobs::<PARTS>(tree.to);
        if self.tree.begun.is_some() {
            // It may take long to start: what it makes until it waits has come at one moment.
            let by_jobs = ends.iter_mut().zip(jobs.unwrap_or([tree.to; PARTS]));
            by_jobs.for_each(|(end, of_job)| *end = of_job.max(*end));
        }
        self.serving = Serving {
            from: Some(from),
            // One that never waits tells nothing of when its jobs began.
            requests: match self.tree.begun {
                Some(_) if jobs.is_none() => 0,
                _ => requests,
            },
            is_passing: self.tree.begun.is_some(),
            by_requests: Some(ends),
            from_bytes,
            to_bytes: live
                .unwrap_or(self.counts.held_bytes())
                .saturating_sub(late),
            ..tree
        };
    }
}
