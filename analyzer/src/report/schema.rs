//! The JSON report, schema 1. Counts are integers, sizes bytes, times nanoseconds from the trace's
//! start; unknown is null. Fields may be added, never renamed.
//!
//! One file on purpose: whoever reads or changes the contract has all of it before their eyes.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// The schema's version.
pub(super) const SCHEMA: u32 = 1;

#[derive(Serialize)]
pub(super) struct Report<'r, R: Serialize> {
    pub(super) schema: u32,
    pub(super) trace: Trace<'r>,
    pub(super) processes: Vec<Process<'r>>,
    pub(super) totals: Totals,
    pub(super) growth: Growth,
    pub(super) memory: Memory,
    pub(super) timeline: Vec<Point>,
    pub(super) requests: R,
    pub(super) endpoints: Vec<Endpoint<'r>>,
    pub(super) sites: Vec<Site<'r>>,
    pub(super) sites_left_out: LeftOut,
    pub(super) types: Vec<Type<'r>>,
    pub(super) modules: Vec<Module<'r>>,
    pub(super) untraced: Vec<Untraced<'r>>,
}

/// What resident memory is made of, what limits the first process's memory, and when that is reached.
#[derive(Serialize)]
pub(super) struct Memory {
    pub(super) rows: Vec<MemoryRow>,
    pub(super) moments: Vec<Moment>,
    pub(super) pins: Vec<Pin>,
    pub(super) limit_bytes: Option<u64>,
    pub(super) limited_by: Option<&'static str>,
    pub(super) resident_bytes_per_second: Option<u64>,
    pub(super) resident_bytes_per_request: Option<u64>,
    pub(super) seconds_to_limit: Option<u64>,
    pub(super) killed_by: Option<&'static str>,
    pub(super) killed_process_ids: Vec<u32>,
}

/// One kind of memory, at three moments.
#[derive(Serialize)]
pub(super) struct MemoryRow {
    pub(super) kind: &'static str,
    pub(super) start_bytes: u64,
    pub(super) middle_bytes: u64,
    pub(super) end_bytes: u64,
}

/// One of these moments.
#[derive(Serialize)]
pub(super) struct Moment {
    pub(super) moment: &'static str,
    pub(super) t_ns: u64,
    pub(super) off_ns: u64,
    pub(super) processes: u64,
    pub(super) resident_bytes: u64,
}

/// Who keeps free memory from being given back.
#[derive(Serialize)]
pub(super) struct Pin {
    pub(super) site_id: u32,
    pub(super) live_blocks: u64,
    pub(super) pinned_bytes: u64,
}

/// A library that gets memory past what is traced, and what it held when exits began, or at the end.
#[derive(Serialize)]
pub(super) struct Untraced<'r> {
    pub(super) path: &'r str,
    pub(super) mappings: u64,
    pub(super) mapped_bytes: u64,
}

/// What is live at the begin and the end of serving, summed over processes, and what explains the difference.
#[derive(Serialize)]
pub(super) struct Growth {
    pub(super) from_bytes: u64,
    pub(super) to_bytes: u64,
    pub(super) by_verdict: Vec<OfVerdict>,
    pub(super) explained_share: Option<f64>,
    pub(super) undecided_bytes: u64,
}

#[derive(Serialize)]
pub(super) struct OfVerdict {
    pub(super) verdict: &'static str,
    pub(super) blocks: u64,
    pub(super) bytes: u64,
}

/// Sites that no request reached and that are not listed, so that the object stays readable.
#[derive(Default, Serialize)]
pub(super) struct LeftOut {
    pub(super) sites: u64,
    pub(super) live_blocks: u64,
    pub(super) live_bytes: u64,
    #[serde(flatten)]
    pub(super) before_exit: BeforeExit,
}

#[derive(Serialize)]
pub(super) struct Trace<'r> {
    pub(super) path: &'r str,
    pub(super) tool_version: &'r str,
    pub(super) host: &'r str,
    pub(super) started_at: String,
    pub(super) duration_ns: u64,
    pub(super) ended: &'static str,
    pub(super) complete: bool,
    pub(super) events: u64,
    pub(super) dropped_events: u64,
    pub(super) waited_ns: u64,
    pub(super) sample_bytes: u64,
    pub(super) boundaries: Vec<&'static str>,
    pub(super) warnings: Vec<Warning>,
    pub(super) unseen: Vec<Unseen<'r>>,
}

