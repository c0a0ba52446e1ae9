//! Where memory waits for a runtime's collector: what has not been freed may be garbage, and only a collection of
//! everything tells. So a leak is judged as it stood when the last one began: what was kept until then, by requests that
//! had ended then, was in use, and so old. What came later is not judged, and where that is most of it, it can't be told
//! yet. (By then, what nobody used had been freed, and the lives of that are known: they include the wait for a
//! collection, which makes what is called mature older.)

use super::{Group, InProcess, LEAK_REQUESTS};
use crate::analysis::Verdict;
use crate::ledger::MEASURES;
use crate::sites::runtimes::Runtime;
use crate::verdict::GroupEvidence;

/// Of a group's requests at least this part (one in so many) must have ended before the collection that tells of them.
const TOLD: u64 = 2;

/// The last collection of everything in a process that began before its last request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// So many requests had ended when it began.
    pub order: u64,
    /// So long before the end of the serving.
    pub ago: u64,
}

/// What a runtime's collector has to do with a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which runtime.
    pub runtime: Runtime,
    /// The group's requests that had ended when the last collection of everything began; `None`: there was none.
    pub requests: Option<u64>,
    /// They are what was judged.
    pub is_judged: bool,
}

impl<'g> Group<'g> {
    /// Judges it. A leak by all that was kept is one only by what the runtime's collector has told of. That nothing is
    /// mature bounds nothing where things were kept that are older than what is freed became, in requests: those may have
    /// waited since, or be in use.
    pub(super) fn by_collections(&self, runtime: Runtime) -> (Verdict, GroupEvidence) {
        let (verdict, evidence) = self.judge_all();
        let is_old = match verdict {
            Verdict::Leak => true,
            Verdict::FreedLater => self.kept_long() >= LEAK_REQUESTS,
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

    /// How many requests kept something that is older than what is freed became, by requests alone.
    fn kept_long(&self) -> u64 {
        let [limit, ..] = self.limits();
        let long = |process: &&InProcess<'_>, order: u64| process.age(order) > limit;
        let kept = self.processes.iter().map(|process| {
            let kept = process.kept.iter();
            kept.filter(|kept| long(&process, kept.order)).count() as u64
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
