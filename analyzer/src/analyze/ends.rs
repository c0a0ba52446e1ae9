//! What the ends of processes say beside their call sites, which are judged.

use rustc_hash::FxHashMap;

use super::site_list::reached;
use super::{course, endpoints, rows, totals};
use crate::analysis::Growth;
use crate::analysis::course::Lived;
use crate::ledger::Finished;
use crate::ledger::standing::Standing;
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sample::Amount;
use crate::sites::SiteId;

/// Over all processes.
pub(super) struct Ends {
    /// Blocks that came and went, by period.
    pub(super) lived: Vec<Lived>,
    /// How things stood at readings of each one's resident memory.
    pub(super) standings: Vec<Vec<Standing>>,
    /// From when to when requests were served.
    pub(super) served: rows::Served,
    /// How many requests allocated at each call site.
    pub(super) reached: FxHashMap<SiteId, u64>,
    /// How live memory grew meanwhile.
    pub(super) growth: Growth,
    /// What was live of each label when exits began.
    pub(super) beside: FxHashMap<LabelId, Amount>,
}

impl Ends {
    /// Takes from `ended` what nobody else needs.
    pub(super) fn of(ended: &mut [(Finished, usize)], records: &[Record]) -> Ends {
        let lived = course::lived(ended);
        let standings = ended
            .iter_mut()
            .map(|(end, _)| std::mem::take(&mut end.standings));
        Ends {
            lived,
            standings: standings.collect(),
            served: totals::served(ended),
            reached: reached(ended, records),
            growth: totals::growth(ended),
            beside: endpoints::beside(ended, records),
        }
    }
}
