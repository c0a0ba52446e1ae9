//! What is known of one request.

use crate::analysis::{Figure, Octets};
use crate::requests::segments::Values;

/// A duration of what has not ended.
pub(super) const UNENDED: u64 = u64::MAX;

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) leaks: bool,
    pub(super) client_gone: bool,
    /// In which hour of a day it began, UTC.
    pub(super) hour: u8,
    pub(super) bytes_in: Octets,
    pub(super) bytes_out: Octets,
    pub(super) status: Option<u32>,
    /// [`UNENDED`]: it has not ended.
    pub(super) duration_ns: u64,
    /// Which of its connection it is, from 1; 0: it came by none.
    pub(super) place: u32,
    /// Others that had begun and not ended when it began.
    pub(super) in_flight: u32,
    pub(super) thread: (u32, u32),
    /// What stands where its label folds the path.
    pub(super) values: Values,
}

impl Row {
    /// `None`: it is not known.
    pub(super) fn figure(&self, figure: Figure) -> Option<u64> {
        match figure {
            Figure::Nth => Some(u64::from(self.place)).filter(|place| *place > 0),
            Figure::BytesIn => self.bytes_in.get(),
            Figure::InFlight => Some(u64::from(self.in_flight)),
            Figure::BytesOut => self.bytes_out.get(),
            Figure::Duration => Some(self.duration_ns).filter(|ns| *ns != UNENDED),
        }
    }
}
