//! The result of an analysis, as data: what every report prints. Sites stand by id; the report joins
//! them with symbols. Field names and meanings are those of the JSON schema.

pub mod course;
pub mod memory;
pub mod views;

use crate::asked::AskedFor;
use crate::ledger::BeforeExit;
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::trace::{LimitKind, ProcessId};

/// What an analysis found.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// When memory runs out, and whether it did.
    pub outlook: Outlook,
    /// What resident memory is made of.
    pub memory: memory::Memory,
    /// By process, in order of their start.
    pub processes: Vec<ProcessFigures>,
    /// Over all processes.
    pub totals: Totals,
    /// What became of the memory while it served.
    pub growth: Growth,
    /// Live bytes and RSS over time, at most a few hundred points for each process.
    pub timeline: Vec<TimelinePoint>,
    /// All requests, in order of their begin.
    pub requests: Vec<Request>,
    /// What each of them asked for, where that was kept.
    pub asked: AskedFor,
    /// By label, the worst first (verdict, then retained bytes).
    pub endpoints: Vec<Endpoint>,
    /// Every site with survivors, retained, live or outside blocks, the worst first.
    pub sites: Vec<Site>,
    /// Which sources gave requests: `http`, `turn`, `mark`, `connection`.
    pub boundaries: Vec<Source>,
    /// Connections whose requests can't be told apart.
    pub unseen: Vec<UnseenConnections>,
    /// Libraries that map memory past what is traced, the most first.
    pub untraced: Vec<Untraced>,
    /// More to say, found while analysing (for example that labels were folded into `{other}`).
    pub warnings: Vec<crate::trace::Warning>,
    /// What the blocks of all sites are, the most bytes first.
    pub types: Vec<TypeRow>,
    /// Events that were replayed.
    pub events: u64,
    /// What happened when; `None`: nobody asked.
    pub course: Option<course::Course>,
}

/// How live memory grew while requests were served, and what explains that. Sums over processes, of what is live at
/// each one's first begin of a request and at its last end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Growth {
    /// Live at the begin.
    pub from_bytes: u64,
    /// Live at the end.
    pub to_bytes: u64,
    /// Made while it served and live at the end, by what is thought of it.
    pub by_verdict: Vec<(Verdict, Amount)>,
}

impl Growth {
    /// How much more is live at the end.
    pub fn bytes(&self) -> u64 {
        self.to_bytes.saturating_sub(self.from_bytes)
    }

    /// What has a verdict.
    pub fn decided_bytes(&self) -> u64 {
        let decided = self
            .by_verdict
            .iter()
            .filter(|(verdict, _)| *verdict != Verdict::TooFewRequests);
        decided.map(|(_, amount)| amount.bytes).sum()
    }

    /// What has none.
    pub fn undecided_bytes(&self) -> u64 {
        let undecided = self
            .by_verdict
            .iter()
            .filter(|(verdict, _)| *verdict == Verdict::TooFewRequests);
        let undecided: u64 = undecided.map(|(_, amount)| amount.bytes).sum();
        undecided.max(self.bytes().saturating_sub(self.decided_bytes()))
    }

    /// Whether verdicts explain what grew: nine tenths of it, or all but a MiB.
    pub fn is_explained(&self) -> bool {
        let grown = self.bytes();
        grown <= 1 << 20 || self.undecided_bytes().saturating_mul(10) <= grown
    }

    /// Whether what is undecided is next to nothing: a hundredth of what is live, and 64 KiB.
    pub fn is_all_told(&self) -> bool {
        let undecided = self.undecided_bytes();
        undecided <= 64 << 10 && undecided.saturating_mul(100) <= self.to_bytes
    }

    /// The part of the growth that verdicts explain; `None` where nothing grew.
    pub fn explained(&self) -> Option<f64> {
        let grown = self.bytes();
        (grown > 0).then(|| 1.0 - (self.undecided_bytes().min(grown) as f64 / grown as f64))
    }
}

/// Blocks of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRow {
    /// Its name, `unknown` where it was not read or is none.
    pub name: String,
    /// How many.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Figures of one process image.
#[derive(Clone, Debug, Default)]
pub struct ProcessFigures {
    /// Requests that began in it.
    pub requests: u64,
    /// Successful calls that returned a new block.
    pub allocations: u64,
    /// Calls that ended a block.
    pub frees: u64,
    /// Successful reallocs of a block.
    pub reallocations: u64,
    /// Blocks live at its end, its own.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Memory that it had mapped by itself at its end, in none of the others.
    pub mapped: Amount,
    /// What of its own was live when its exit began, where it ended by itself and that was seen.
    pub before_exit: Option<BeforeExit>,
    /// Blocks live at its end that it inherited by fork.
    pub inherited_live_blocks: u64,
    /// Their bytes.
    pub inherited_live_bytes: u64,
    /// How often its collector of cyclic garbage ran; `None`: it has none that is known.
    pub collections: Option<Collections>,
}

