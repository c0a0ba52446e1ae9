//! Call sites of all processes, put together and judged.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedGroup, JudgedLabel};
use super::late::Late;
use super::open;
use crate::analysis::{Evidence, LifeRow, Verdict};
use crate::figures::counted;
use crate::ledger::{
    self, Age, CollectionMoment, Collector, Finished, FinishedSite, Lives, MEASURES, Retained,
};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::SiteId;
use crate::sites::runtimes::Runtime;
use crate::trace::Dropped;
use crate::verdict::told::Collection;
use crate::verdict::{
    self, Buffer, GroupEvidence, Growth, LEAK_REQUESTS, Sequences, Series, combine, is_steady,
    of_requests, of_time, reaches_new_height, survival,
};

/// Judges all sites. `processes` are the ended ones, each with the most connections that it held. With
/// `dropped` events no block can be called a leak: its free may be among them. What is allocated at a site for which
/// `may_be_garbage` holds may be garbage that waits for Python's collector, and for that of its `runtime`.
pub(super) fn judge(
    processes: Vec<(Finished, usize)>,
    (records, closes): (&[Record], &[(u32, u64)]),
    dropped: &Dropped,
    may_be_garbage: impl Fn(SiteId) -> bool,
    runtime: impl Fn(SiteId) -> Option<Runtime>,
) -> Vec<Judged> {
    let mut orders = vec![0u32; records.len()];
    let upgraded = upgraded(records, closes);
    let (mut sequences, mut collectors) = (Vec::new(), Vec::new());
    let mut parts: FxHashMap<SiteId, Vec<(usize, FinishedSite)>> = FxHashMap::default();
    for (process, (mut finished, connections)) in processes.into_iter().enumerate() {
        for (order, request) in (0..).zip(&finished.ends) {
            if let Some(place) = orders.get_mut(*request as usize) {
                *place = order;
            }
        }
        sequences.push(Sequences::new(&finished, records, connections));
        let sites = std::mem::take(&mut finished.sites);
        collectors.push(Collected::new(
            finished,
            &sequences[process],
            (records, &upgraded),
        ));
        for mut site in sites {
            if may_be_garbage(site.id) {
                collectors[process].judge(&mut site.retained, (records, &upgraded));
            }
            parts.entry(site.id).or_default().push((process, site));
        }
    }
    let served = sequences.iter().map(Sequences::served_until);
    let mut judge = Judge {
        served_until: served.max().unwrap_or(0),
        everywhere: everywhere(&sequences, records),
        sequences,
        collectors,
        may_be_garbage: false,
        runtime: None,
        records,
        orders,
    };
    let judged = parts.into_iter().map(|(id, parts)| {
        judge.may_be_garbage = may_be_garbage(id);
        judge.runtime = runtime(id);
        judge.site(id, parts)
    });
    let mut judged: Vec<Judged> = judged.collect();
    if let Some(text) = cannot_tell(dropped) {
        judged.iter_mut().for_each(|site| site.doubt(&text));
    }
    judged
}

/// Why nothing can be called a leak, if so. Losses are known for the session, not for each process.
fn cannot_tell(dropped: &Dropped) -> Option<String> {
    let what = match (dropped.frees, dropped.other) {
        (0, 0) => return None,
        (0, other) => format!("{} of unknown kind", counted(other, "event")),
        (frees, 0) => counted(frees, "free"),
        (frees, other) => format!(
            "{} and {} of unknown kind",
            counted(frees, "free"),
            counted(other, "event")
        ),
    };
    let verb = match dropped.frees.saturating_add(dropped.other) {
        1 => "was",
        _ => "were",
    };
    Some(format!(
        "{what} {verb} dropped: can't tell, its blocks may be freed; record with LEAK_FULL=wait"
    ))
}

/// A label's requests with one status.
type Group = (LabelId, Option<u32>);

