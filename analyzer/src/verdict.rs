//! Survivors over time → what is to be thought of a call site, with the figures behind it.
//!
//! A [`Series`] is a call site's history over 8 slices of the sequence of requests that could have
//! reached it. [`judge`] looks at one series; [`combine`] at those of several processes: their slices
//! are added up and judged, and a process that leaks by itself is a leak even where the sum is not.

mod growing;
mod series;
pub mod survival;
pub mod told;

pub use growing::{Buffer, FEW_BLOCKS, Growth};
pub use series::{Sequences, of_requests, of_time};

use crate::analysis::{Evidence, Verdict};
use crate::figures::{bytes, count, counted};
use crate::ledger::SLICES;
use crate::sample::Sample;
use told::Told;

/// A leak needs so many requests that retained blocks.
pub const LEAK_REQUESTS: u64 = 3;
/// Of them, so many after the first quarter.
pub const LEAK_LATE_REQUESTS: u64 = 2;
/// A leak retains at least this share (in percent) of the bytes of survivors older than the last slice.
pub const LEAK_SHARE: u64 = 50;
/// Slices of the first quarter.
pub const QUARTER: usize = SLICES / 4;
/// A load slows what a thread does by itself to this share (in percent) at most.
pub const SLOWED: u64 = 10;
/// A growing buffer's live bytes rise by this share (in percent) from the middle to the end.
pub const GROWTH: u64 = 50;
/// Live bytes that end within this share (in percent) above the middle have stopped growing.
pub const STEADY: u64 = 25;
/// A warm-up is told from a leak after so many requests.
pub const WARM_UP_REQUESTS: u64 = 8;
/// All but the newest are freed where at most this share (in percent) of the older ones' bytes is left.
pub const FREED_REST: u64 = 25;

/// What rises in a sample must rise by so many standard errors.
pub const ERRORS: u64 = 3;

/// What a series is cut by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Requests, in the order of their ends.
    #[default]
    Requests,
    /// Equal parts of the serving time; "requests" are then slices.
    Time,
}

/// A call site's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// What it is cut by.
    pub unit: Unit,
    /// How its blocks were counted.
    pub sample: Sample,
    /// Processes that it is the sum of.
    pub processes: u64,
    /// Requests in the sequence: those that were read and answered together are one.
    pub judged: u64,
    /// How many they are one by one.
    pub served: u64,
    /// Of them, those that retained blocks here.
    pub retaining: u64,
    /// Of those, the ones after the first quarter.
    pub retaining_late: u64,
    /// Live bytes here at the end of each slice.
    pub live_bytes: [u64; SLICES],
    /// Bytes retained by the requests of each slice.
    pub retained_bytes: [u64; SLICES],
    /// Survivors.
    pub survivor_blocks: u64,
    /// Bytes of survivors of requests before the last slice.
    pub older_survivor_bytes: u64,
    /// Survivors still live when serving ended.
    pub retained_blocks: u64,
    /// Blocks that came by realloc.
    pub reallocations: u64,
    /// Blocks born before serving began (for time).
    pub before_blocks: u64,
    /// How many requests can be the newest of their kind: as many as there were at once.
    pub newest: u64,
}

impl Series {
    /// Bytes retained by requests before the last slice.
    pub fn older_retained_bytes(&self) -> u64 {
        self.retained_bytes[..SLICES - 1].iter().sum()
    }

    /// Of a part of the site's requests little is known but what they retained and how many blocks
    /// survived them: so it is judged by that.
    pub fn only_retained(&mut self, survivor_blocks: u64) {
        self.survivor_blocks = survivor_blocks;
        self.older_survivor_bytes = self.older_retained_bytes();
        self.reallocations = 0;
        let mut live = 0;
        for (slice, retained) in self.retained_bytes.iter().enumerate() {
            live += retained;
            self.live_bytes[slice] = live;
        }
    }

    /// Takes in another process's.
    pub fn add(&mut self, other: &Series) {
        self.unit = other.unit;
        self.sample = other.sample;
        self.processes += other.processes;
        self.judged += other.judged;
        self.served += other.served;
        self.retaining += other.retaining;
        self.retaining_late += other.retaining_late;
        for slice in 0..SLICES {
            self.live_bytes[slice] += other.live_bytes[slice];
            self.retained_bytes[slice] += other.retained_bytes[slice];
        }
        self.survivor_blocks += other.survivor_blocks;
        self.older_survivor_bytes += other.older_survivor_bytes;
        self.retained_blocks += other.retained_blocks;
        self.reallocations += other.reallocations;
        self.before_blocks += other.before_blocks;
        self.newest += other.newest;
    }
}

