//! What was in flight in a process: at each moment, and on average around it.

use std::collections::VecDeque;

use super::groups::{GroupId, Groups, Key};
use super::site::Observation;
use crate::ledger::{AFTER, Finished, FinishedSite};
use crate::requests::record::{Record, RequestId};

/// The most windows in which averages are taken.
const MOST_WINDOWS: u64 = 64;
/// Requests of each frequent label that a window has, about.
const IN_WINDOW: u64 = 12;
/// So many times as long as a request is a window at least.
const LASTING: u64 = 30;
/// Bins of a window, so that a mean can begin within it: so many at most, ...
const BINS: u64 = 16;
/// ... and with so many sums over groups and bins at most.
const SUMS: u64 = 200_000;

/// Moments of a window at which the stages of what is in flight are looked at.
const SAMPLES: u64 = 512;

/// How shortly before a moment a request may have ended that goes on in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Lag {
    /// As long as a request takes.
    Short,
    /// [`AFTER`] times as long.
    Long,
}

/// How many there are.
pub(super) const LAGS: usize = 2;

/// A piece of work's blocks come in this part of the time that a short request takes (a quarter are shorter): long
/// polls take any time.
const PAUSE: u64 = 32;

impl Lag {
    pub(super) const ALL: [Lag; LAGS] = [Lag::Short, Lag::Long];
}

/// A request that begins or ends.
#[derive(Clone, Copy, Debug)]
struct Change {
    stamp: u64,
    begins: bool,
    request: RequestId,
}

/// A mean of each group: sums over all bins before each.
pub(super) type Means = Vec<Vec<f64>>;

/// The requests of a process in the order of what happened to them.
#[derive(Debug)]
pub(super) struct Sweep {
    process: u32,
    changes: Vec<Change>,
    from: u64,
    to: u64,
    windows: u64,
    /// Bins of each window.
    bins: u64,
    /// How long each lag is.
    lags: [u64; LAGS],
    /// See [`Sweep::pause`].
    pause: u64,
    /// Mean number in flight.
    means: Means,
    /// The same of the part of what is in flight; nothing while nothing is.
    shares: Means,
    /// The same of those that ended so shortly before, by lag.
    ended: [Means; LAGS],
}

/// What is in flight at one moment.
#[derive(Debug)]
pub(super) struct Now {
    by_group: Vec<Vec<RequestId>>,
    /// Groups with something in flight.
    busy: Vec<GroupId>,
    /// How many requests began or ended before.
    changes: usize,
    /// What ended within the longest lag, the newest last.
    ended: VecDeque<(u64, GroupId, RequestId)>,
    lags: [u64; LAGS],
    stamp: u64,
}

impl Now {
    fn apply(&mut self, change: Change, group: GroupId) {
        self.changes += 1;
        let flying = &mut self.by_group[group as usize];
        if change.begins {
            if flying.is_empty() {
                self.busy.push(group);
            }
            flying.push(change.request);
            return;
        }
        self.ended.push_back((change.stamp, group, change.request));
        if let Some(at) = flying.iter().position(|other| *other == change.request) {
            flying.swap_remove(at);
            if flying.is_empty() {
                self.busy.retain(|other| *other != group);
            }
        }
    }

    /// Those of a key's.
    pub(super) fn of_key<'n>(
        &'n self,
        key: Key,
        groups: &'n Groups,
    ) -> impl Iterator<Item = RequestId> + 'n {
        let members = groups.members(key).iter();
        members.flat_map(|group| self.by_group[*group as usize].iter().copied())
    }

    /// It is so late.
    fn comes(&mut self, stamp: u64) {
        self.stamp = stamp;
        let longest = self.lags[Lag::Long as usize];
        while self
            .ended
            .front()
            .is_some_and(|(ended, ..)| stamp.saturating_sub(*ended) > longest)
        {
            self.ended.pop_front();
        }
    }

    fn just(&self, lag: Lag) -> impl Iterator<Item = &(u64, GroupId, RequestId)> {
        let lag = self.lags[lag as usize];
        let newest = self.ended.iter().rev();
        newest.take_while(move |(ended, ..)| self.stamp.saturating_sub(*ended) <= lag)
    }

    /// How many have ended shortly before, by group.
    pub(super) fn ended(&self, lag: Lag) -> Vec<(GroupId, u32)> {
        let mut counts: Vec<(GroupId, u32)> = Vec::new();
        for (_, group, _) in self.just(lag) {
            match counts.iter_mut().find(|known| known.0 == *group) {
                Some(known) => known.1 += 1,
                None => counts.push((*group, 1)),
            }
        }
        counts
    }

    /// Those of a key's.
    pub(super) fn ended_of(&self, lag: Lag, key: Key, groups: &Groups) -> Vec<RequestId> {
        let of_key = self
            .just(lag)
            .filter(|(_, group, _)| groups.contains(key, *group));
        of_key.map(|(.., request)| *request).collect()
    }

    /// All of them, the oldest first.
    pub(super) fn requests(&self) -> Vec<RequestId> {
        let of_groups = self
            .busy
            .iter()
            .flat_map(|group| &self.by_group[*group as usize]);
        let mut all: Vec<RequestId> = of_groups.copied().collect();
        all.sort_unstable();
        all
    }

    /// How many are in flight, by group.
    pub(super) fn counts(&self) -> impl Iterator<Item = (GroupId, u32)> + '_ {
        let count = |group: &GroupId| (*group, self.by_group[*group as usize].len() as u32);
        self.busy.iter().map(count)
    }
}