/// The requests of each group in all processes, in order, where there are several processes.
fn everywhere(sequences: &[Sequences], records: &[Record]) -> FxHashMap<Group, Vec<RequestId>> {
    let mut all: FxHashMap<Group, Vec<RequestId>> = FxHashMap::default();
    let serving = sequences.iter().filter(|process| process.requests() > 0);
    if serving.count() > 1 {
        for (request, record) in (0..).zip(records) {
            if let Some(label) = record
                .label
                .filter(|_| !record.void && record.end.is_some())
            {
                let group = all.entry((label, record.status)).or_default();
                group.push(request);
            }
        }
    }
    all
}

/// Lives of what was freed at the site and was no request's for sure, by measure.
fn outside_freed(parts: &[(usize, FinishedSite)]) -> [Lives; MEASURES] {
    let mut freed: [Lives; MEASURES] = Default::default();
    for (_, site) in parts {
        for of in [&*site.outside_lives, &site.lives.unowned] {
            for (sum, lives) in freed.iter_mut().zip(of) {
                sum.merge(lives);
            }
        }
    }
    freed
}

/// Connections that were upgraded (to WebSocket), and when they were closed; `u64::MAX`: not yet.
type Upgraded = FxHashMap<u32, u64>;

fn upgraded(records: &[Record], closes: &[(u32, u64)]) -> Upgraded {
    let upgrades = records.iter().filter(|record| record.status == Some(101));
    let mut upgraded: Upgraded = upgrades
        .map(|record| (record.connection, u64::MAX))
        .collect();
    for (connection, closed) in closes {
        if let Some(until) = upgraded.get_mut(connection) {
            *until = *closed;
        }
    }
    upgraded
}

/// Until when the objects that the request makes may be in use: those of an upgraded connection last as long as that.
fn used_until(record: &Record, upgraded: &Upgraded) -> u64 {
    let end = record.end.unwrap_or(record.start);
    upgraded
        .get(&record.connection)
        .map_or(end, |until| end.max(*until))
}

/// What a process's collector has told.
struct Collected {
    runs: Collector,
    /// The last collection of everything by another runtime's, as its functions tell, and as deaths do.
    collection: Option<Collection>,
    collection_by_deaths: Option<Collection>,
    /// The places of the requests that ended of which it has told nothing, sorted.
    untold: Vec<u64>,
    /// The same of what no request owns, by the places of requests that would have come evenly.
    untold_in_time: Vec<u64>,
}

impl Collected {
    fn new(
        finished: Finished,
        sequences: &Sequences,
        (records, upgraded): (&[Record], &Upgraded),
    ) -> Collected {
        let runs = finished.collector;
        let last = finished.tracing.last_before(finished.ends.len() as u64);
        let collection = |moment: CollectionMoment| Collection {
            order: moment.order,
            ago: finished.serving.to.saturating_sub(moment.stamp),
        };
        let collection_by_deaths = finished.told_by_deaths.map(collection);
        let collection = last.map(collection);
        let (mut untold, mut untold_in_time) = (Vec::new(), Vec::new());
        if runs.is_known() && !runs.ran_last {
            let full = runs.last_full();
            let first = full.map_or(0, |stamp| sequences.place_in_time(stamp));
            untold_in_time = (first..sequences.places()).collect();
            let ends = (0..).zip(finished.ends).filter(|(_, request)| {
                let record = records.get(*request as usize);
                record.is_some_and(|record| {
                    !runs.has_told(record.start, used_until(record, upgraded))
                })
            });
            untold = ends.map(|(order, _)| order).collect();
        }
        Collected {
            runs,
            collection,
            collection_by_deaths,
            untold,
            untold_in_time,
        }
    }

    /// Tells what it has told of what requests retained.
    fn judge(&self, retained: &mut [Retained], (records, upgraded): (&[Record], &Upgraded)) {
        for kept in retained {
            if let Some(record) = records.get(kept.request as usize) {
                let until = used_until(record, upgraded);
                let is_told = self.runs.has_told_of(record.start, until, kept.last);
                kept.judged = self.runs.judge(is_told, kept.collected);
            }
        }
    }
}