/// Whether `part` is at least `percent` of `whole`.
fn at_least(part: u64, percent: u64, whole: u64) -> bool {
    u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100 / u128::from(whole.max(1))) as u64
}

/// The figures behind the verdict on a group.
#[derive(Clone, Debug, Default)]
pub struct GroupEvidence {
    /// Its requests.
    pub requests: u64,
    /// Of them, those that retained blocks.
    pub retaining: u64,
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

impl GroupEvidence {
    /// Whether the figures leave little room for another verdict.
    pub fn is_sure(&self) -> bool {
        let falls = self.trend.is_some_and(|trend| trend < survival::DOUBTFUL);
        let enough = match self.needs {
            survival::LEAK_REQUESTS_AMONG_FREES => self.mature >= survival::SURE * self.needs,
            _ => self.most_of_one.min(self.mature) >= survival::SURE_WITHOUT_FREES,
        };
        enough && !falls && !self.is_untold
    }

    /// How many of how many kept something.
    fn kept(&self) -> String {
        let requests = counted(self.requests, "request");
        match self.in_times {
            true => format!(
                "some of {requests} kept blocks, {} in all",
                counted(self.retaining, "time")
            ),
            false => format!("{} of {requests} kept blocks", count(self.retaining)),
        }
    }

    /// Whether the last quarter kept so little of what the first one did that no load explains it.
    pub fn hardly_goes_on(&self) -> bool {
        let falls = self.trend.is_some_and(|trend| trend <= survival::FALLING);
        falls && self.pace.is_some_and(|pace| pace < SLOWED)
    }

    /// Why, where what no request owns is judged: at what times something was kept.
    pub fn text_over_time(&self, verdict: Verdict) -> String {
        format!("over the time of {}", self.text(verdict))
    }

    /// Why, in three lines at most.
    pub fn text(&self, verdict: Verdict) -> String {
        if let Some(told) = self.told {
            return self.text_of_told(told, verdict);
        }
        if self.is_late && verdict == Verdict::TooFewRequests {
            return format!(
                "{}; what most had begun was still to come when serving ended: a longer run would tell",
                self.kept()
            );
        }
        match (verdict, self.waiting) {
            (_, 0) => self.text_of_lives(verdict),
            (Verdict::TooFewRequests, waiting) if self.is_untold => format!(
                "{}, {} of them since Python's collector could last tell whether they are \
                 garbage{}",
                self.kept(),
                count(waiting),
                match self.collected {
                    0 => "; LEAK_GC=boundary:N has it run".to_owned(),
                    freed => format!(
                        "; its first full run after the serving freed those of {}: garbage, or of what ended with the serving",
                        count(freed)
                    ),
                }
            ),
            (_, _) if self.is_untold => format!(
                "{}; Python's collector has told of none that it is no garbage",
                self.text_of_lives(verdict)
            ),
            (_, waiting) => format!(
                "{}; {} more wait for Python's collector",
                self.text_of_lives(verdict),
                count(waiting)
            ),
        }
    }

    /// Why, where a runtime's collector tells what is garbage.
    fn text_of_told(&self, told: Told, verdict: Verdict) -> String {
        let Told {
            runtime, requests, ..
        } = told;
        let name = runtime.name;
        if told.is_judged {
            return format!(
                "{}; {name} collected everything after them",
                self.text_of_lives(verdict)
            );
        }
        let kept = self.kept();
        let when = match requests {
            None => format!("{name} was not seen to collect everything since the first request"),
            Some(requests) => format!(
                "{name} was last seen to collect everything after {} of them",
                count(requests)
            ),
        };
        format!(
            "{kept}; {when}: they may be garbage that waits ({}, or a longer run, would tell)",
            runtime.ask
        )
    }

