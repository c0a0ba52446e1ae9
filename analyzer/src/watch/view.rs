//! What a viewer sees at one moment: tables by endpoint, by type and by call site, with names.

mod rows;

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::report::{self, Named};
use crate::requests::label::{Group, LabelId};
use crate::sites::{SiteId, Sites};
use crate::symbols::{Files, SymbolOptions, Symbolizer};
use crate::trace::Facts;
use crate::types::TypeId;
use crate::watch::live::Live;
use crate::watch::replay::Recent;
use crate::watch::standing::{Change, Grown, Key, Owner, Standing, grown};
use crate::watch::verdicts::Verdicts;
pub(super) use rows::{EndpointRow, RequestRow, SiteRow, Sure, TypeRow, Whose};

/// So many call sites are named.
const MOST_SITES: usize = 200;

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) at_ns: u64,
    /// What is compared with, and how long ago that was.
    pub(super) since_ns: u64,
    pub(super) live: Grown,
    pub(super) live_bytes: u64,
    pub(super) live_blocks: u64,
    pub(super) mapped_bytes: u64,
    pub(super) resident: u64,
    pub(super) resident_since: i64,
    pub(super) requests: u64,
    pub(super) requests_since: u64,
    /// Since the last look, and nanoseconds since then.
    pub(super) requests_last: u64,
    pub(super) last_ns: u64,
    pub(super) flying: u64,
    pub(super) flying_bytes: i64,
    pub(super) processes: usize,
    pub(super) dropped: u64,
    /// `LEAK_SAMPLE`; 0: every block was recorded.
    pub(super) sample_bytes: u64,
    pub(super) sure: Sure,
    pub(super) endpoints: Vec<EndpointRow>,
    pub(super) types: Vec<TypeRow>,
    pub(super) sites: Vec<SiteRow>,
    /// The newest first.
    pub(super) recent: Vec<RequestRow>,
    /// Call sites that are left out.
    pub(super) more_sites: usize,
    pub(super) seconds_to_limit: Option<u64>,
    /// So many requests had ended when the verdicts were found.
    pub(super) judged_requests: Option<u64>,
}

impl View {
    /// Requests a second since the last look; `None`: no time has passed.
    pub(super) fn rate(&self) -> Option<f64> {
        let seconds = self.last_ns as f64 / 1e9;
        (self.last_ns > 0).then(|| self.requests_last as f64 / seconds)
    }
}

/// Names that were looked for already.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: FxHashMap<SiteId, (Named, String)>,
}

impl Names {
    /// The names and fingerprints of `wanted`.
    fn find(&mut self, facts: &Facts, sites: &Sites, wanted: &[SiteId]) {
        let new = wanted.iter().filter(|site| !self.known.contains_key(site));
        let new: Vec<SiteId> = new.copied().collect();
        if new.is_empty() {
            return;
        }
        let options = SymbolOptions::default();
        // What is mapped for this goes again with it.
        let files = Files::default();
        let mut symbolizer = Symbolizer::new(&files, sites.modules(), options);
        for site in new {
            let named = report::named(facts, sites, &mut symbolizer, site);
            let fingerprint = report::fingerprint(sites, site);
            self.known.insert(site, (named, fingerprint));
        }
    }
}

/// What a view is made of.
pub(super) struct Input<'v> {
    pub(super) live: &'v Live,
    pub(super) now: &'v Standing,
    pub(super) base: Option<&'v Standing>,
    pub(super) before: Option<&'v Standing>,
    pub(super) verdicts: Option<&'v Verdicts>,
}

impl Input<'_> {
    fn grown<K: std::hash::Hash + Eq>(
        &self,
        of: impl Fn(&Key) -> Option<K>,
    ) -> FxHashMap<K, Grown> {
        grown((self.now, self.base, self.before), of)
    }

    fn label(&self, label: LabelId) -> String {
        let names = self.live.replay.machine.labels.names();
        names.get(label as usize).cloned().unwrap_or_default()
    }

    fn of(&self, owner: Owner) -> String {
        match owner {
            Owner::Left((label, status)) | Owner::Likely((label, status)) => {
                titled(&self.label(label), status)
            }
            Owner::Untold => UNTOLD.to_owned(),
            Owner::Outside => OUTSIDE.to_owned(),
            Owner::Flying => "(requests in flight)".to_owned(),
        }
    }
}

/// What stands for blocks of which nobody can tell whose they are.
pub(super) const UNTOLD: &str = "(whose can't be told yet)";
/// What stands for blocks of no request.
pub(super) const OUTSIDE: &str = "(in no request)";

/// An endpoint with a status, in one word.
pub(super) fn titled(label: &str, status: Option<u32>) -> String {
    match status {
        Some(status) => format!("{label} → {status}"),
        None => label.to_owned(),
    }
}

