//! Rows of the view: what each kind says.

use crate::report::Named;
use crate::sample::Amount;
use crate::watch::standing::Grown;
use crate::watch::verdicts::Judged;

/// Whose what is left over is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// An endpoint's, with a status.
    Endpoint,
    /// Nobody can tell yet.
    Untold,
    /// No request's.
    Outside,
}

/// Requests of a label that were answered with a status; or what is of none.
#[derive(Clone, Debug)]
pub(crate) struct EndpointRow {
    pub(crate) whose: Whose,
    pub(crate) label: String,
    pub(crate) status: Option<u32>,
    /// Requests since.
    pub(crate) requests: u64,
    /// All that hold something that is proved to be theirs.
    pub(crate) holding: u64,
    pub(crate) left: Grown,
    /// Of that, what is likely, not proved.
    pub(crate) likely: Grown,
    pub(crate) judged: Option<Judged>,
    /// What most of it is.
    pub(crate) types: Vec<TypeRow>,
}

/// What is left over of one type.
#[derive(Clone, Debug)]
pub(crate) struct TypeRow {
    pub(crate) name: String,
    pub(crate) left: Grown,
}

/// What is left over from one call site.
#[derive(Clone, Debug)]
pub(crate) struct SiteRow {
    pub(crate) fingerprint: String,
    pub(crate) named: Named,
    /// Whose most of it is.
    pub(crate) of: String,
    pub(crate) left: Grown,
    pub(crate) judged: Option<Judged>,
}

/// A request that has ended.
#[derive(Clone, Debug)]
pub(crate) struct RequestRow {
    pub(crate) label: String,
    pub(crate) status: Option<u32>,
    /// Nanoseconds since the trace's start, and how long it took.
    pub(crate) ended_ns: u64,
    pub(crate) took_ns: u64,
    /// What it held when it ended, and holds now, as far as that is proved.
    pub(crate) survivors: Amount,
    pub(crate) holds: Amount,
}

/// How sure it is whose what is left over since is, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sure {
    pub(crate) proved: i64,
    pub(crate) likely: i64,
    pub(crate) untold: i64,
    pub(crate) outside: i64,
}