    /// Why, by how long what was kept lived.
    fn text_of_lives(&self, verdict: Verdict) -> String {
        let kept = self.kept();
        let lives = match self.typical {
            None => "none was freed here".to_owned(),
            Some(typical) => format!(
                "98 % of {} freed here lived {} at most",
                counted(self.freed, "survivor"),
                counted(typical, "request")
            ),
        };
        let trend = self.trend.map_or(String::new(), |trend| {
            let pace = self.pace.filter(|_| trend <= survival::FALLING);
            let pace = pace.map_or(String::new(), |pace| {
                format!(", the last quarter kept {pace} % of what the first did")
            });
            format!(
                ", trend {trend:+.1} (falling: {:.2}){pace}",
                survival::FALLING
            )
        });
        let mature = format!("{} outlived that ({}+)", count(self.mature), self.needs);
        match verdict {
            Verdict::Leak if self.typical.is_none() => {
                format!("{kept} (leak: {}+); {lives}{trend}", self.needs)
            }
            Verdict::Leak => format!("{kept}; {lives}, {mature}{trend}"),
            Verdict::TooFewRequests => {
                let needed = match self.needed.unwrap_or(1) {
                    1 => "1 more request is".to_string(),
                    needed => format!("{} more requests are", count(needed)),
                };
                format!("{kept}; {lives}, {mature}{trend}; at least {needed} needed to tell")
            }
            Verdict::WarmUp => format!("{kept}, none after the first quarter"),
            Verdict::FreedLater if self.retaining == 0 => {
                format!("all survivors were freed; {lives}")
            }
            Verdict::Clean => "no survivors".to_string(),
            Verdict::Bounded if self.alone => {
                format!("{kept}; each had a process of its own, which ended then")
            }
            Verdict::Bounded | Verdict::FreedLater | Verdict::GrowingBuffer => {
                format!("{kept}; {lives}, {mature}{trend}")
            }
        }
    }
}

/// Whether more is live at the end, by [`STEADY`], than ever was before the last eighth.
pub fn reaches_new_height(all: &[Series]) -> bool {
    let mut sum = Series::default();
    all.iter().for_each(|series| sum.add(series));
    let [before @ .., end] = sum.live_bytes;
    let highest = before.into_iter().max().unwrap_or(0);
    end > 0 && at_least(end, 100 + STEADY, highest)
}

/// Whether what is live has stopped growing, beside those bytes that were there `before` and stay.
pub fn is_steady(all: &[Series], before: u64) -> bool {
    let mut sum = Series::default();
    all.iter().for_each(|series| sum.add(series));
    let [.., middle, _, _, _, end] = sum.live_bytes.map(|live| live.saturating_sub(before));
    middle > 0 && !at_least(end, 100 + STEADY, middle)
}

/// The verdict on the series of several processes, which are reached by the same call site. Processes
/// with too few requests to tell count only where there are no others.
pub fn combine(all: &[Series]) -> (Verdict, Evidence) {
    let enough = |series: &&Series| series.judged >= LEAK_REQUESTS;
    let some_enough = all.iter().any(|series| enough(&series));
    let mut sum = Series::default();
    for series in all.iter().filter(|series| !some_enough || enough(series)) {
        sum.add(series);
    }
    let combined = judge(&sum);
    let alone = all.iter().map(judge).filter(|(verdict, _)| {
        matches!(verdict, Verdict::Leak | Verdict::GrowingBuffer) && *verdict < combined.0
    });
    let worst = alone.min_by_key(|(verdict, evidence)| {
        (*verdict, std::cmp::Reverse(evidence.older_retained_bytes))
    });
    match worst {
        Some((verdict, mut evidence)) => {
            evidence.text = format!("in one of {} processes, {}", all.len(), evidence.text);
            (verdict, evidence)
        }
        None => combined,
    }
}

/// The verdict on one series: the first that holds.
pub fn judge(series: &Series) -> (Verdict, Evidence) {
    let verdict = verdict(series);
    (verdict, evidence(series, verdict))
}

/// The figures of a series, which has this verdict.
pub fn evidence(series: &Series, verdict: Verdict) -> Evidence {
    let needed = (verdict == Verdict::TooFewRequests).then(|| needed(series));
    Evidence {
        text: text(series, verdict, needed),
        requests_judged: series.judged,
        requests_retaining: series.retaining,
        live_bytes_by_slice: series.live_bytes.to_vec(),
        retained_bytes_by_slice: series.retained_bytes.to_vec(),
        older_survivor_bytes: series.older_survivor_bytes,
        older_retained_bytes: series.older_retained_bytes(),
        requests_needed: needed,
        ..Evidence::default()
    }
}

fn verdict(series: &Series) -> Verdict {
    let (older, kept) = (series.older_survivor_bytes, series.older_retained_bytes());
    let [.., middle, _, _, _, end] = series.live_bytes;
    let few = series.retained_blocks <= FEW_BLOCKS * series.processes.max(1);
    if series.survivor_blocks == 0 {
        return match series.before_blocks {
            0 => Verdict::Clean,
            _ if series.judged == 0 => Verdict::TooFewRequests,
            _ => Verdict::WarmUp,
        };
    }
    if series.retaining >= LEAK_REQUESTS
        && series.retaining_late >= LEAK_LATE_REQUESTS
        && kept > 0
        && at_least(kept, LEAK_SHARE, older)
    {
        return Verdict::Leak;
    }
    if few && series.retained_blocks > 0 && grows(series) {
        return Verdict::GrowingBuffer;
    }
    let some_freed = series.survivor_blocks > series.retained_blocks;
    let all_but_newest = kept == 0 && series.retaining <= series.newest
        || some_freed && series.retaining <= series.newest && !at_least(kept, FREED_REST, older);
    let steady = middle > 0 && !at_least(end, 100 + STEADY, middle);
    if steady && some_freed && !all_but_newest && series.retaining > 0 {
        return Verdict::Bounded;
    }
    let late: u64 = series.retained_bytes[QUARTER..].iter().sum();
    let early: u64 = series.retained_bytes[..QUARTER].iter().sum();
    if late == 0 && early > 0 && series.judged >= WARM_UP_REQUESTS {
        return Verdict::WarmUp;
    }
    if kept == 0 || all_but_newest && some_freed {
        let enough = some_freed && series.judged > 1;
        return match enough {
            true => Verdict::FreedLater,
            false => Verdict::TooFewRequests,
        };
    }
    Verdict::TooFewRequests
}

/// Whether live bytes rise by [`GROWTH`] from the middle to the end: by realloc, never falling from the
/// middle on; or in new blocks that replace old ones, never falling at all.
fn grows(series: &Series) -> bool {
    let live = &series.live_bytes;
    let from = match series.reallocations {
        0 => 0,
        _ => SLICES / 2 - 1,
    };
    let rises = live[from..].is_sorted();
    let replaced = series.reallocations > 0 || series.survivor_blocks > 2 * series.retained_blocks;
    let (middle, end) = (live[SLICES / 2 - 1], live[SLICES - 1]);
    let by_chance = ERRORS * series.sample.error(end);
    let enough = at_least(end, 100 + GROWTH, middle) && end - middle >= by_chance;
    rises && replaced && middle > 0 && enough
}

/// How many more requests could tell.
fn needed(series: &Series) -> u64 {
    if series.judged < LEAK_REQUESTS {
        return WARM_UP_REQUESTS - series.judged;
    }
    let missing = LEAK_REQUESTS.saturating_sub(series.retaining);
    let each = series.judged.div_ceil(series.retaining.max(1));
    let for_leak = missing * each;
    let for_warm_up = WARM_UP_REQUESTS.saturating_sub(series.judged);
    // Neither kept nor freed as a rule: as many again will show a tendency.
    for_leak
        .max(for_warm_up)
        .max(series.judged.min(1_000_000) / 2)
        .max(1)
}

/// Why, in two lines at most: it is read at night.
fn text(series: &Series, verdict: Verdict, needed: Option<u64>) -> String {
    let (older, kept) = (series.older_survivor_bytes, series.older_retained_bytes());
    let [first, .., middle, _, _, _, end] = series.live_bytes;
    match verdict {
        Verdict::Leak => format!(
            "{} (leak: {LEAK_REQUESTS}+), {} after the first quarter ({LEAK_LATE_REQUESTS}+); {} % \
             of {} of older survivors stayed ({LEAK_SHARE} %+)",
            kept_by(series),
            count(series.retaining_late),
            percent(kept, older),
            bytes(older),
        ),
        Verdict::GrowingBuffer => format!(
            "{} grew from {} in the middle to {} at the end (growing: {GROWTH} %+ more, in \
             {FEW_BLOCKS} blocks at most)",
            counted(series.retained_blocks, "block"),
            bytes(middle),
            bytes(end),
        ),
        Verdict::Bounded => format!(
            "live: {} after the first eighth, {} in the middle, {} at the end (bounded: at most \
             {STEADY} % more), and older survivors were freed",
            bytes(first),
            bytes(middle),
            bytes(end),
        ),
        Verdict::WarmUp if series.survivor_blocks == 0 => format!(
            "{} from before the first request",
            counted(series.before_blocks, "block")
        ),
        Verdict::WarmUp => format!("{}, none after the first quarter", kept_by(series)),
        Verdict::FreedLater => format!(
            "{}, all but the newest freed: {} of {} from before the last eighth are left",
            counted(series.survivor_blocks, "survivor"),
            bytes(kept),
            bytes(older),
        ),
        Verdict::TooFewRequests if series.judged == 0 => {
            "no requests have ended, so nothing tells what would grow".to_string()
        }
        Verdict::TooFewRequests => format!(
            "{}; at least {} needed to tell",
            kept_by(series),
            match needed.unwrap_or(1) {
                1 => "1 more request is".to_string(),
                needed => format!("{} more requests are", count(needed)),
            }
        ),
        Verdict::Clean => "no survivors".to_string(),
    }
}

fn kept_by(series: &Series) -> String {
    let retaining = count(series.retaining);
    match series.unit {
        Unit::Requests => {
            let served = counted(series.served, "request");
            format!("{retaining} of {served} kept blocks")
        }
        Unit::Time => {
            let slices = series.judged;
            format!("{retaining} of {slices} eighths of the serving time kept blocks")
        }
    }
}

#[cfg(test)]
mod tests;