#[derive(Serialize)]
pub(super) struct Warning {
    pub(super) code: String,
    pub(super) text: String,
}

#[derive(Serialize)]
pub(super) struct Unseen<'r> {
    pub(super) port: &'r str,
    pub(super) connections: u64,
    pub(super) reason: &'r str,
}

#[derive(Serialize)]
pub(super) struct Process<'r> {
    pub(super) id: usize,
    pub(super) pid: u32,
    pub(super) parent_id: Option<u32>,
    pub(super) executable: &'r str,
    pub(super) arguments: &'r [String],
    pub(super) end: Option<&'static str>,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) requests: u64,
    pub(super) allocations: u64,
    pub(super) frees: u64,
    pub(super) reallocations: u64,
    pub(super) live_blocks: u64,
    pub(super) live_bytes: u64,
    pub(super) mapped_live_blocks: u64,
    pub(super) mapped_live_bytes: u64,
    #[serde(flatten)]
    pub(super) before_exit: BeforeExit,
    pub(super) inherited_live_blocks: u64,
    pub(super) inherited_live_bytes: u64,
    pub(super) collections: Option<Collections>,
}

/// Runs of Python's collector before the exit, by the oldest generation that they went over; null where that can't
/// be told. And how many `LEAK_GC` asked for.
#[derive(Serialize)]
pub(super) struct Collections {
    pub(super) young: Option<u64>,
    pub(super) middle: Option<u64>,
    pub(super) full: Option<u64>,
    pub(super) asked: u64,
}

#[derive(Serialize)]
pub(super) struct Totals {
    pub(super) allocations: u64,
    pub(super) frees: u64,
    pub(super) reallocations: u64,
    pub(super) allocated_bytes: u64,
    pub(super) live_blocks: u64,
    pub(super) live_bytes: u64,
    pub(super) live_bytes_error: u64,
    #[serde(flatten)]
    pub(super) before_exit: BeforeExit,
    pub(super) peak_live_bytes: u64,
    pub(super) unknown_frees: u64,
    pub(super) mapped_live_blocks: u64,
    pub(super) mapped_live_bytes: u64,
    pub(super) mapped_file_bytes: u64,
    pub(super) stack_live_blocks: u64,
    pub(super) stack_live_bytes: u64,
    pub(super) python_live_blocks: u64,
    pub(super) python_live_bytes: u64,
    pub(super) outside: Outside,
    pub(super) ownership: Ownership,
}

/// Of retained bytes.
#[derive(Serialize)]
pub(super) struct Ownership {
    pub(super) proved_bytes: u64,
    pub(super) associated_bytes: u64,
    pub(super) unknown_bytes: u64,
}

/// What was live before tear-downs: of a process when its exit began, null where it did not end by itself or that
/// was not seen. In sums such a process counts with what is live at its end; null where all are such. Of an endpoint:
/// blocks of its requests, proved or associated, whether they have ended or not.
#[derive(Default, Serialize)]
pub(super) struct BeforeExit {
    pub(super) before_exit_blocks: Option<u64>,
    pub(super) before_exit_bytes: Option<u64>,
}

/// How it is known whose retained blocks are.
#[derive(Serialize)]
pub(super) struct Whose {
    pub(super) proved_blocks: u64,
    pub(super) proved_bytes: u64,
    pub(super) associated_blocks: u64,
    pub(super) associated_bytes: u64,
    /// All that are not proved.
    pub(super) inferred_blocks: u64,
}

#[derive(Serialize)]
pub(super) struct Outside {
    pub(super) allocations: u64,
    pub(super) live_blocks: u64,
    pub(super) live_bytes: u64,
    pub(super) mapped_live_blocks: u64,
    pub(super) mapped_live_bytes: u64,
}

#[derive(Serialize)]
pub(super) struct Point {
    pub(super) t_ns: u64,
    pub(super) process_id: u32,
    pub(super) live_bytes: u64,
    pub(super) rss_bytes: Option<u64>,
    pub(super) requests: u64,
}