/// What is known of a program's memory and its limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// What limits it, and bytes.
    pub limit: Option<(LimitKind, u64)>,
    /// Processes that the kernel killed for lack of memory.
    pub killed: Vec<ProcessId>,
    /// When the limit is reached at this pace, from the last reading while it served; `None`: that can't be told.
    pub seconds_to_limit: Option<u64>,
    /// How fast resident memory grew; `None`: it did not, or not evenly.
    pub pace: Option<Pace>,
    /// How fast that grew which is limited: resident memory, or the addresses of the process that has the most.
    pub to_limit: Option<Pace>,
}

/// How fast memory grew in the second half of serving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Of a straight line through the readings.
    pub bytes_per_second: f64,
    /// Where that line is at the last of them.
    pub reached_bytes: u64,
    /// For each request that ended meanwhile; `None`: none did.
    pub bytes_per_request: Option<u64>,
}

/// A library with an allocator of its own that is not traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untraced {
    /// Its path.
    pub path: String,
    /// The allocators that are in it; none: its file could not be read.
    pub allocators: Vec<&'static str>,
    /// Mappings that it held when exits began, or at the end.
    pub mappings: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How often a collector of cyclic garbage ran, before its process's exit began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collections {
    /// Over the youngest objects, over those and the next older ones, over all; `None`: not known.
    pub runs: Option<[u64; 3]>,
    /// How often it was asked to run over all (`LEAK_GC`).
    pub asked: u64,
}

/// Figures over all processes.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Sum over images.
    pub allocations: u64,
    /// Sum over images.
    pub frees: u64,
    /// Sum over images.
    pub reallocations: u64,
    /// Bytes of all allocations (and of reallocations that grew, by what they grew).
    pub allocated_bytes: u64,
    /// Own blocks live at the end of their process.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// The same when exits began; a process without one counts with what is live at its end. `None`: all do.
    pub before_exit: Option<BeforeExit>,
    /// The most bytes live at once, over all processes.
    pub peak_live_bytes: u64,
    /// Frees of addresses that were never seen allocated.
    pub unknown_frees: u64,
    /// Memory that programs mapped by themselves, live at the end of their process; in none of the others.
    pub mapped: Amount,
    /// Of that, in no request.
    pub outside_mapped: Amount,
    /// Files that they mapped, in none of the others either.
    pub mapped_files: Amount,
    /// Stacks of threads that they created, in none of the others either.
    pub stacks: Amount,
    /// Python objects live at the end.
    pub python_live_blocks: u64,
    /// Their bytes.
    pub python_live_bytes: u64,
    /// Blocks that belong to no request.
    pub outside: Outside,
    /// How it is known whose the retained ones are.
    pub ownership: Ownership,
}

/// How it is known whose retained bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Proved.
    pub proved_bytes: u64,
    /// Not proved: associated with a label.
    pub associated_bytes: u64,
    /// Neither, though requests were in flight when they were allocated.
    pub unknown_bytes: u64,
}

/// What happened outside requests.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Allocations.
    pub allocations: u64,
    /// Of them, live at their process's end.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// As [`Totals::before_exit`].
    pub before_exit: Amount,
}

/// Live bytes of a process at a moment.
#[derive(Clone, Debug)]
pub struct TimelinePoint {
    /// Nanoseconds from the trace's start.
    pub t_ns: u64,
    /// Whose.
    pub process: ProcessId,
    /// Bytes live, own and inherited.
    pub live_bytes: u64,
    /// Resident set, where read.
    pub rss_bytes: Option<u64>,
    /// Requests ended so far in the process.
    pub requests: u64,
}

