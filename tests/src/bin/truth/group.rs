//! The blocks that one function kept, and to whom the report gives them.

use std::collections::BTreeMap;

use leak_tests::stated::Sum;
use serde_json::Value;

use crate::endpoint::{Endpoint, Family};
use crate::read::{add, list, sum, text};
use crate::shape::Shape;
use crate::sites;
use crate::traffic::Traffic;

/// What the report says of the blocks that one function kept.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The function.
    pub(crate) function: String,
    /// Kept in truth.
    pub(crate) kept: Sum,
    /// Given to the labels whose requests kept them.
    pub(crate) right: Sum,
    /// Given to other labels, or too many to one.
    pub(crate) wrong: Sum,
    /// Blocks among the wrong ones that are called proved; `None`: the report doesn't say.
    pub(crate) proved_wrong: Option<u64>,
}

impl Group {
    /// The parts of its blocks and of its bytes that are right: the worse.
    pub(crate) fn right_part(&self) -> f64 {
        part(self.right, self.kept, f64::min).min(1.0)
    }

    /// The parts of its blocks and of its bytes that are wrong: the worse.
    pub(crate) fn wrong_part(&self) -> f64 {
        part(self.wrong, self.kept, f64::max)
    }
}

fn part(some: Sum, all: Sum, worse: fn(f64, f64) -> f64) -> f64 {
    let of = |some: u64, all: u64| some as f64 / all.max(1) as f64;
    worse(of(some.blocks, all.blocks), of(some.bytes, all.bytes))
}

/// The functions that keep, with what each is to have been given by label.
pub(crate) fn all(report: &Value, shape: &Shape, traffic: &Traffic) -> Vec<Group> {
    let mut truth: BTreeMap<&str, BTreeMap<String, Sum>> = BTreeMap::new();
    for endpoint in &traffic.endpoints {
        let function = match shape.family {
            Family::Managed => sites::ALL,
            _ => endpoint.function(),
        };
        let kept = traffic.kept(*endpoint, shape.family);
        if shape.keeps && kept.blocks > 0 {
            let labels = truth.entry(function).or_default();
            labels.insert(endpoint.label(), kept);
        }
    }
    let group = |(function, labels): (&str, BTreeMap<String, Sum>)| {
        let kept = add(labels.values().copied());
        group(report, shape.family, function, &labels, kept)
    };
    let mut groups: Vec<Group> = truth.into_iter().map(group).collect();
    if shape.family != Family::Managed {
        groups.extend(background(report, shape.family));
    }
    groups
}

/// Nobody's request made these: as many as there are is the truth, and every label is wrong. `None` where none is
/// left at the end, as after a tidy exit.
fn background(report: &Value, family: Family) -> Option<Group> {
    let live = sites::of(report, family, sites::BACKGROUND).map(|site| sum(site, "live"));
    let kept = add(live);
    let group = group(report, family, sites::BACKGROUND, &BTreeMap::new(), kept);
    let kept = Sum {
        blocks: kept.blocks.max(group.wrong.blocks),
        bytes: kept.bytes.max(group.wrong.bytes),
    };
    (kept.blocks > 0).then(|| Group {
        kept,
        right: Sum {
            blocks: kept.blocks - group.wrong.blocks,
            bytes: kept.bytes - group.wrong.bytes,
        },
        ..group
    })
}

/// Compares what each label was given with what it kept.
fn group(
    report: &Value,
    family: Family,
    function: &str,
    truth: &BTreeMap<String, Sum>,
    kept: Sum,
) -> Group {
    let mut group = Group {
        function: function.to_owned(),
        kept,
        right: Sum::default(),
        wrong: Sum::default(),
        proved_wrong: Some(0),
    };
    for (label, (given, proved)) in given(report, family, function) {
        let kept = truth.get(label).copied().unwrap_or_default();
        let kept = add([kept, garbage(family, label, given)]);
        // What a function keeps for one label alone can't be too much there: each process fills its own cache.
        let most = match truth.len() {
            1 if kept.blocks > 0 => given,
            _ => kept,
        };
        let right = Sum {
            blocks: given.blocks.min(most.blocks),
            bytes: given.bytes.min(most.bytes),
        };
        let wrong = Sum {
            blocks: given.blocks - right.blocks,
            bytes: given.bytes - right.bytes,
        };
        group.right = add([group.right, right]);
        group.wrong = add([group.wrong, wrong]);
        let proved_wrong = proved.map(|proved| proved.saturating_sub(most.blocks));
        group.proved_wrong = both(group.proved_wrong, proved_wrong);
    }
    group
}

/// What a request made and dropped is its own as long as the collector has not taken it. Sizes tell it from what others
/// kept: at least that they are all of one, some bytes more than was asked for.
fn garbage(family: Family, label: &str, given: Sum) -> Sum {
    let drops = [Endpoint::Clean, Endpoint::Bounded];
    let own = drops.into_iter().find(|endpoint| endpoint.label() == label);
    let Some(own) = own.filter(|_| family == Family::Managed) else {
        return Sum::default();
    };
    let (least, most) = (own.managed_size(), own.managed_size() + 8);
    let each = least * given.blocks..=most * given.blocks;
    match each.contains(&given.bytes) {
        true => given,
        false => Sum::default(),
    }
}

/// What the report gives each label of the function's blocks, and how many of them it calls proved.
fn given<'a>(
    report: &'a Value,
    family: Family,
    function: &'a str,
) -> BTreeMap<&'a str, (Sum, Option<u64>)> {
    let mut given = BTreeMap::new();
    for label in sites::of(report, family, function).flat_map(|site| list(site, "labels")) {
        let entry = given.entry(text(label, "label"));
        let (all, proved) = entry.or_insert((Sum::default(), Some(0)));
        *all = add([*all, sum(label, "retained")]);
        *proved = both(*proved, label["proved_blocks"].as_u64());
    }
    given
}

fn both(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one + other)
}