#[derive(Serialize)]
pub(super) struct Request<'r> {
    pub(super) id: usize,
    pub(super) process_id: u32,
    pub(super) thread: u32,
    pub(super) source: &'static str,
    pub(super) label: &'r str,
    pub(super) count: u32,
    pub(super) status: Option<u32>,
    pub(super) headers: Option<BTreeMap<&'r str, &'r str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) headers_cut: Vec<&'r str>,
    pub(super) trace_id: Option<&'r str>,
    pub(super) start_ns: u64,
    pub(super) end_ns: Option<u64>,
    pub(super) allocations: u64,
    pub(super) allocated_bytes: u64,
    #[serde(flatten)]
    pub(super) whose: Whose,
    pub(super) live_blocks: u64,
    pub(super) live_bytes: u64,
    pub(super) survivor_blocks: u64,
    pub(super) survivor_bytes: u64,
    pub(super) retained_blocks: u64,
    pub(super) retained_bytes: u64,
}

#[derive(Serialize)]
pub(super) struct Endpoint<'r> {
    pub(super) label: &'r str,
    pub(super) verdict: &'static str,
    /// Of a leak.
    pub(super) confidence: Option<&'static str>,
    pub(super) requests: u64,
    pub(super) leaking_requests: u64,
    pub(super) leaking_requests_range: [u64; 2],
    /// Of a sample: a leak of less than so many bytes a request would not show.
    pub(super) hidden_bytes_per_request: Option<u64>,
    pub(super) survivor_blocks: u64,
    pub(super) survivor_bytes: u64,
    pub(super) survivor_bytes_error: u64,
    pub(super) retained_blocks: u64,
    pub(super) retained_bytes: u64,
    pub(super) retained_bytes_error: u64,
    /// Of what is retained, what is one or another of its requests', and in no request's figures.
    pub(super) untold_blocks: u64,
    pub(super) untold_bytes: u64,
    /// Of `requests`, those that had not ended when their process did, and what they held.
    pub(super) open_requests: u64,
    pub(super) open_blocks: u64,
    pub(super) open_bytes: u64,
    #[serde(flatten)]
    pub(super) before_exit: BeforeExit,
    #[serde(flatten)]
    pub(super) whose: Whose,
    pub(super) retained_bytes_per_leaking_request: Option<u64>,
    pub(super) site_ids: &'r [u32],
    pub(super) statuses: Vec<Status>,
    pub(super) apart: Option<Apart>,
    /// `apart` is null because nothing proves which of its requests leak.
    pub(super) apart_unproved: bool,
    pub(super) types: Vec<Type<'r>>,
}

/// What goes with leaking; null where there are too few requests that leak or too few others, or it is not known for
/// sure which leak.
#[derive(Serialize)]
pub(super) struct Apart {
    pub(super) single: Option<Tell>,
    pub(super) pair: Option<Tell>,
    pub(super) tried: u64,
}

/// Facts that hold together.
#[derive(Serialize)]
pub(super) struct Tell {
    pub(super) facts: Vec<String>,
    pub(super) leaking_requests: u64,
    pub(super) leaking_requests_with: u64,
    pub(super) other_requests: u64,
    pub(super) other_requests_with: u64,
}

#[derive(Serialize)]
pub(super) struct Status {
    pub(super) status: Option<u32>,
    pub(super) requests: u64,
    pub(super) leaking_requests: u64,
    pub(super) retained_blocks: u64,
    pub(super) retained_bytes: u64,
}

