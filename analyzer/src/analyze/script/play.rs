//! Plays a script: its steps go to an analyzer, one by one or in runs.

use leak_wire::{Bytes, Common, Event};

use super::{Script, Told};
use crate::analysis::Analysis;
use crate::analyze::{Analyzer, Boundary, Options};
use crate::sites::Sites;
use crate::trace::{Clock, Step, What};

impl Script {
    /// The analysis of all steps; step i has stamp i + 1, and a tick is a nanosecond.
    pub(in crate::analyze) fn analysis(&self, options: &Options) -> Analysis {
        self.analysis_at(options, &Sites::default())
    }

    /// The same, of blocks at the sites of a program.
    pub(in crate::analyze) fn analysis_at(&self, options: &Options, sites: &Sites) -> Analysis {
        self.analysis_by(options, sites, |analyzer| {
            self.play(|step| analyzer.step(step));
        })
    }

    /// The same, where a thread goes on with blocks these in one run, as a reader of a trace gives them.
    pub(in crate::analyze) fn analysis_in_runs(&self, options: &Options) -> Analysis {
        self.analysis_by(options, &Sites::default(), |analyzer| {
            let mut run: Option<(u32, u32, u64, Vec<Common>)> = None;
            let end = |analyzer: &mut Analyzer<'_>, run: &mut Option<_>| {
                if let Some((process, thread, stamp, blocks)) = run.take() {
                    let blocks: Vec<Common> = blocks;
                    let mut left = blocks.as_slice();
                    let read = |room: &mut [Common]| {
                        let (next, rest) = left.split_at(left.len().min(room.len()));
                        room[..next.len()].copy_from_slice(next);
                        left = rest;
                        next.len()
                    };
                    analyzer.machine.run(process, thread, stamp, read);
                }
            };
            self.play(|step| {
                if let Some((process, thread, _, blocks)) = &mut run
                    && (*process, *thread) == (step.process, step.thread)
                    && let Some(block) = block(&step.what)
                {
                    return blocks.push(block);
                }
                end(analyzer, &mut run);
                analyzer.step(step);
                if let What::Event(_) = step.what {
                    run = Some((step.process, step.thread, step.stamp, Vec::new()));
                }
            });
            end(analyzer, &mut run);
        })
    }

    fn analysis_by(
        &self,
        options: &Options,
        sites: &Sites,
        mut take: impl FnMut(&mut Analyzer<'_>),
    ) -> Analysis {
        let mut facts = self.facts.clone();
        facts.clock = Clock {
            points: vec![(0, 0), (1 << 40, 1 << 40)],
        };
        let mut options = options.clone();
        loop {
            let mut analyzer = Analyzer::new(&facts, &options);
            take(&mut analyzer);
            if !analyzer.wants_marks() {
                return analyzer.finish(sites);
            }
            options.boundary = Boundary::Mark;
        }
    }

    /// Gives all steps in order.
    pub(in crate::analyze) fn play(&self, mut take: impl FnMut(&Step<'_>)) {
        for (stamp, (process, thread, told)) in (1..).zip(&self.steps) {
            let bytes = |text: &'static str| Bytes::Slice(text.as_bytes());
            // Test code: the few labels may live for ever.
            let keep = |text: &String| bytes(Box::leak(text.clone().into_boxed_str()));
            let what = match told {
                Told::Begins => What::ProcessBegins,
                Told::Ends => What::ProcessEnds,
                Told::ThreadBegins => What::ThreadBegins,
                Told::ThreadEnds => What::ThreadEnds,
                Told::Event(event) => What::Event(*event),
                Told::Accept(connection, local) => What::Event(Event::Accept {
                    connection: *connection,
                    local: keep(local),
                }),
                Told::Request(connection, count, protocol, label) => What::Event(Event::Request {
                    connection: *connection,
                    count: *count,
                    protocol: *protocol,
                    label: keep(label),
                }),
                Told::MarkBegin(label) => What::Event(Event::MarkBegin { label: keep(label) }),
                Told::Mark(label) => What::Event(Event::Mark { label: keep(label) }),
            };
            take(&Step {
                stamp,
                process: *process,
                thread: *thread,
                what,
            });
        }
    }
}

/// What of a step comes in runs.
fn block(what: &What<'_>) -> Option<Common> {
    match *what {
        What::Event(Event::Allocation {
            address,
            size,
            site,
        }) => Some(Common::Allocation {
            address,
            size,
            site,
        }),
        What::Event(Event::Free { address }) => Some(Common::Free { address }),
        _ => None,
    }
}
