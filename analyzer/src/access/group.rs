//! Requests that lines may be of, by time.

/// A request's first and last moment, from the trace's start.
pub(super) type Span = (u64, u64);

/// Requests that lines with one head and status, or whatever is asked, may be of.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// By their begin.
    pub(super) requests: Vec<usize>,
    spans: Vec<Span>,
    /// The latest end of all up to each.
    latest: Vec<u64>,
    /// Up to each place, how many more lines may be of the request there than of the one before.
    pub(super) lines: Vec<i64>,
}

impl Group {
    pub(super) fn push(&mut self, id: usize, span: Span) {
        let latest = self.latest.last().copied().unwrap_or_default().max(span.1);
        self.requests.push(id);
        self.spans.push(span);
        self.latest.push(latest);
    }

    /// The places of all that may lie in a stretch.
    pub(super) fn places(&self, (from, to): Span) -> std::ops::Range<usize> {
        let first = self.latest.partition_point(|latest| *latest < from);
        let past = self.spans.partition_point(|span| span.0 <= to);
        first..past.max(first)
    }

    /// Of these, those that do.
    pub(super) fn within(&self, stretch: Span) -> impl Iterator<Item = (usize, usize)> + '_ {
        let places = self.places(stretch);
        let candidates = places.map(|at| (at, self.requests[at], self.spans[at]));
        candidates
            .filter(move |(_, _, span)| span.1 >= stretch.0)
            .map(|(at, id, _)| (at, id))
    }
}