#[derive(Serialize)]
pub(super) struct Site<'r> {
    pub(super) id: u32,
    pub(super) fingerprint: String,
    /// What comparisons and baselines call it; `null`: they don't look at it.
    pub(super) function_fingerprint: Option<String>,
    pub(super) kind: &'static str,
    /// Of what kind the mapping is; null where its blocks are an allocator's.
    pub(super) backing: Option<&'static str>,
    /// Of its live mappings, bytes whose contents were given up, at most.
    pub(super) discarded_bytes: u64,
    /// Of its threads, those that have ended and that nobody joined or detached.
    pub(super) unjoined_threads: u64,
    pub(super) verdict: &'static str,
    pub(super) evidence: Evidence<'r>,
    pub(super) requests: u64,
    pub(super) survivor_blocks: u64,
    pub(super) survivor_bytes: u64,
    pub(super) survivor_bytes_error: u64,
    pub(super) retained_blocks: u64,
    pub(super) retained_bytes: u64,
    pub(super) retained_bytes_error: u64,
    #[serde(flatten)]
    pub(super) whose: Whose,
    pub(super) live_blocks: u64,
    pub(super) live_bytes: u64,
    pub(super) live_bytes_error: u64,
    #[serde(flatten)]
    pub(super) before_exit: BeforeExit,
    pub(super) outside_blocks: u64,
    pub(super) outside_bytes: u64,
    /// Made while serving, in no request, and live when that ended.
    pub(super) outside_grown_blocks: u64,
    pub(super) outside_grown_bytes: u64,
    /// What requests hold that had not ended when their process did.
    pub(super) open: Vec<Open<'r>>,
    pub(super) labels: Vec<Label<'r>>,
    pub(super) groups: Vec<Group<'r>>,
    pub(super) types: Vec<Type<'r>>,
    pub(super) frames: Vec<Frame<'r>>,
    pub(super) python_frames: Vec<Frame<'r>>,
}

#[derive(Serialize)]
pub(super) struct Evidence<'r> {
    pub(super) text: &'r str,
    /// How it is known whose the blocks are, where that is not proved.
    pub(super) whose: &'r str,
    pub(super) requests_judged: u64,
    pub(super) requests_retaining: u64,
    pub(super) live_bytes_by_slice: &'r [u64],
    pub(super) retained_bytes_by_slice: &'r [u64],
    pub(super) older_survivor_bytes: u64,
    pub(super) older_retained_bytes: u64,
    pub(super) requests_needed: Option<u64>,
    pub(super) mature_requests: u64,
    pub(super) typical_life_requests: Option<u64>,
    pub(super) trend: Option<f64>,
    pub(super) lives: Vec<Life>,
    pub(super) confidence: &'static str,
}

/// Survivors up to so old, and older than the row before says.
#[derive(Serialize)]
pub(super) struct Life {
    pub(super) up_to_requests: u64,
    pub(super) freed: u64,
    pub(super) alive: u64,
}

/// Requests of a label that had not ended, of which one thing is thought.
#[derive(Serialize)]
pub(super) struct Open<'r> {
    pub(super) label: &'r str,
    pub(super) requests: u64,
    pub(super) live_blocks: u64,
    pub(super) live_bytes: u64,
    pub(super) verdict: &'static str,
    pub(super) evidence: GroupEvidence<'r>,
}

/// Requests of a label with one status.
#[derive(Serialize)]
pub(super) struct Group<'r> {
    pub(super) label: &'r str,
    pub(super) status: Option<u32>,
    pub(super) verdict: &'static str,
    pub(super) evidence: GroupEvidence<'r>,
}

#[derive(Serialize)]
pub(super) struct GroupEvidence<'r> {
    pub(super) text: &'r str,
}

#[derive(Serialize)]
pub(super) struct Label<'r> {
    pub(super) label: &'r str,
    pub(super) requests: u64,
    pub(super) retained_blocks: u64,
    pub(super) retained_bytes: u64,
    #[serde(flatten)]
    pub(super) whose: Whose,
}

/// What blocks are; no rows where no types were read.
#[derive(Serialize)]
pub(super) struct Type<'r> {
    pub(super) name: &'r str,
    pub(super) blocks: u64,
    pub(super) bytes: u64,
}

#[derive(Serialize)]
pub(super) struct Frame<'r> {
    pub(super) function: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) module: Option<&'r str>,
    pub(super) file_address: u64,
    pub(super) inlined: bool,
    pub(super) language: &'static str,
}

#[derive(Serialize)]
pub(super) struct Module<'r> {
    pub(super) path: &'r str,
    pub(super) build_id: Option<&'r str>,
}

/// An array that is made while it is written: requests may be many.
pub(super) struct Written<F>(pub(super) F);

impl<F, I> Serialize for Written<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}
