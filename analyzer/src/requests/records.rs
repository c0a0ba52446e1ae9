//! All requests, in order of their begin.
//!
//! Who follows a program for weeks can't keep them all: those that ended long ago are *folded*, from the first one on.
//! A folded request is one that has ended and of which nothing else is known. A report folds none.

use std::ops::{Deref, DerefMut, Index, IndexMut};

use rustc_hash::FxHashMap;

use super::record::{Figures, Record, RequestId};
use crate::analysis::Source;

/// See the module's documentation. As a slice it is those after the folded ones: all, in a report.
#[derive(Debug)]
pub struct Records {
    /// So many are folded, or in `open`.
    before: usize,
    after: Vec<Record>,
    /// Of those before, the ones that had not ended.
    open: FxHashMap<RequestId, Record>,
    /// Takes what is written to any that is folded.
    lost: Record,
}

impl Default for Records {
    fn default() -> Records {
        Records {
            before: 0,
            after: Vec::new(),
            open: FxHashMap::default(),
            lost: FOLDED.clone(),
        }
    }
}

/// A request that has ended, and of which nothing else is known.
static FOLDED: Record = Record {
    process: 0,
    thread: 0,
    host: 0,
    label: None,
    connection: 0,
    source: Source::Http,
    count: 1,
    status: None,
    start: 0,
    end: Some(0),
    reader: 0,
    unanswered: false,
    answer_begun: true,
    void: false,
    moved: false,
    touches: 0,
    figures: Figures {
        allocations: 0,
        allocated_bytes: 0,
        inferred_blocks: 0,
        associated_bytes: 0,
        live_blocks: 0,
        live_bytes: 0,
        survivor_blocks: 0,
        survivor_bytes: 0,
        retained_blocks: 0,
        retained_bytes: 0,
    },
};

impl Records {
    /// How many there were, the folded ones too.
    pub fn len(&self) -> usize {
        self.before + self.after.len()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are after the folded ones.
    pub fn unfolded(&self) -> usize {
        self.after.len()
    }

    /// One more begins.
    pub fn push(&mut self, record: Record) {
        self.after.push(record);
    }

    /// The request with this number.
    pub fn get(&self, request: usize) -> Option<&Record> {
        match request.checked_sub(self.before) {
            Some(place) => self.after.get(place),
            None => Some(self.open.get(&(request as RequestId)).unwrap_or(&FOLDED)),
        }
    }

    /// The same, to be changed; what is changed of a folded one is lost.
    pub fn get_mut(&mut self, request: usize) -> Option<&mut Record> {
        let Some(place) = request.checked_sub(self.before) else {
            self.lost = FOLDED.clone();
            let open = self.open.get_mut(&(request as RequestId));
            return Some(open.unwrap_or(&mut self.lost));
        };
        self.after.get_mut(place)
    }

    /// Folds those that `has_ended` says to have, all but the newest `most`; tells each that is folded.
    pub fn fold(
        &mut self,
        most: usize,
        has_ended: impl Fn(&Record) -> bool,
        mut tell: impl FnMut(RequestId, &Record),
    ) {
        self.open.retain(|request, record| {
            if has_ended(record) {
                tell(*request, record);
            }
            !has_ended(record)
        });
        let old = self.after.len().saturating_sub(most);
        for (number, record) in self.after.drain(..old).enumerate() {
            let request = (self.before + number) as RequestId;
            match has_ended(&record) {
                true => tell(request, &record),
                false => drop(self.open.insert(request, record)),
            }
        }
        self.before += old;
    }

    /// All, of which none was folded.
    pub fn into_vec(self) -> Vec<Record> {
        self.after
    }
}

impl Deref for Records {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        &self.after
    }
}

impl DerefMut for Records {
    fn deref_mut(&mut self) -> &mut [Record] {
        &mut self.after
    }
}

impl Index<usize> for Records {
    type Output = Record;

    fn index(&self, request: usize) -> &Record {
        match request.checked_sub(self.before) {
            Some(place) => &self.after[place],
            None => self.open.get(&(request as RequestId)).unwrap_or(&FOLDED),
        }
    }
}

impl IndexMut<usize> for Records {
    fn index_mut(&mut self, request: usize) -> &mut Record {
        match request.checked_sub(self.before) {
            Some(place) => &mut self.after[place],
            None => {
                self.lost = FOLDED.clone();
                let open = self.open.get_mut(&(request as RequestId));
                open.unwrap_or(&mut self.lost)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_ones_have_ended_and_open_ones_stay() {
        let mut records = Records::default();
        for number in 0..10 {
            records.push(Record {
                label: Some(number),
                end: (number != 3).then_some(u64::from(number)),
                ..FOLDED.clone()
            });
        }
        let mut told = Vec::new();
        let has_ended = |record: &Record| record.end.is_some();
        records.fold(4, has_ended, |request, record| {
            told.push((request, record.label))
        });
        assert_eq!(told, [0, 1, 2, 4, 5].map(|number| (number, Some(number))));
        assert_eq!((records.len(), records[3].label), (10, Some(3)));
        assert_eq!((records[5].label, records[6].label), (None, Some(6)));
        // What is written to one that is folded is lost, and no other's.
        records[5].void = true;
        assert!(!records[4].void && records[5].end.is_some());
        records[3].end = Some(7);
        told.clear();
        records.fold(4, has_ended, |request, record| {
            told.push((request, record.label))
        });
        assert_eq!(told, [(3, Some(3))]);
        assert!(records.get(10).is_none());
    }
}
