//! The requests that wait for their answers, in order.

use crate::Broken;

/// What an answer's length depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Head,
    Connect,
}

const RUNS: usize = 32;

/// A queue of kinds as runs of equal ones: a deep pipeline of one kind takes one place.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    runs: [(Kind, u32); RUNS],
    first: usize,
    len: usize,
}

impl Runs {
    pub(crate) const EMPTY: Runs = Runs {
        runs: [(Kind::Plain, 0); RUNS],
        first: 0,
        len: 0,
    };

    pub(crate) fn push(&mut self, kind: Kind) -> Result<(), Broken> {
        let at = |index: usize| index % RUNS;
        if let Some(back) = self.len.checked_sub(1)
            && let Some((last, count)) = self.runs.get_mut(at(self.first + back))
            && *last == kind
            && *count < u32::MAX
        {
            *count += 1;
            return Ok(());
        }
        if self.len == RUNS {
            return Err(Broken);
        }
        if let Some(run) = self.runs.get_mut(at(self.first + self.len)) {
            *run = (kind, 1);
            self.len += 1;
        }
        Ok(())
    }

    pub(crate) fn front(&self) -> Option<Kind> {
        if self.len == 0 {
            return None;
        }
        self.runs.get(self.first).map(|(kind, _)| *kind)
    }

    pub(crate) fn pop(&mut self) -> Option<Kind> {
        let kind = self.front()?;
        let (_, count) = self.runs.get_mut(self.first)?;
        *count -= 1;
        if *count == 0 {
            self.first = (self.first + 1) % RUNS;
            self.len -= 1;
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_out_in_order_round_after_round() {
        let order = [Kind::Plain, Kind::Plain, Kind::Head, Kind::Connect];
        let mut runs = Runs::EMPTY;
        for _ in 0..3 * RUNS {
            order.iter().for_each(|kind| runs.push(*kind).unwrap());
            order
                .iter()
                .for_each(|kind| assert_eq!(runs.pop(), Some(*kind)));
            assert_eq!(runs.pop(), None);
        }
    }

    #[test]
    fn a_deep_pipeline_of_one_kind_fits_and_a_deep_mixed_one_does_not() {
        let mut runs = Runs::EMPTY;
        for _ in 0..100_000 {
            runs.push(Kind::Plain).unwrap();
        }
        for index in 1..RUNS {
            let kind = [Kind::Plain, Kind::Head][index % 2];
            runs.push(kind).unwrap();
        }
        assert_eq!(runs.push(Kind::Connect), Err(Broken));
    }
}