/// Of requests that go on nothing is left over yet.
fn is_left(key: &Key) -> bool {
    key.0 != Owner::Flying
}

/// Makes a view.
pub(super) fn view(input: &Input<'_>, names: &mut Names) -> View {
    let (now, facts) = (input.now, input.live.facts());
    let by_owner = input.grown(|key| Some(key.0));
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (base, before) = (input.base, input.before);
    let of_base = |of: fn(&Standing) -> u64| base.map_or(0, of);
    let mut view = View {
        at_ns: now.at_ns,
        since_ns: of_base(|of| of.at_ns),
        live: by_owner
            .values()
            .fold(Grown::default(), |sum, of| sum.plus(*of)),
        live_bytes: now.live.bytes,
        live_blocks: now.live.blocks,
        mapped_bytes: now.mapped.bytes,
        resident: now.resident,
        resident_since: signed(now.resident) - signed(of_base(|of| of.resident)),
        requests: now.requests,
        requests_since: now.requests.saturating_sub(of_base(|of| of.requests)),
        requests_last: now
            .requests
            .saturating_sub(before.map_or(0, |before| before.requests)),
        last_ns: now
            .at_ns
            .saturating_sub(before.map_or(0, |before| before.at_ns)),
        flying: now.flying,
        flying_bytes: by_owner.get(&Owner::Flying).map_or(0, |of| of.since.bytes),
        processes: now.processes,
        dropped: now.dropped.allocations + now.dropped.frees + now.dropped.other,
        sample_bytes: now.sample_bytes,
        seconds_to_limit: input
            .verdicts
            .and_then(|verdicts| verdicts.seconds_to_limit),
        judged_requests: input.verdicts.map(|verdicts| verdicts.requests),
        ..View::default()
    };
    for (owner, left) in &by_owner {
        let sure = &mut view.sure;
        let sum = match owner {
            Owner::Left(_) => &mut sure.proved,
            Owner::Likely(_) => &mut sure.likely,
            Owner::Untold => &mut sure.untold,
            Owner::Outside => &mut sure.outside,
            Owner::Flying => continue,
        };
        *sum += left.since.bytes;
    }
    view.endpoints = endpoints(input, &by_owner);
    view.types = types(input);
    view.recent = recent(input, facts);
    (view.sites, view.more_sites) = sites(input, facts, names);
    view
}

fn endpoints(input: &Input<'_>, by_owner: &FxHashMap<Owner, Grown>) -> Vec<EndpointRow> {
    let mut types = types_of_groups(input);
    let of = |owner: &Owner| by_owner.get(owner).copied().unwrap_or_default();
    let row = |whose: Whose, label: &str, left: Grown| EndpointRow {
        whose,
        label: label.to_owned(),
        status: None,
        requests: 0,
        holding: 0,
        left,
        likely: Grown::default(),
        judged: None,
        types: Vec::new(),
    };
    let mut rows: Vec<EndpointRow> = Vec::new();
    for (group, served) in &input.now.served {
        let group: Group = *group;
        let before = input.base.and_then(|base| base.served.get(&group));
        let likely = of(&Owner::Likely(group));
        let label = input.label(group.0);
        let judged = input.verdicts.and_then(|of| of.group(&label, group.1));
        rows.push(EndpointRow {
            status: group.1,
            requests: served.saturating_sub(*before.unwrap_or(&0)),
            holding: input.now.holding.get(&group).copied().unwrap_or(0),
            likely,
            judged: judged.cloned(),
            types: types.remove(&group).unwrap_or_default(),
            ..row(
                Whose::Endpoint,
                &label,
                of(&Owner::Left(group)).plus(likely),
            )
        });
    }
    rows.push(row(Whose::Untold, UNTOLD, of(&Owner::Untold)));
    rows.push(row(Whose::Outside, OUTSIDE, of(&Owner::Outside)));
    rows.sort_by(|one, other| {
        let key = |row: &EndpointRow| (Reverse(row.left.since.bytes), row.status);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.label.cmp(&other.label))
    });
    rows
}

fn recent(input: &Input<'_>, facts: &Facts) -> Vec<RequestRow> {
    let ended = input.live.replay.recent.iter().rev();
    let row = |ended: &Recent| {
        let (start, end) = (facts.clock.ns(ended.start), facts.clock.ns(ended.end));
        let holds = input.now.by_request.get(&ended.request);
        RequestRow {
            label: ended
                .group
                .map_or_else(String::new, |group| input.label(group.0)),
            status: ended.group.and_then(|group| group.1),
            ended_ns: end,
            took_ns: end.saturating_sub(start),
            survivors: ended.survivors,
            holds: holds.copied().unwrap_or_default(),
        }
    };
    ended.map(row).collect()
}

