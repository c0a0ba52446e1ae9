//! What the page's scripts get: one JSON object. Rows of many are arrays, in the order of the tuple's comments; names
//! are escaped, and stand once in `strings`. Sizes are bytes, times nanoseconds from the trace's start.

use serde::Serialize;

/// An index into `strings`.
pub(super) type Name = u32;
/// An index into `endpoints`.
pub(super) type EndpointAt = u32;
/// A verdict's name in the schema.
pub(super) type VerdictName = &'static str;

#[derive(Serialize)]
pub(super) struct Data {
    pub(super) duration_ns: u64,
    pub(super) periods: usize,
    pub(super) sample_bytes: u64,
    /// What `live` of sites means.
    pub(super) live_moment: &'static str,
    pub(super) strings: Vec<String>,
    pub(super) processes: Vec<Process>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) sites: Vec<Site>,
    pub(super) frames: Vec<Frame>,
    /// Source lines by an index into `frames`, where they are asked for.
    pub(super) sources: Vec<(u32, String)>,
    pub(super) time: Time,
    pub(super) leaking_requests: Vec<Request>,
    pub(super) left_out: LeftOut,
}

/// What is not in the page for its size.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct LeftOut {
    pub(super) sites: usize,
    pub(super) site_live_bytes: u64,
    pub(super) site_retained_bytes: u64,
    pub(super) leaking_requests: usize,
    /// Call sites whose evidence and course are left out.
    pub(super) details: usize,
    /// Endpoints without their course.
    pub(super) courses: usize,
}

#[derive(Serialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) program: String,
}

#[derive(Serialize)]
pub(super) struct Endpoint {
    pub(super) label: String,
    pub(super) verdict: VerdictName,
    /// It leaks, and the figures leave room for another verdict.
    pub(super) unsure: bool,
    pub(super) requests: u64,
    pub(super) leaking: u64,
    /// The same in words: with what is not known of it.
    pub(super) leaking_words: String,
    /// At least and at most.
    pub(super) leaking_range: [u64; 2],
    /// Of a sample: a leak of less than so many bytes a request would not show.
    pub(super) hidden: Option<u64>,
    /// What leaked, as the text report tells it; null where nothing does.
    pub(super) leaked_bytes: Option<u64>,
    pub(super) each: Option<u64>,
    pub(super) survivor_bytes: u64,
    pub(super) retained_blocks: u64,
    pub(super) retained_bytes: u64,
    pub(super) associated_bytes: u64,
    pub(super) open_requests: u64,
    pub(super) open_bytes: u64,
    pub(super) statuses: Vec<Status>,
    /// What tells its leaking requests from its others, the best first; null where all leak or none does.
    pub(super) apart: Option<Vec<Tell>>,
    /// Some leak and others don't, and which ones is not proved.
    pub(super) apart_unproved: bool,
    pub(super) types: Vec<Type>,
    /// Of its requests by their begin.
    pub(super) course: Vec<OfPeriod>,
}

/// Status, requests, leaking ones, retained blocks, retained bytes.
#[derive(Serialize)]
pub(super) struct Status(
    pub(super) Option<u32>,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
);

/// Facts in words, leaking requests of which they hold, leaking requests, others of which they hold, others.
#[derive(Serialize)]
pub(super) struct Tell(
    pub(super) String,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
);

/// Name, blocks, bytes.
#[derive(Serialize)]
pub(super) struct Type(pub(super) Name, pub(super) u64, pub(super) u64);

/// Status, period, requests, leaking ones, retained bytes, of these associated, of these leaked.
#[derive(Serialize)]
pub(super) struct OfPeriod(
    pub(super) Option<u32>,
    pub(super) u8,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
);

