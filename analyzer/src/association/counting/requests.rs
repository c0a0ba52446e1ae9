//! Requests by label and status, and what each is to have.

use rustc_hash::FxHashMap;

use super::super::flight::{Lag, Sweep};
use super::super::groups::{Groups, Key};
use super::serve::Claim;
use crate::requests::record::{Record, RequestId};

/// How long after its end a request may still have blocks made.
pub(super) type Reach = Option<Lag>;

/// All that is known of them.
pub(super) struct Requests<'c> {
    pub(super) groups: &'c Groups,
    pub(super) records: &'c [Record],
    sweeps: &'c [Sweep],
    /// By group, in order of process and begin.
    by_group: Vec<Vec<RequestId>>,
    /// How many of these have ended, and their status.
    ended_by_group: Vec<(u64, Option<u32>)>,
    /// All that have ended.
    pub(super) ended: Vec<RequestId>,
}

impl<'c> Requests<'c> {
    pub(super) fn new(groups: &'c Groups, records: &'c [Record], sweeps: &'c [Sweep]) -> Self {
        let mut by_group: Vec<Vec<RequestId>> = vec![Vec::new(); groups.count()];
        let mut ended_by_group: Vec<(u64, Option<u32>)> = vec![(0, None); groups.count()];
        let mut ended = Vec::new();
        for (request, record) in (0..).zip(records) {
            if let Some(group) = groups.of_request(request) {
                by_group[group as usize].push(request);
                let number = &mut ended_by_group[group as usize];
                number.1 = record.status;
                if record.end.is_some() {
                    number.0 += 1;
                    ended.push(request);
                }
            }
        }
        let place = |request: &RequestId| {
            let record = &records[*request as usize];
            (record.process, record.start)
        };
        by_group.iter_mut().for_each(|all| all.sort_by_key(place));
        Requests {
            groups,
            records,
            sweeps,
            by_group,
            ended_by_group,
            ended,
        }
    }

    /// How many of the key's requests have ended, and how many may have left something beside them: those that are open,
    /// and those without a status, which may be of any.
    pub(super) fn numbers(&self, key: Key) -> (u64, u64) {
        let (mut must, mut all) = (0, 0);
        for group in self.groups.members(Key::Label(self.groups.label_of(key))) {
            let (ended, status) = self.ended_by_group[*group as usize];
            let is_own = self.groups.contains(key, *group);
            if is_own || status.is_none() {
                all += self.by_group[*group as usize].len() as u64;
                must += if is_own { ended } else { 0 };
            }
        }
        (must, all - must)
    }

    /// The status of the key's requests, where they are those with one.
    pub(super) fn status(&self, key: Key) -> Option<u32> {
        match key {
            Key::Group(group) => self.ended_by_group[group as usize].1,
            Key::Label(_) => None,
        }
    }

    /// The requests of these keys, each with how many blocks it is to have beside those that are proved its own.
    pub(super) fn claims(
        &self,
        parts: &[(Key, u64)],
        reach: Reach,
        proved: &FxHashMap<RequestId, u64>,
    ) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (part, (key, each)) in parts.iter().enumerate() {
            let label = self.groups.label_of(*key);
            for group in self.groups.members(Key::Label(label)) {
                let is_own = self.groups.contains(*key, *group);
                if !is_own && self.ended_by_group[*group as usize].1.is_some() {
                    continue;
                }
                for request in &self.by_group[*group as usize] {
                    let record = &self.records[*request as usize];
                    let lag =
                        reach.map_or(0, |lag| self.sweeps[record.process as usize].lasts(lag));
                    let until = record.end.map_or(u64::MAX, |end| end.saturating_add(lag));
                    claims.push(Claim {
                        process: record.process,
                        from: record.start,
                        until,
                        request: *request,
                        part,
                        wants: each.saturating_sub(proved.get(request).copied().unwrap_or(0)),
                        must: is_own && record.end.is_some(),
                    });
                }
            }
        }
        claims.sort_by_key(|claim| (claim.process, claim.from));
        claims
    }
}
