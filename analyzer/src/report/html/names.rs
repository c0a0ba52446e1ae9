//! Names and frames that stand once in the page, however many rows name them.

use rustc_hash::FxHashMap;

use super::data::{Frame, Name};
use crate::escape::escaped;
use crate::report::frames::{Kind, Stack};

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Names {
    strings: Vec<String>,
    places: FxHashMap<String, Name>,
    frames: Vec<Frame>,
    frame_places: FxHashMap<Frame, u32>,
}

impl Names {
    /// The place of a name, which gets escaped.
    pub(super) fn of(&mut self, name: &str) -> Name {
        let name = escaped(name);
        if let Some(at) = self.places.get(&*name) {
            return *at;
        }
        let at = self.strings.len() as Name;
        self.strings.push(name.clone().into_owned());
        self.places.insert(name.into_owned(), at);
        at
    }

    /// The places of a backtrace's frames.
    pub(super) fn frames(&mut self, stack: &Stack) -> Vec<u32> {
        let lines = stack.lines.iter();
        lines
            .map(|line| {
                let kind = match line.kind {
                    Kind::Own => 0,
                    Kind::Wrapper => 1,
                    Kind::Library => 2,
                    Kind::Runtime => 3,
                };
                let (name, place) = (self.of(&line.name), self.of(&line.place));
                let frame = Frame(name, place, kind, line.is_python);
                let next = self.frames.len() as u32;
                let at = *self.frame_places.entry(frame).or_insert(next);
                if at == next {
                    self.frames.push(frame);
                }
                at
            })
            .collect()
    }

    /// All of them.
    pub(super) fn into_parts(self) -> (Vec<String>, Vec<Frame>) {
        (self.strings, self.frames)
    }
}
