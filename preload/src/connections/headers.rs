//! Which request headers are recorded (`LEAK_HEADERS`): the recorder says so.

use leak_framer::{VALUE_MAX, Wanted};
use leak_wire::layout::headers::{NAME, NAMES};
use leak_wire::{Bytes, Event};

use crate::{session, thread};

/// The names, as they stood in the session when they were asked for.
pub struct Asked {
    names: [u8; NAMES],
    length: usize,
}

impl Asked {
    /// Those of the session, if there are any.
    pub fn now() -> Option<Asked> {
        let names = &session::current()?.header().headers;
        if names.is_empty() {
            return None;
        }
        let mut asked = Asked {
            names: [0; NAMES],
            length: 0,
        };
        for (at, place) in asked.names.iter_mut().enumerate() {
            *place = names.byte(at);
            // The recorder wrote all names, without gaps, before anybody got the mapping.
            if *place == 0 {
                break;
            }
            asked.length = at + 1;
        }
        Some(asked)
    }

    pub fn wanted(&self) -> Wanted<'_> {
        Wanted::new(self.names.get(..self.length).unwrap_or(&[]))
    }
}

/// Records a header of the request that is recorded next.
pub fn tell(connection: u32, name: &[u8], value: &[u8], length: u32) {
    let mut text = [0; NAME + 1 + VALUE_MAX];
    let end = name.len() + 1 + value.len();
    // A name that is longer than the recorder lets it be is nobody's.
    let Some(room) = text.get_mut(..end) else {
        return;
    };
    let between = [0];
    let bytes = name.iter().chain(&between).chain(value);
    room.iter_mut()
        .zip(bytes)
        .for_each(|(place, byte)| *place = *byte);
    thread::record(Event::Header {
        connection,
        length,
        text: Bytes::Slice(text.get(..end).unwrap_or(&[])),
    });
}
