//! Groups of processes whose collector tells what is garbage: by what it has told of.

use super::super::GroupEvidence;
use super::super::told::{Collection, Told};
use super::{Group, InProcess, LEAK_REQUESTS, TOLD};
use crate::analysis::Verdict;
use crate::ledger::MEASURES;
use crate::sites::runtimes::Runtime;

impl<'g> Group<'g> {
    /// Judges it. A leak by all that was kept is one only by what the runtime's collector has told of. That nothing is
    /// mature tells nothing where things were kept for long: those may have waited since, or be in use.
    pub(super) fn by_collections(&self, runtime: Runtime) -> (Verdict, GroupEvidence) {
        let (verdict, evidence) = self.judge_all();
        let is_old = match verdict {
            Verdict::Leak => true,
            Verdict::FreedLater | Verdict::TooFewRequests => self.kept_long() >= LEAK_REQUESTS,
            _ => false,
        };
        if !is_old {
            return (verdict, evidence);
        }
        let group = self.until_collections();
        let (told, all) = (group.of_processes(), self.of_processes());
        let ran = self.processes.iter().any(|one| one.collection.is_some());
        let told_of = |is_judged| {
            Some(Told {
                runtime,
                requests: ran.then_some(told),
                is_judged,
            })
        };
        if verdict == Verdict::Leak
            && told * TOLD >= all
            && let (Verdict::Leak, of_told) = group.judge_all()
        {
            let evidence = GroupEvidence {
                told: told_of(true),
                ..of_told
            };
            return (verdict, evidence);
        }
        let evidence = GroupEvidence {
            told: told_of(false),
            needed: None,
            ..evidence
        };
        (Verdict::TooFewRequests, evidence)
    }

    /// How many of its requests there are in the processes that have a part in the site.
    fn of_processes(&self) -> u64 {
        let processes = self.processes.iter();
        processes.map(|process| process.orders.len() as u64).sum()
    }

    /// How many requests kept something that is older than what is freed became, or than half of all requests are.
    fn kept_long(&self) -> u64 {
        let [limit, ..] = self.limits();
        let kept = self.processes.iter().map(|process| {
            let limit = limit.min(process.ended / 2);
            let kept = process.kept.iter();
            kept.filter(|kept| process.age(kept.order) > limit).count() as u64
        });
        kept.sum()
    }

    /// The group as it stood when the last collections began.
    fn until_collections(&self) -> Group<'g> {
        let mut told = self.clone();
        told.everywhere = &[];
        told.processes
            .iter_mut()
            .for_each(InProcess::until_collection);
        told
    }
}

impl InProcess<'_> {
    fn until_collection(&mut self) {
        let Some(Collection { order, ago }) = self.collection else {
            self.orders.clear();
            self.kept.clear();
            return;
        };
        let later = self.ended.saturating_sub(order);
        self.ended = self.ended.min(order);
        self.orders.retain(|one| *one < order);
        self.kept.retain(|kept| kept.order < order);
        for kept in &mut self.kept {
            let [requests, .., time] = kept.age;
            kept.age = [None; MEASURES];
            kept.age[0] = requests.map(|age| age.saturating_sub(later));
            kept.age[MEASURES - 1] = time.map(|age| age.saturating_sub(ago));
        }
    }
}
