//! Requests from explicit marks.

use super::machine::{At, Machine};
use super::options::Boundary;
use crate::analysis::Source;

impl Machine {
    fn marks(&mut self) -> bool {
        self.marks_seen = true;
        self.boundary == Boundary::Mark
    }

    /// `leak_begin`.
    pub(super) fn mark_begins(&mut self, at: At, label: &str) {
        if self.marks() {
            let label = self.labels.intern(label);
            self.owners.part(at.thread, &mut self.records);
            let request = self.begin(at, 0, Source::Mark, Some(label), 1);
            self.owners.serve_explicitly(at.thread, request);
            self.threads[at.thread as usize].marks.push(request);
        }
    }

    /// `leak_end`: the innermost ends, the next outer one owns again.
    pub(super) fn mark_ends(&mut self, at: At) {
        if !self.marks() {
            return;
        }
        let Some(request) = self.threads[at.thread as usize].marks.pop() else {
            return;
        };
        self.end(request, at.stamp);
        self.owners.part(at.thread, &mut self.records);
        if let Some(outer) = self.threads[at.thread as usize].marks.last().copied() {
            self.owners.serve_explicitly(at.thread, outer);
        }
    }

    /// `leak_mark`: the process's interval ends, and the next begins.
    pub(super) fn interval(&mut self, at: At, label: &str) {
        if !self.marks() {
            return;
        }
        if let Some(before) = self.owners.interval(at.process, None) {
            self.end(before, at.stamp);
        }
        let label = self.labels.intern(label);
        let request = self.begin(at, 0, Source::Mark, Some(label), 1);
        self.owners.interval(at.process, Some(request));
    }
}
