//! The figures behind the verdict on a group: the requests of one label and status at a call site.

use super::told::Told;

/// The figures behind the verdict on a group.
#[derive(Clone, Debug, Default)]
pub struct GroupEvidence {
    /// Its requests.
    pub requests: u64,
    /// Of them, those that retained blocks.
    pub retaining: u64,
    /// Those that kept what is not in the sample don't count.
    pub sampled: bool,
    /// Not of all it is known which requests kept them: `retaining` says how often blocks were kept, and `mature` how
    /// many of these times are old enough.
    pub in_times: bool,
    /// Of those, the mature ones.
    pub mature: u64,
    /// How many of them that tell whether it goes on are one process's, at most.
    pub most_of_one: u64,
    /// A leak needs so many.
    pub needs: u64,
    /// A typical life of what was freed at the site, in requests; `None`: nothing was.
    pub typical: Option<u64>,
    /// Laplace's test over the mature ones.
    pub trend: Option<f64>,
    /// What the last quarter of the requests kept, in percent of what the first one did.
    pub pace: Option<u64>,
    /// Survivors freed at the site.
    pub freed: u64,
    /// Each request had a process of its own, with which all went.
    pub alone: bool,
    /// How many more requests could tell.
    pub needed: Option<u64>,
    /// Of those that retained blocks, the ones of which Python's collector has told nothing.
    pub waiting: u64,
    /// Of these, the ones whose blocks its first full run after the serving freed.
    pub collected: u64,
    /// Those that it has told of don't make the verdict.
    pub is_untold: bool,
    /// What most of them had begun had not come yet when serving ended.
    pub is_late: bool,
    /// What the collector of another runtime has to do with it.
    pub told: Option<Told>,
}