impl Sweep {
    /// Of the process `id`.
    pub(super) fn of(id: u32, finished: &Finished, records: &[Record], groups: &Groups) -> Sweep {
        let mut sweep = Sweep {
            process: id,
            changes: Vec::new(),
            from: finished.serving.from.unwrap_or(0),
            to: finished
                .serving
                .to
                .max(finished.serving.from.unwrap_or(0) + 1),
            windows: 1,
            bins: 1,
            lags: [1; LAGS],
            pause: 0,
            means: vec![vec![0.0; groups.count()]; 2],
            shares: vec![vec![0.0; groups.count()]; 2],
            ended: Lag::ALL.map(|_| vec![vec![0.0; groups.count()]; 2]),
        };
        let observed =
            |site: &FinishedSite| !site.outside_births.is_empty() || !site.retained.is_empty();
        if finished.loose.is_empty() && !finished.sites.iter().any(observed) {
            return sweep;
        }
        for (request, record) in (0..).zip(records) {
            if record.process != id || record.void || record.label.is_none() {
                continue;
            }
            let begin = Change {
                stamp: record.start,
                begins: true,
                request,
            };
            sweep.changes.push(begin);
            if let Some(end) = record.end {
                // What a loop does for it since is told by what it touched last.
                let stamp = record
                    .answered
                    .map_or(end, |answered| answered.get().min(end));
                sweep.changes.push(Change {
                    stamp,
                    begins: false,
                    ..begin
                });
            }
        }
        sweep
            .changes
            .sort_by_key(|change| (change.stamp, change.request, !change.begins));
        sweep.windows = sweep.windows(finished, records, groups);
        let sums = sweep.windows * groups.count().max(1) as u64;
        sweep.bins = (SUMS / sums).clamp(1, BINS);
        sweep.average(groups);
        sweep.ended = Lag::ALL.map(|lag| sweep.average_ended(lag, groups));
        sweep
    }

    /// As many as leave each with enough requests of each label, and long enough: what is in flight now is in
    /// flight for a while, so a short time's mean would be little else.
    fn windows(&mut self, finished: &Finished, records: &[Record], groups: &Groups) -> u64 {
        let ended = finished.ends.iter().filter_map(|request| {
            let record = records.get(*request as usize)?;
            Some(record.end?.saturating_sub(record.start))
        });
        let mut lasted: Vec<u64> = ended.collect();
        let sum: u128 = lasted.iter().map(|lasted| u128::from(*lasted)).sum();
        let count = lasted.len() as u64;
        if !lasted.is_empty() {
            let quarter = lasted.len() / 4;
            self.pause = *lasted.select_nth_unstable(quarter).1 / PAUSE;
        }
        let mean = (sum / u128::from(count.max(1))).max(1);
        let lag = u64::try_from(mean).unwrap_or(u64::MAX);
        self.lags = [lag, lag.saturating_mul(AFTER)];
        let lasted = u128::from(self.to - self.from) / mean / u128::from(LASTING);
        let requests = count / (IN_WINDOW * groups.frequent() as u64);
        requests
            .min(u64::try_from(lasted).unwrap_or(u64::MAX))
            .clamp(1, MOST_WINDOWS)
    }

    /// Blocks that are made so soon after each other may be of one piece of work.
    pub(super) fn pause(&self) -> u64 {
        self.pause
    }