/// Where a request's boundaries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// HTTP heads.
    Http,
    /// Reads and answers of any protocol.
    Turn,
    /// Explicit marks.
    Mark,
    /// From accept to close.
    Connection,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose.
    pub process: ProcessId,
    /// Kernel thread id of the thread that served it last.
    pub thread: u32,
    /// How its boundaries were found.
    pub source: Source,
    /// Which connection it came by; 0: by none.
    pub connection: u32,
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// How many requests it stands for.
    pub count: u32,
    /// Status code of the answer.
    pub status: Option<u32>,
    /// Begin, nanoseconds from the trace's start.
    pub start_ns: u64,
    /// End, `None` where it was still open when its process ended.
    pub end_ns: Option<u64>,
    /// Blocks allocated for it.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Of what it retained, what nothing proves to be its own.
    pub associated: Amount,
    /// Its blocks live at its process's end.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Its blocks live at its end.
    pub survivor_blocks: u64,
    /// Their bytes.
    pub survivor_bytes: u64,
    /// Survivors still live when serving ended.
    pub retained_blocks: u64,
    /// Their bytes.
    pub retained_bytes: u64,
    /// Of `retained_blocks`, those at leaking or growing sites: with any, it is a leaking request (as
    /// many of them as it stands for, but no more than there are blocks).
    pub leaking_blocks: u64,
}

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

/// All requests of one label.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The label.
    pub label: String,
    /// First verdict of its sites.
    pub verdict: Verdict,
    /// Requests (each counted as often as it stands for).
    pub requests: u64,
    /// Those with blocks retained at a leaking or growing site.
    pub leaking_requests: u64,
    /// How many of them there are at least and at most, where it is not known which they are.
    pub leaking_requests_range: [u64; 2],
    /// Sum over its requests.
    pub survivor_blocks: u64,
    /// Sum over its requests.
    pub survivor_bytes: u64,
    /// Sum over its requests.
    pub retained_blocks: u64,
    /// Sum over its requests.
    pub retained_bytes: u64,
    /// Its requests that had not ended when their process did, and what they hold.
    pub open_requests: u64,
    /// See there.
    pub open: Amount,
    /// Of `open`, what is held at call sites where such requests hold ever more.
    pub open_leaked: Amount,
    /// Blocks of its requests, ended or not, that were live when exits began, as [`Totals::before_exit`] has it.
    pub before_exit: Amount,
    /// Of what is retained, what nothing proves to be its own.
    pub associated: Amount,
    /// Retained bytes at leaking sites by leaking requests, divided by `leaking_requests`.
    pub retained_bytes_per_leaking_request: Option<u64>,
    /// Its sites, the worst first.
    pub site_ids: Vec<SiteId>,
    /// By status code.
    pub statuses: Vec<StatusFigures>,
    /// What tells its leaking requests from the others; `None` where there are too few of either kind, or it is not
    /// known for sure which leak.
    pub apart: Option<Apart>,
    /// What its requests retained, the most bytes first; empty where no types were read.
    pub types: Vec<TypeRow>,
}

/// What goes with leaking among an endpoint's requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Apart {
    /// The fact that does best, if any does better than chance.
    pub single: Option<Tell>,
    /// A pair of facts that does much better.
    pub pair: Option<Tell>,
    /// How many facts and pairs were tried.
    pub tried: u64,
}

/// Facts that hold together, and of how many requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Tell {
    /// One, or two.
    pub facts: Vec<Fact>,
    /// Leaking requests.
    pub leaking: u64,
    /// Of them, those for which all facts hold.
    pub leaking_with: u64,
    /// The others.
    pub others: u64,
    /// Of them, those for which all facts hold.
    pub others_with: u64,
}

/// Something that is known of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact {
    /// It was answered with this status; `None`: with none.
    Status(Option<u32>),
    /// It was the first on its connection.
    FirstOfConnection,
    /// It was not.
    LaterOfConnection,
    /// So many others at least were in flight when it began.
    InFlightAtLeast(u64),
    /// It lasted so long at least, nanoseconds.
    LastsAtLeast(u64),
    /// It lasted less.
    LastsLessThan(u64),
    /// This thread served it last: its process, and its kernel id.
    Thread(ProcessId, u32),
}

/// Requests of one endpoint with one status.
#[derive(Clone, Debug, Default)]
pub struct StatusFigures {
    /// The status, `None` for no answer or no such thing.
    pub status: Option<u32>,
    /// Requests.
    pub requests: u64,
    /// Those that leak.
    pub leaking_requests: u64,
    /// Blocks.
    pub retained_blocks: u64,
    /// Bytes.
    pub retained_bytes: u64,
}

