//! Begins and ends of processes and threads, and readings of types, in their places.

use std::cmp::Reverse;

use super::thread::Open;
use super::{Item, Steps, Turn};
use crate::trace::open::Error;
use crate::trace::reader;
use crate::trace::readings::Reading;
use crate::trace::{Step, What};

impl Steps<'_> {
    pub(super) fn change(&mut self, stamp: u64, item: Item) -> Result<Turn, Error> {
        let (process, thread, what) = match item {
            Item::ProcessBegins(process) => {
                self.modules.begin(&self.trace.facts, process);
                self.codes.begin(&self.trace.facts, process);
                (process, 0, What::ProcessBegins)
            }
            Item::ProcessEnds(process) => {
                self.modules.end(process);
                self.codes.end(process);
                if self.limit.is_some() {
                    self.turns.forget(process);
                }
                (process, 0, What::ProcessEnds)
            }
            Item::ThreadBegins(thread) => {
                let mut open = Box::new(Open {
                    process: self.trace.process_of(thread),
                    ..Open::default()
                });
                let more = open.advance(self.trace, thread)?;
                if more {
                    self.queue.push(Reverse(open.entry(thread)));
                }
                if let Some(slot) = self.open.get_mut(thread as usize) {
                    *slot = Some(open);
                    self.skip(thread);
                }
                if !more {
                    self.is_dry(thread);
                }
                (self.trace.process_of(thread), thread, What::ThreadBegins)
            }
            Item::Types(number) => return self.types(number),
            Item::ThreadEnds(thread) | Item::First(thread) | Item::Event(thread) => {
                self.is_over(thread);
                (self.trace.process_of(thread), thread, What::ThreadEnds)
            }
        };
        Ok(Turn::Change(Step {
            stamp,
            process,
            thread,
            what,
        }))
    }

    /// Reads the types that come next.
    fn types(&mut self, number: u32) -> Result<Turn, Error> {
        let trace = self.trace;
        let Some((process, chunk)) = trace.readings.get(number as usize) else {
            return Err(Error::Malformed(trace.path.clone(), 0));
        };
        let mut raw = Vec::new();
        let whole = reader::load(&trace.file, chunk, &mut raw)
            .map_err(|error| Error::Io(trace.path.clone(), error))?;
        self.reading = Reading {
            image: chunk.header.image,
            begin: chunk.header.first,
            end: chunk.header.last,
            ..Reading::default()
        };
        let decoded = self.reading.decode(&raw, chunk.header.count);
        match whole && decoded.is_ok() {
            true => Ok(Turn::Types(*process)),
            false => Err(Error::Malformed(trace.path.clone(), chunk.at)),
        }
    }
}