#[derive(Serialize)]
pub(super) struct Site {
    pub(super) fingerprint: String,
    pub(super) verdict: VerdictName,
    pub(super) python: bool,
    /// Threads' stacks: addresses, most of them never touched, and in no sum.
    pub(super) stack: bool,
    pub(super) requests: u64,
    pub(super) survivor_blocks: u64,
    pub(super) survivor_bytes: u64,
    pub(super) retained_blocks: u64,
    pub(super) retained_bytes: u64,
    pub(super) associated_bytes: u64,
    pub(super) live_blocks: u64,
    pub(super) live_bytes: u64,
    /// Indexes into `frames`, the innermost first.
    pub(super) frames: Vec<u32>,
    /// Which of them a person looks for.
    pub(super) head: usize,
    pub(super) labels: Vec<Label>,
    pub(super) types: Vec<Type>,
    pub(super) kept: Vec<Kept>,
    pub(super) lived: Vec<Lived>,
    pub(super) evidence: Option<Box<Evidence>>,
}

/// Endpoint, requests that retained here, blocks, bytes, of these associated, of these leaked.
#[derive(Serialize)]
pub(super) struct Label(
    pub(super) EndpointAt,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
);

/// Endpoint, status, period, retained blocks, bytes, of these associated.
#[derive(Serialize)]
pub(super) struct Kept(
    pub(super) EndpointAt,
    pub(super) Option<u32>,
    pub(super) u8,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
);

/// Period of birth, of death (not less than `periods`: none), blocks, bytes.
#[derive(Serialize)]
pub(super) struct Lived(pub(super) u8, pub(super) u8, pub(super) u64, pub(super) u64);

#[derive(Serialize)]
pub(super) struct Evidence {
    pub(super) text: String,
    pub(super) sure: bool,
    pub(super) whose: String,
    pub(super) judged: u64,
    pub(super) retaining: u64,
    pub(super) mature: u64,
    pub(super) typical_life: Option<u64>,
    pub(super) trend: Option<f64>,
    pub(super) needed: Option<u64>,
    /// Up to so many requests, freed, alive.
    pub(super) lives: Vec<[u64; 3]>,
    pub(super) live_by_slice: Vec<u64>,
    pub(super) retained_by_slice: Vec<u64>,
    pub(super) groups: Vec<Group>,
    pub(super) outside_verdict: VerdictName,
    pub(super) outside_text: String,
    pub(super) outside_bytes: u64,
    pub(super) open: Vec<Open>,
}

/// Endpoint, status, verdict, why.
#[derive(Serialize)]
pub(super) struct Group(
    pub(super) EndpointAt,
    pub(super) Option<u32>,
    pub(super) VerdictName,
    pub(super) String,
);

/// Endpoint, requests, bytes, verdict, why: of requests that had not ended.
#[derive(Serialize)]
pub(super) struct Open(
    pub(super) EndpointAt,
    pub(super) u64,
    pub(super) u64,
    pub(super) VerdictName,
    pub(super) String,
);

/// Name, place, whose code (0: the program's, 1: its wrapper of an allocator, 2: a library's, 3: the runtime's),
/// whether it is Python's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Frame(
    pub(super) Name,
    pub(super) Name,
    pub(super) u8,
    pub(super) bool,
);

/// Bytes, and what sets them.
#[derive(Serialize)]
pub(super) struct Limit(pub(super) u64, pub(super) &'static str);

#[derive(Default, Serialize)]
pub(super) struct Time {
    pub(super) t_ns: Vec<u64>,
    /// Sums over the processes that ran.
    pub(super) live_bytes: Vec<u64>,
    pub(super) rss_bytes: Vec<Option<u64>>,
    /// What resident memory can't get past.
    pub(super) limit: Option<Limit>,
    /// Verdict of the call site, its kind in the schema, and the bytes that are live at the begin and then at each
    /// period's end.
    pub(super) levels: Vec<(VerdictName, &'static str, Vec<u64>)>,
    /// Begins of requests, in equal parts of the time.
    pub(super) begins: Vec<u64>,
}

/// Begin, duration (null: it had not ended), endpoint, status, process, thread, requests that it stands for, retained
/// blocks, retained bytes, of these associated.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Request(
    pub(super) u64,
    pub(super) Option<u64>,
    pub(super) EndpointAt,
    pub(super) Option<u32>,
    pub(super) u32,
    pub(super) u32,
    pub(super) u32,
    pub(super) u64,
    pub(super) u64,
    pub(super) u64,
);