    /// Begins (`true`) and ends of requests, in their order: stamp, and which request.
    pub(super) fn changes(&self) -> impl Iterator<Item = (u64, RequestId, bool)> + '_ {
        let changes = self.changes.iter();
        changes.map(|change| (change.stamp, change.request, change.begins))
    }

    /// How long a lag is, in ticks of stamps.
    pub(super) fn lasts(&self, lag: Lag) -> u64 {
        self.lags[lag as usize]
    }

    pub(super) fn process(&self) -> u32 {
        self.process
    }

    fn bin(&self, stamp: u64) -> usize {
        let since = u128::from(stamp.clamp(self.from, self.to - 1) - self.from);
        let span = u128::from(self.to - self.from);
        (since * u128::from(self.windows * self.bins) / span) as usize
    }

    fn bin_ends(&self, bin: usize) -> u64 {
        let span = u128::from(self.to - self.from);
        let all = u128::from(self.windows * self.bins);
        self.from + ((bin as u128 + 1) * span).div_ceil(all) as u64
    }

    /// No sums yet, of each bin.
    fn empty(&self, groups: &Groups) -> Vec<Vec<f64>> {
        vec![vec![0.0; groups.count()]; (self.windows * self.bins) as usize]
    }

    /// The means of the bins, from what was in flight for how long in each: summed over all before.
    fn summed(&self, bins: Vec<Vec<f64>>) -> Means {
        let length = (self.to - self.from) as f64 / (self.windows * self.bins) as f64;
        let mut sum = vec![0.0; bins.first().map_or(0, Vec::len)];
        let mut sums = vec![sum.clone()];
        for bin in bins {
            let all = sum.iter_mut().zip(bin);
            all.for_each(|(sum, of_bin)| *sum += of_bin / length);
            sums.push(sum.clone());
        }
        sums
    }

    /// The mean of what `of` takes of each group, over the window that the moment is in.
    fn over(&self, sums: &[Vec<f64>], around: Around, of: impl Fn(&[f64]) -> f64) -> f64 {
        let window = self.bin(around.stamp) as u64 / self.bins;
        let (first, end) = (window * self.bins, (window + 1) * self.bins);
        // A block may be older than those whose causes it is given by.
        let since = around.since.min(around.stamp);
        let first = (first as usize).max(self.bin(since));
        (of(&sums[end as usize]) - of(&sums[first])) / (end as usize - first) as f64
    }

    fn average(&mut self, groups: &Groups) {
        let mut sums = self.empty(groups);
        let mut shares = sums.clone();
        let mut now = self.start(groups);
        let mut at = self.from;
        let mut add = |now: &Now, from: u64, to: u64, sweep: &Sweep| {
            let mut from = from;
            while from < to {
                let bin = sweep.bin(from);
                let until = sweep.bin_ends(bin).min(to).max(from + 1);
                let lasted = (until - from) as f64;
                let all: u32 = now.counts().map(|(_, count)| count).sum();
                for (group, count) in now.counts() {
                    sums[bin][group as usize] += f64::from(count) * lasted;
                    shares[bin][group as usize] += f64::from(count) * lasted / f64::from(all);
                }
                from = until;
            }
        };
        for change in &self.changes {
            let stamp = change.stamp.clamp(self.from, self.to);
            add(&now, at, stamp, self);
            at = stamp;
            if let Some(group) = groups.of_request(change.request) {
                now.apply(*change, group);
            }
        }
        add(&now, at, self.to, self);
        (self.means, self.shares) = (self.summed(sums), self.summed(shares));
    }

    /// Each request counts for as long as the lag after its end.
    fn average_ended(&self, lag: Lag, groups: &Groups) -> Means {
        let mut sums = self.empty(groups);
        for change in self.changes.iter().filter(|change| !change.begins) {
            let Some(group) = groups.of_request(change.request) else {
                continue;
            };
            let mut from = change.stamp.max(self.from);
            let to = change.stamp.saturating_add(self.lags[lag as usize]);
            let to = to.min(self.to);
            while from < to {
                let bin = self.bin(from);
                let until = self.bin_ends(bin).min(to).max(from + 1);
                sums[bin][group as usize] += (until - from) as f64;
                from = until;
            }
        }
        self.summed(sums)
    }

    /// How likely blocks are made for each group, on average, where `weighed` gives the weights of requests in flight at
    /// a stamp.
    pub(super) fn weighed(
        &self,
        groups: &Groups,
        weighed: impl Fn(&[RequestId], u64) -> Vec<f64>,
    ) -> Means {
        let mut sums = self.empty(groups);
        let span = u128::from(self.to - self.from);
        let count = self.windows * SAMPLES;
        let each = span as f64 / count as f64;
        let middle = |at: u64| (u128::from(2 * at + 1) * span / u128::from(2 * count)) as u64;
        let stamp = |at: u64| self.from + middle(at);
        self.at_each((0..count).map(stamp), groups, |at, now| {
            let stamp = stamp(at as u64);
            let requests = now.requests();
            let weights = weighed(&requests, stamp);
            let all: f64 = weights.iter().sum();
            let bin = &mut sums[self.bin(stamp)];
            for (request, weight) in requests.iter().zip(weights) {
                if let Some(group) = groups.of_request(*request) {
                    bin[group as usize] += each * weight / all;
                }
            }
        });
        self.summed(sums)
    }

    /// The mean of a key, of these, around then.
    pub(super) fn mean_of(&self, means: &Means, around: Around, key: Key, groups: &Groups) -> f64 {
        self.over(means, around, of_key(key, groups))
    }

    fn start(&self, groups: &Groups) -> Now {
        Now {
            by_group: vec![Vec::new(); groups.count()],
            busy: Vec::new(),
            changes: 0,
            ended: VecDeque::new(),
            lags: self.lags,
            stamp: 0,
        }
    }

    /// Goes through the moments `at`, in order, and shows for each what was in flight.
    pub(super) fn at_each(
        &self,
        at: impl Iterator<Item = u64>,
        groups: &Groups,
        mut show: impl FnMut(usize, &Now),
    ) {
        let mut now = self.start(groups);
        let mut changes = self.changes.iter().peekable();
        for (index, stamp) in at.enumerate() {
            while let Some(change) = changes.next_if(|change| change.stamp <= stamp) {
                if let Some(group) = groups.of_request(change.request) {
                    now.apply(*change, group);
                }
            }
            now.comes(stamp);
            show(index, &now);
        }
    }

    /// The key's requests that ended between these stamps, or within the lag before.
    pub(super) fn ends<'s>(
        &'s self,
        lag: Lag,
        key: Key,
        groups: &'s Groups,
        (from, to): (u64, u64),
    ) -> impl Iterator<Item = RequestId> + 's {
        let from = from.saturating_sub(self.lags[lag as usize]);
        let first = self.changes.partition_point(|change| change.stamp < from);
        let changes = self.changes[first..].iter();
        let within = changes.take_while(move |change| change.stamp <= to);
        let ends = within.filter(|change| !change.begins);
        ends.map(|change| change.request)
            .filter(move |request| groups.has(key, *request))
    }

    /// How often what is in flight was renewed between these stamps.
    pub(super) fn renewed(&self, from: u64, to: u64) -> f64 {
        to.saturating_sub(from) as f64 / self.lags[Lag::Short as usize].max(1) as f64
    }

    /// Fills in what was in flight at each observation; those are in order of their birth.
    pub(super) fn look(&self, observations: &mut [&mut Observation], groups: &Groups) {
        let stamps: Vec<u64> = observations
            .iter()
            .map(|observation| observation.born)
            .collect();
        self.at_each(stamps.into_iter(), groups, |index, now| {
            observations[index].flight = now.counts().collect();
            observations[index].requests = now.requests();
            observations[index].ended = Lag::ALL.map(|lag| now.ended(lag));
            observations[index].epoch = now.changes;
        });
    }

    /// The mean number of the key's requests in flight around then.
    pub(super) fn mean(&self, around: Around, key: Key, groups: &Groups) -> f64 {
        self.over(&self.means, around, of_key(key, groups))
    }

    /// The mean part of what is in flight around then that is the key's; nothing while nothing is.
    pub(super) fn mean_share(&self, around: Around, key: Key, groups: &Groups) -> f64 {
        self.over(&self.shares, around, of_key(key, groups))
    }

    /// The part of the time around then in which something is in flight.
    pub(super) fn busy(&self, around: Around) -> f64 {
        self.over(&self.shares, around, of_all)
    }

    /// The mean number of the key's requests that, around then, have ended so shortly before.
    pub(super) fn mean_ended(&self, around: Around, lag: Lag, key: Key, groups: &Groups) -> f64 {
        self.over(&self.ended[lag as usize], around, of_key(key, groups))
    }

    /// The same of all.
    pub(super) fn mean_of_all_ended(&self, around: Around, lag: Lag) -> f64 {
        self.over(&self.ended[lag as usize], around, of_all)
    }

    /// The mean number of all.
    pub(super) fn mean_of_all(&self, around: Around) -> f64 {
        self.over(&self.means, around, of_all)
    }
}

/// A moment, and since when blocks as are made then can be seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) stamp: u64,
    /// What was made before has been freed, whoever made it. What was in flight then is no measure of chance.
    pub(super) since: u64,
}

fn of_key(key: Key, groups: &Groups) -> impl Fn(&[f64]) -> f64 {
    let members = groups.members(key);
    move |of_groups| {
        let members = members.iter();
        members.map(|group| of_groups[*group as usize]).sum()
    }
}

fn of_all(of_groups: &[f64]) -> f64 {
    of_groups.iter().sum()
}