/// One call site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Which.
    pub id: SiteId,
    /// The worst verdict: over the requests that reach it, over time on what belongs to none, and on what requests
    /// hold that had not ended.
    pub verdict: Verdict,
    /// That over the requests that ended.
    pub of_requests: Verdict,
    /// Why.
    pub evidence: Evidence,
    /// How it is known whose its blocks are, where that is not proved.
    pub whose: String,
    /// Bytes of live mappings whose contents were given up, at most.
    pub discarded_bytes: u64,
    /// Threads created here that have ended and that nobody joined or detached.
    pub unjoined_threads: u64,
    /// Requests that allocated here.
    pub requests: u64,
    /// Blocks alive at their request's end.
    pub survivor_blocks: u64,
    /// Bytes.
    pub survivor_bytes: u64,
    /// Blocks alive when serving ended.
    pub retained_blocks: u64,
    /// Bytes.
    pub retained_bytes: u64,
    /// Of what is retained, what nothing proves to be its own.
    pub associated: Amount,
    /// Blocks live at their process's end, in a request or not.
    pub live_blocks: u64,
    /// Bytes.
    pub live_bytes: u64,
    /// Blocks live when exits began, as [`Totals::before_exit`] has it.
    pub before_exit: Amount,
    /// What is to be thought of those that belong to no request.
    pub outside_verdict: Verdict,
    /// Why.
    pub outside_text: String,
    /// Of `live_blocks`, those that belong to no request.
    pub outside_blocks: u64,
    /// Bytes.
    pub outside_bytes: u64,
    /// Of `before_exit`, those that belong to no request.
    pub outside_before_exit: Amount,
    /// What was made while serving, belongs to no request, and was live when serving ended.
    pub outside_grown: Amount,
    /// What requests hold that had not ended when their process did, by endpoint and verdict.
    pub open: Vec<SiteOpen>,
    /// By endpoint.
    pub labels: Vec<SiteLabel>,
    /// By endpoint and status.
    pub groups: Vec<SiteGroup>,
    /// The same parts as `labels`, by endpoint, status and process.
    pub cells: Vec<SiteCell>,
    /// What its retained blocks are, or where it has none those that were live before the exit, the most bytes
    /// first; empty where no types were read.
    pub types: Vec<TypeRow>,
}

/// A site's part in requests of an endpoint that have not ended.
#[derive(Clone, Debug)]
pub struct SiteOpen {
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// How many.
    pub requests: u64,
    /// What they hold.
    pub live: Amount,
    /// What is to be thought of that.
    pub verdict: Verdict,
    /// Why.
    pub text: String,
}

/// A site's part in an endpoint.
#[derive(Clone, Debug)]
pub struct SiteLabel {
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// Requests of the endpoint that retained blocks here.
    pub requests: u64,
    /// What they retained.
    pub retained: Amount,
    /// Of that, what nothing proves to be theirs.
    pub associated: Amount,
    /// Of it, what has leaked: where the requests with their status leak, and less what is bounded.
    pub leaked: Amount,
}

/// A site's part in the requests of one endpoint with one status in one process.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteCell {
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// The status.
    pub status: Option<u32>,
    /// The process.
    pub process: ProcessId,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// Requests that retained blocks here.
    pub requests: u64,
    /// What they retained.
    pub retained: Amount,
    /// Of that, what nothing proves to be theirs.
    pub associated: Amount,
    /// Of it, what has leaked, as in [`SiteLabel::leaked`].
    pub leaked: Amount,
    /// Requests that leaked blocks here.
    pub leaking_requests: u64,
    /// The sum of the squares of the bytes that each request leaked: what their spread is computed from.
    pub leaked_squares: f64,
    /// Of `retained`, what was live when exits began, as [`Totals::before_exit`] has it.
    pub before_exit: Amount,
}

impl Site {
    /// What has leaked of what requests retained here, if it leaks: all where no endpoint's part is told to.
    pub fn leaked(&self) -> Amount {
        let mut sum = Amount::default();
        self.labels.iter().for_each(|part| sum += part.leaked);
        match sum.blocks {
            0 => self.retained(),
            _ => sum,
        }
    }
}

impl Request {
    /// What it retained.
    pub fn retained(&self) -> Amount {
        amount(self.retained_blocks, self.retained_bytes)
    }
}

impl Endpoint {
    /// What its requests retained.
    pub fn retained(&self) -> Amount {
        amount(self.retained_blocks, self.retained_bytes)
    }
}

impl Site {
    /// What requests retained here.
    pub fn retained(&self) -> Amount {
        amount(self.retained_blocks, self.retained_bytes)
    }
}

fn amount(blocks: u64, bytes: u64) -> Amount {
    Amount { blocks, bytes }
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

/// What the requests of a label with one status make of a call site.
#[derive(Clone, Debug)]
pub struct SiteGroup {
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// The status.
    pub status: Option<u32>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub text: String,
}

/// Connections that could not be cut into requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnseenConnections {
    /// `tcp:PORT` or `unix:PATH`.
    pub port: String,
    /// How many.
    pub connections: u64,
    /// Why, and what to do.
    pub reason: String,
}