/// What is left over of each endpoint's requests, by type.
fn types_of_groups(input: &Input<'_>) -> FxHashMap<Group, Vec<TypeRow>> {
    let by_both = input.grown(|key| match key.0 {
        Owner::Left(group) | Owner::Likely(group) => Some((group, key.2)),
        Owner::Untold | Owner::Outside | Owner::Flying => None,
    });
    let mut by_group: FxHashMap<Group, FxHashMap<TypeId, Grown>> = FxHashMap::default();
    for ((group, of_type), left) in by_both {
        by_group.entry(group).or_default().insert(of_type, left);
    }
    let named =
        |(group, types): (Group, FxHashMap<TypeId, Grown>)| (group, type_rows(input, &types));
    by_group.into_iter().map(named).collect()
}

fn types(input: &Input<'_>) -> Vec<TypeRow> {
    let by_type = input.grown(|key| is_left(key).then_some(key.2));
    type_rows(input, &by_type)
}

fn type_rows(input: &Input<'_>, by_type: &FxHashMap<TypeId, Grown>) -> Vec<TypeRow> {
    let names = &input.live.replay.types;
    // A name may have several numbers.
    let mut by_name: FxHashMap<&str, Grown> = FxHashMap::default();
    for (of_type, left) in by_type {
        let of_type: TypeId = *of_type;
        let sum = by_name.entry(names.name(of_type)).or_default();
        *sum = sum.plus(*left);
    }
    let rows = by_name.into_iter().map(|(name, left)| TypeRow {
        name: match name {
            "unknown" => UNKNOWN.to_owned(),
            name => name.to_owned(),
        },
        left,
    });
    let mut rows: Vec<TypeRow> = rows.collect();
    rows.sort_by(|one, other| {
        let key = |row: &TypeRow| {
            (
                Reverse(row.left.since.bytes),
                Reverse(row.left.since.blocks),
            )
        };
        key(one)
            .cmp(&key(other))
            .then_with(|| one.name.cmp(&other.name))
    });
    rows
}

/// What stands for blocks that are of no class, or were not looked at yet.
pub(super) const UNKNOWN: &str = "(no type known)";

fn sites(input: &Input<'_>, facts: &Facts, names: &mut Names) -> (Vec<SiteRow>, usize) {
    let by_site = input.grown(|key| is_left(key).then_some(key.1));
    let is_of_note = |left: &Grown| !left.since.is_none() || !left.last.is_none();
    let mut rows: Vec<(SiteId, Grown)> = by_site.into_iter().collect();
    rows.retain(|(_, left)| is_of_note(left));
    rows.sort_by_key(|(site, left)| (Reverse(left.since.bytes), *site));
    let more = rows.len().saturating_sub(MOST_SITES);
    rows.truncate(MOST_SITES);
    let wanted: Vec<SiteId> = rows.iter().map(|(site, _)| *site).collect();
    names.find(facts, &input.live.sites, &wanted);
    let of_whom = input.grown(|key| is_left(key).then_some((key.1, key.0)));
    let mut most: FxHashMap<SiteId, (i64, Owner)> = FxHashMap::default();
    for ((site, owner), left) in of_whom {
        let candidate = (left.since.bytes, owner);
        let known = most.entry(site).or_insert(candidate);
        *known = candidate.max(*known);
    }
    let row = |(site, left): (SiteId, Grown)| {
        let (named, fingerprint) = names.known.get(&site).cloned().unwrap_or_default();
        let judged = input.verdicts.and_then(|of| of.site(&fingerprint));
        SiteRow {
            of: most
                .get(&site)
                .map_or_else(String::new, |of| input.of(of.1)),
            named,
            left,
            judged: judged.cloned(),
            fingerprint,
        }
    };
    (merged(rows.into_iter().map(row)), more)
}

/// Call sites that look the same to a person are one: on the way there they differ in what is not shown.
fn merged(rows: impl Iterator<Item = SiteRow>) -> Vec<SiteRow> {
    let mut all: Vec<SiteRow> = Vec::new();
    let mut places: FxHashMap<(String, String), usize> = FxHashMap::default();
    for row in rows {
        let key = (row.named.function.clone(), row.named.place.clone());
        match places.get(&key).and_then(|place| all.get_mut(*place)) {
            // The first is the largest: names and verdict are its.
            Some(known) => known.left = known.left.plus(row.left),
            None => {
                places.insert(key, all.len());
                all.push(row);
            }
        }
    }
    all.sort_by_key(|row| Reverse(row.left.since.bytes));
    all
}

impl Change {
    /// Whether it is more, and not less or nothing.
    pub(super) fn is_more(self) -> bool {
        self.blocks > 0 || self.bytes > 0
    }
}