struct Judge<'r> {
    /// When the last request of all processes ended.
    served_until: u64,
    sequences: Vec<Sequences>,
    collectors: Vec<Collected>,
    /// What is allocated at the site that is judged now may be garbage that waits for a collector.
    may_be_garbage: bool,
    /// So may it be for the one of this runtime.
    runtime: Option<Runtime>,
    everywhere: FxHashMap<Group, Vec<RequestId>>,
    records: &'r [Record],
    orders: Vec<u32>,
}

impl Judge<'_> {
    fn site(&mut self, id: SiteId, parts: Vec<(usize, FinishedSite)>) -> Judged {
        let reached = parts.iter().any(|part| !part.1.labels.is_empty());
        let (outside, outside_evidence) = self.by_time(&parts);
        let (verdict, evidence, labels) = match reached {
            true => self.by_survival(&parts),
            false => (outside, outside_evidence.clone(), Vec::new()),
        };
        // Requests that come here and keep nothing say nothing of what is nobody's.
        let (verdict, evidence) = match labels.iter().any(JudgedLabel::retains) {
            false if outside < verdict => (outside, outside_evidence.clone()),
            _ => (verdict, evidence),
        };
        let open = open::judge(&parts, &self.sequences, self.records);
        Judged {
            outside,
            outside_evidence,
            id,
            verdict,
            evidence,
            open,
            labels,
            parts: parts.into_iter().map(|part| part.1).collect(),
        }
    }

    /// What is to be thought of the blocks that belong to no request, over the serving time.
    fn by_time(&self, parts: &[(usize, FinishedSite)]) -> (Verdict, Evidence) {
        let over_time = parts.iter().map(|(process, site)| {
            let ended = self.sequences.get(*process);
            of_time(site, ended.map_or(0, Sequences::places))
        });
        let over_time: Vec<Series> = over_time.collect();
        let (verdict, mut evidence) = combine(&over_time);
        let group = self.outside(parts, is_steady(&over_time, before(parts)));
        let (survives, figures) = group.judge();
        let goes_on = self.has_outlived(parts, &group.freed);
        let verdict = match (verdict, survives) {
            (Verdict::GrowingBuffer, _) | (Verdict::Leak, Verdict::Clean) => verdict,
            (_, Verdict::Leak) if goes_on => Verdict::Leak,
            // Nothing was ever freed: that it comes unevenly is no doubt, unless it hardly comes any more.
            (Verdict::Leak, Verdict::TooFewRequests)
                if goes_on && group.freed[0].count() == 0 && !figures.hardly_goes_on() =>
            {
                verdict
            }
            (Verdict::Leak, Verdict::Leak | Verdict::FreedLater) => Verdict::TooFewRequests,
            (Verdict::Leak, _) => survives,
            // The newest may be the first of many: what is live has never been so much.
            (Verdict::FreedLater, _) if reaches_new_height(&over_time) => {
                evidence.text =
                    "the newest are more than ever were live here before: too early to tell".into();
                return (Verdict::TooFewRequests, evidence);
            }
            (verdict, Verdict::TooFewRequests) if figures.mature > 0 => {
                verdict.min(Verdict::TooFewRequests)
            }
            (verdict, _) => return (verdict, evidence),
        };
        evidence.text = figures.text_over_time(verdict);
        evidence.mature_requests = figures.mature;
        evidence.typical_life_requests = figures.typical;
        evidence.trend = figures.trend;
        evidence.requests_needed = figures.needed;
        evidence.is_sure = figures.is_sure();
        (verdict, evidence)
    }

    /// The history of what no request owns, in time: a thread that serves nobody does not wait for requests.
    fn outside<'s>(
        &'s self,
        parts: &'s [(usize, FinishedSite)],
        steady: bool,
    ) -> survival::Group<'s> {
        let mut group = survival::Group {
            freed: outside_freed(parts),
            steady,
            by_time: true,
            unwatched: parts
                .iter()
                .any(|(process, _)| self.sequences[*process].requests() == 0),
            ..survival::Group::default()
        };
        for (process, site) in parts {
            let sequences = &self.sequences[*process];
            let collector = Some(&self.collectors[*process].runs);
            let collector = collector.filter(|runs| self.may_be_garbage && runs.is_known());
            let births = site.outside.served.births.points();
            let mut kept: Vec<survival::Kept> = Vec::new();
            for (stamp, _) in births {
                let order = sequences.place_in_time(*stamp);
                let request = Some(sequences.places().saturating_sub(order + 1));
                let time = Some(sequences.served_until().saturating_sub(*stamp));
                if kept.last().is_none_or(|last| last.order < order) {
                    kept.push(survival::Kept {
                        request: 0,
                        order,
                        age: [request, None, None, time],
                        first: kept.is_empty(),
                        judged: collector.map_or(ledger::Judged::InUse, |runs| {
                            let freed = site.outside.served.collected.contains(stamp);
                            runs.judge(runs.has_told_fully(*stamp), freed)
                        }),
                    });
                }
            }
            group.newest += 1;
            group.survivors += kept.len() as u64 + site.outside_lives[0].count();
            group.processes.push(survival::InProcess {
                orders: (0..sequences.places()).collect(),
                untold: match collector {
                    Some(_) => &self.collectors[*process].untold_in_time,
                    None => &[],
                },
                ended: sequences.places(),
                kept,
                unowned: Some(&site.outside_lives),
                ..survival::InProcess::default()
            });
        }
        group
    }

    /// Whether in a process what no request owns was kept in enough parts of its serving time, and is twice as old
    /// as what was freed at the site became.
    fn has_outlived(&self, parts: &[(usize, FinishedSite)], freed: &[Lives; MEASURES]) -> bool {
        const TIME: usize = MEASURES - 1;
        let limit = 2 * freed[TIME].percentile(survival::TYPICAL);
        parts.iter().any(|(process, site)| {
            let old = self.sequences[*process].slices_older_than(limit);
            let kept = &site.outside.served.retained_blocks;
            let old = kept.iter().take(old).filter(|blocks| **blocks > 0);
            old.count() as u64 >= LEAK_REQUESTS
        })
    }

    /// What the requests of each label and status make of the site; the site has the worst verdict.
    fn by_survival(
        &mut self,
        parts: &[(usize, FinishedSite)],
    ) -> (Verdict, Evidence, Vec<JudgedLabel>) {
        let reached = parts.iter().filter(|part| !part.1.labels.is_empty());
        let mut all = Vec::new();
        for (process, site) in reached {
            let labels: Vec<LabelId> = site.labels.iter().map(|label| label.0).collect();
            all.push(self.series(*process, site, &labels));
        }
        let mut sum = Series::default();
        all.iter().for_each(|series| sum.add(series));
        let is_steady = is_steady(&all, before(parts));
        let freed = self.freed(parts);
        let mut labels = self.retained_by_label(parts);
        let mut worst: Option<(Verdict, u64, GroupEvidence)> = None;
        for label in &mut labels {
            for group in self.groups(parts, label) {
                let judged = self.group(parts, label.label, group, &freed, is_steady);
                let (verdict, mut figures) = judged.judge();
                figures.in_times = self.is_untold(label, group);
                if verdict == Verdict::Clean {
                    continue;
                }
                if verdict == Verdict::Leak {
                    let may_go: FxHashSet<RequestId> = judged.may_go().collect();
                    let kept = label.retained.iter_mut();
                    kept.for_each(|kept| kept.may_go |= may_go.contains(&kept.request));
                }
                label.groups.push(JudgedGroup {
                    status: group,
                    verdict,
                    is_sure: figures.is_sure(),
                    shared: false,
                    text: figures.text(verdict),
                });
                label.verdict = label.verdict.min(verdict);
                let kept = figures.retaining;
                if worst
                    .as_ref()
                    .is_none_or(|worst| (verdict, u64::MAX - kept) < (worst.0, u64::MAX - worst.1))
                {
                    worst = Some((verdict, kept, figures));
                }
            }
        }
        let (mut verdict, mut figures) = match worst {
            Some((verdict, _, figures)) => (verdict, figures),
            None => (Verdict::Clean, GroupEvidence::default()),
        };
        // Where all allocate at one place, it tells of none that all together keep more and more.
        if verdict == Verdict::TooFewRequests
            && self.runtime.is_none()
            && let Some(together) = self.together(parts, &mut labels, &freed)
        {
            (verdict, figures) = (Verdict::Leak, together);
        }
        let mut evidence = verdict::evidence(&sum, verdict);
        evidence.text = figures.text(verdict);
        evidence.requests_needed = figures.needed;
        evidence.mature_requests = match figures.in_times {
            true => figures.mature.min(evidence.requests_retaining),
            false => figures.mature,
        };
        evidence.typical_life_requests = figures.typical;
        evidence.trend = figures.trend;
        evidence.is_sure = figures.is_sure();
        evidence.lives = self.lives(parts, &freed[0]);
        if let Some(buffer) = self.buffer(parts) {
            let reallocates = parts.iter().any(|(_, site)| site.reallocations > 0);
            let (grows, needed) = match buffer.growth {
                // What is replaced may wait for a collector; what is reallocated is in use.
                Growth::Grows if self.runtime.is_some() && !reallocates => {
                    (Verdict::TooFewRequests, None)
                }
                Growth::Grows => (Verdict::GrowingBuffer, None),
                Growth::Untold => (Verdict::TooFewRequests, Some(buffer.needed())),
                Growth::Stopped => (Verdict::Clean, None),
            };
            if grows < verdict {
                verdict = grows;
                evidence.text = buffer.text();
                evidence.requests_needed = needed;
                for label in labels.iter_mut().filter(|label| label.retains()) {
                    label.verdict = label.verdict.min(verdict);
                    let groups = label.groups.iter_mut();
                    groups.for_each(|group| group.verdict = group.verdict.min(verdict));
                }
            }
        }
        (verdict, evidence, labels)
    }

    /// The buffer that the site is in one of the processes, the one that grows for sure.
    fn buffer(&self, parts: &[(usize, FinishedSite)]) -> Option<Buffer> {
        Buffer::of(parts.iter().map(|(process, site)| {
            let labels: Vec<LabelId> = site.labels.iter().map(|label| label.0).collect();
            (site, self.sequences[*process].of_labels(&labels))
        }))
    }

    /// Groups of which none can be judged by itself, taken together: a leak that no label has is the one of all.
    fn together(
        &self,
        parts: &[(usize, FinishedSite)],
        labels: &mut [JudgedLabel],
        freed: &[Lives; MEASURES],
    ) -> Option<GroupEvidence> {
        let mut sum: Option<survival::Group<'_>> = None;
        let (mut taken, mut in_times) = (0, false);
        for label in labels.iter() {
            for judged in label
                .groups
                .iter()
                .filter(|group| group.verdict == Verdict::TooFewRequests)
            {
                let group = self.group(parts, label.label, judged.status, freed, false);
                taken += 1;
                in_times |= self.is_untold(label, judged.status);
                match &mut sum {
                    Some(sum) => sum.absorb(group),
                    None => sum = Some(group),
                }
            }
        }
        let (verdict, mut figures) = sum.filter(|_| taken > 1)?.judge();
        figures.in_times = in_times;
        if verdict != Verdict::Leak {
            return None;
        }
        for label in labels {
            let undecided = label.groups.iter_mut();
            for group in undecided.filter(|group| group.verdict == Verdict::TooFewRequests) {
                group.verdict = verdict;
                group.is_sure = figures.is_sure();
                group.shared = true;
                group.text = figures.text(verdict);
                label.verdict = verdict;
            }
        }
        Some(figures)
    }

    /// Lives of what was freed at the site, by measure.
    fn freed(&self, parts: &[(usize, FinishedSite)]) -> [Lives; MEASURES] {
        let mut freed: [Lives; MEASURES] = Default::default();
        for group in parts.iter().flat_map(|(_, site)| &site.lives.groups) {
            for (sum, lives) in freed.iter_mut().zip(&group.freed) {
                sum.merge(lives);
            }
        }
        for (_, site) in parts {
            for (sum, lives) in freed.iter_mut().zip(&site.lives.unowned) {
                sum.merge(lives);
            }
        }
        freed
    }

    /// The statuses of a label's requests that left survivors here.
    fn groups(&self, parts: &[(usize, FinishedSite)], label: &JudgedLabel) -> Vec<Option<u32>> {
        let born = parts.iter().flat_map(|(_, site)| &site.lives.groups);
        let born = born
            .filter(|group| group.label == label.label)
            .map(|group| group.status);
        let kept = label.retained.iter().filter_map(|kept| {
            let record = self.records.get(kept.request as usize)?;
            Some(record.status)
        });
        let mut all: Vec<Option<u32>> = born.chain(kept).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A group's history.
    fn group<'s>(
        &'s self,
        parts: &'s [(usize, FinishedSite)],
        label: LabelId,
        status: Option<u32>,
        freed: &[Lives; MEASURES],
        steady: bool,
    ) -> survival::Group<'s> {
        let mut group = survival::Group {
            freed: freed.clone(),
            // Where all allocate at one place, and garbage is freed by spurts, what is live there tells of nobody.
            steady: steady && self.runtime.is_none(),
            runtime: self.runtime,
            everywhere: self
                .everywhere
                .get(&(label, status))
                .map_or(&[], Vec::as_slice),
            ..survival::Group::default()
        };
        let retained = parts.iter().flat_map(|(_, site)| &site.retained);
        let of_group =
            |kept: &'s Retained| Some((kept, self.record_of_group(kept, (label, status))?));
        let mut late = Late::of(retained.filter_map(of_group));
        for (process, site) in parts {
            let sequences = &self.sequences[*process];
            let lives = site.lives.groups.iter();
            let lives = lives
                .into_iter()
                .find(|lives| (lives.label, lives.status) == (label, status));
            let now = Age {
                requests: sequences.requests(),
                visits: site.visits,
                keepings: lives.map_or(0, |lives| lives.keepings),
                time: sequences.served_until(),
            };
            let mut mine = site.retained.iter().filter_map(of_group);
            let associated = mine.any(|(kept, _)| kept.associated);
            let kept = self.kept_of_group(site, (label, status), now);
            let mut orders = sequences.of_group(label, status).to_vec();
            let all = orders.len();
            let keeps = |order| kept.binary_search_by_key(&order, |kept| kept.order).is_ok();
            late.remove_unseen(&mut orders, keeps, sequences);
            if orders.len() < all {
                group.everywhere = &[];
            }
            group.newest += sequences.newest();
            group.survivors += lives.map_or(0, |lives| lives.keepings) + kept.len() as u64;
            group.processes.push(survival::InProcess {
                gone: sequences.ended_at() < self.served_until,
                orders,
                untold: match self.may_be_garbage {
                    true => &self.collectors[*process].untold,
                    false => &[],
                },
                ended: sequences.requests(),
                kept,
                lives,
                mass_death: site.lives.mass_death,
                collection: self.collection(*process),
                unowned: associated.then_some(&site.lives.unowned),
            });
        }
        group.is_late = late.shows_little();
        group
    }

    /// What a group's requests kept of a call site in a process, by their places; `now`: its age at the end.
    fn kept_of_group(&self, site: &FinishedSite, group: Group, now: Age) -> Vec<survival::Kept> {
        // A request counts once, unless it stands for others of its label.
        let mut seen: FxHashSet<RequestId> = FxHashSet::default();
        let used = site
            .retained
            .iter()
            .filter(|kept| kept.is_used() && (kept.untold || seen.insert(kept.request)));
        let of_group = used.filter_map(|kept| {
            let record = self.record_of_group(kept, group)?;
            let order = u64::from(*self.orders.get(kept.request as usize)?);
            let age = match kept.birth {
                Some(birth) => survival::age(now, birth),
                None => [
                    Some(now.requests.saturating_sub(order + 1)),
                    None,
                    None,
                    Some(now.time.saturating_sub(record.end.unwrap_or(now.time))),
                ],
            };
            Some(survival::Kept {
                request: kept.request,
                order,
                age,
                first: false,
                judged: kept.judged,
            })
        });
        let mut kept: Vec<survival::Kept> = of_group.collect();
        kept.sort_unstable_by_key(|kept| kept.order);
        if let Some(first) = kept.first_mut() {
            first.first = true;
        }
        kept
    }

    /// The request that kept this, if it is one of the group's.
    fn record_of_group(&self, kept: &Retained, group: Group) -> Option<&Record> {
        let record = self.records.get(kept.request as usize)?;
        ((record.label, record.status) == (Some(group.0), group.1)).then_some(record)
    }

    /// Whether it is not known of all which requests of a group kept them.
    fn is_untold(&self, label: &JudgedLabel, status: Option<u32>) -> bool {
        let untold = label.retained.iter();
        let mut untold = untold.filter(|kept| kept.untold && kept.is_used());
        untold.any(|kept| self.record_of_group(kept, (label.label, status)).is_some())
    }

    /// The last collection of everything that the blocks at the site may have waited for.
    fn collection(&self, process: usize) -> Option<Collection> {
        let collected = &self.collectors[process];
        match self.runtime?.is_told_by_deaths {
            true => collected.collection_by_deaths,
            false => collected.collection,
        }
    }

    /// The survival curve: how old what was freed became, and how old what lives is.
    fn lives(&self, parts: &[(usize, FinishedSite)], freed: &Lives) -> Vec<LifeRow> {
        let mut alive = Lives::default();
        for (process, site) in parts {
            let ended = self.sequences[*process].requests();
            for kept in site.retained.iter().filter(|kept| kept.is_used()) {
                let order = self.orders.get(kept.request as usize).copied().unwrap_or(0);
                alive.add(ended.saturating_sub(u64::from(order) + 1));
            }
        }
        let mut rows: BTreeMap<u64, LifeRow> = BTreeMap::new();
        for (up_to_requests, count) in freed.classes() {
            rows.entry(up_to_requests).or_default().freed += count;
        }
        for (up_to_requests, count) in alive.classes() {
            rows.entry(up_to_requests).or_default().alive += count;
        }
        let row = |(up_to_requests, row)| LifeRow {
            up_to_requests,
            ..row
        };
        rows.into_iter().map(row).collect()
    }

    fn series(
        &mut self,
        process: usize,
        site: &FinishedSite,
        labels: &[LabelId],
    ) -> crate::verdict::Series {
        let sequences = &mut self.sequences[process];
        of_requests(site, sequences, labels, self.records, &self.orders)
    }

    /// The labels whose requests left survivors, with what they retained.
    fn retained_by_label(&self, parts: &[(usize, FinishedSite)]) -> Vec<JudgedLabel> {
        let mut survivors: FxHashMap<LabelId, u64> = FxHashMap::default();
        let mut retained: FxHashMap<LabelId, Vec<Retained>> = FxHashMap::default();
        for (_, site) in parts {
            for (label, blocks) in &site.labels {
                *survivors.entry(*label).or_default() += blocks;
            }
            for kept in &site.retained {
                let record = self.records.get(kept.request as usize);
                if let Some(label) = record.and_then(|record| record.label) {
                    retained.entry(label).or_default().push(*kept);
                }
            }
        }
        survivors.retain(|_, blocks| *blocks > 0);
        let label = |label| JudgedLabel {
            label,
            verdict: Verdict::Clean,
            retained: retained.remove(&label).unwrap_or_default(),
            groups: Vec::new(),
        };
        let mut labels: Vec<JudgedLabel> = survivors.into_keys().map(label).collect();
        labels.sort_unstable_by_key(|judged| judged.label);
        labels
    }
}

/// Bytes at the site from before the first request that stayed while the processes served.
fn before(parts: &[(usize, FinishedSite)]) -> u64 {
    parts.iter().map(|(_, site)| site.outside.before.1).sum()
}
