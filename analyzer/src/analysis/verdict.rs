//! What is thought of call sites and endpoints, and why.

/// What is to be thought of a site or an endpoint, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Memory left behind again and again.
    Leak,
    /// A block that grows by realloc.
    GrowingBuffer,
    /// Can't be told yet.
    TooFewRequests,
    /// A cache or a pool that stops growing.
    Bounded,
    /// Only the first requests left something.
    WarmUp,
    /// Survivors, freed later.
    FreedLater,
    /// No survivors.
    Clean,
}

/// The figures behind a verdict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// One sentence, with the thresholds that were met or missed.
    pub text: String,
    /// Requests in the sequence that was judged.
    pub requests_judged: u64,
    /// Of them, those that retained blocks here.
    pub requests_retaining: u64,
    /// Bytes live here at the end of each slice.
    pub live_bytes_by_slice: Vec<u64>,
    /// Bytes retained by the requests of each slice.
    pub retained_bytes_by_slice: Vec<u64>,
    /// Bytes of survivors older than the last slice.
    pub older_survivor_bytes: u64,
    /// Of them, retained.
    pub older_retained_bytes: u64,
    /// How many more requests are needed, for `TooFewRequests`.
    pub requests_needed: Option<u64>,
    /// Requests whose blocks have outlived what is freed here.
    pub mature_requests: u64,
    /// 98 of 100 freed survivors lived no longer than so many requests; `None`: none was freed.
    pub typical_life_requests: Option<u64>,
    /// Laplace's test of whether the keeping falls (below -2.33) or goes on; `None`: nothing is mature.
    pub trend: Option<f64>,
    /// Survivors by how long they lived, in requests.
    pub lives: Vec<LifeRow>,
    /// Whether the figures leave little room for another verdict.
    pub is_sure: bool,
}

/// Survivors that lived up to so many requests, and longer than the row before says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifeRow {
    /// The longest life.
    pub up_to_requests: u64,
    /// Freed when they were so old.
    pub freed: u64,
    /// Alive, and so old.
    pub alive: u64,
}
