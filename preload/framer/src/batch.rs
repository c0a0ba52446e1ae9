//! What goes out of one feed: equal facts that follow each other are one with a count.

use crate::label::Label;
use crate::wanted::Wanted;
use crate::{Fact, Protocol, Reason};

/// The facts of one feed. Emits in order; holds back the last request or answer to count it.
pub(crate) struct Out<'e> {
    emit: &'e mut dyn FnMut(Fact<'_>),
    held: Held,
    wanted: Wanted<'e>,
    /// The next request has headers of its own: it is one alone.
    alone: bool,
}

#[expect(clippy::large_enum_variant, reason = "there is no heap to box it in")]
enum Held {
    Nothing,
    Request(Protocol, u32, Label),
    Answer(u32, u32),
}

impl<'e> Out<'e> {
    pub(crate) fn new(emit: &'e mut dyn FnMut(Fact<'_>)) -> Self {
        Out {
            emit,
            held: Held::Nothing,
            wanted: Wanted::NONE,
            alone: false,
        }
    }

    /// The same, with headers of requests.
    pub(crate) fn with(emit: &'e mut dyn FnMut(Fact<'_>), wanted: Wanted<'e>) -> Self {
        Out {
            wanted,
            ..Out::new(emit)
        }
    }

    /// Which headers are to be told.
    pub(crate) fn wanted(&self) -> Wanted<'e> {
        self.wanted
    }

    /// A header of the request that comes next.
    pub(crate) fn header(&mut self, name: &[u8], value: &[u8], length: u32) {
        self.flush();
        self.alone = true;
        (self.emit)(Fact::Header {
            name,
            value,
            length,
        });
    }

    pub(crate) fn request(&mut self, protocol: Protocol, label: &Label) {
        match &mut self.held {
            Held::Request(held, count, same)
                if *held == protocol && same.as_bytes() == label.as_bytes() =>
            {
                *count += 1;
            }
            _ => {
                self.flush();
                self.held = Held::Request(protocol, 1, *label);
            }
        }
        if core::mem::take(&mut self.alone) {
            self.flush();
        }
    }

    pub(crate) fn answer(&mut self, status: u32) {
        self.answers(1, status);
    }

    pub(crate) fn answers(&mut self, number: u32, status: u32) {
        match &mut self.held {
            _ if number == 0 => {}
            Held::Answer(count, same) if *same == status => *count = count.saturating_add(number),
            _ => {
                self.flush();
                self.held = Held::Answer(number, status);
            }
        }
    }

    pub(crate) fn begun(&mut self) {
        self.flush();
        (self.emit)(Fact::RequestBegun);
    }

    pub(crate) fn upgraded(&mut self) {
        self.flush();
        (self.emit)(Fact::Upgraded);
    }

    pub(crate) fn messages(&mut self) {
        self.flush();
        (self.emit)(Fact::Messages);
    }

    pub(crate) fn unseen(&mut self, reason: Reason) {
        self.flush();
        (self.emit)(Fact::Unseen(reason));
    }

    /// The feed's end: what was held back goes out.
    pub(crate) fn flush(&mut self) {
        match &self.held {
            Held::Nothing => {}
            Held::Request(protocol, count, label) => (self.emit)(Fact::Request {
                protocol: *protocol,
                count: *count,
                label: label.as_bytes(),
            }),
            Held::Answer(count, status) => (self.emit)(Fact::Answer {
                count: *count,
                status: *status,
            }),
        }
        self.held = Held::Nothing;
    }
}
