//! Looks for the fact, and the pair of facts, that goes best with leaking.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::chance::Both;
use super::fact::{Kind, Test, cut, kinds, order};
use super::row::Row;
use crate::analysis::{Apart, Fact, Figure, Tell};

/// By chance, one endpoint in so many is told a fact, or a pair.
const CHANCE: f64 = 0.001;
/// A pair is told beside a single fact where it leaves this part at most of what that gets wrong.
const PAIR_LEAVES: f64 = 0.5;
/// A fact that was known before a request ran is told rather than one that leaking may cause, where it gets no more
/// wrong than that and a request for each so many that leak.
const NEARLY: u64 = 20;
/// Facts of one kind for which another one is looked for.
const FIRST_OF_KIND: usize = 3;
/// The same of all kinds together, at least and at most: no more than `ROWS` rows are looked at for that.
const FIRST: (usize, usize) = (3, 24);
const ROWS: usize = 2_000_000;

/// Facts that hold together, and how they go with leaking.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found<T> {
    test: T,
    kinds: [Kind; 2],
    /// The requests for which they hold.
    pub(super) with: Both,
    pub(super) ln_chance: f64,
}

/// What was looked at, and of that the best, of each kind.
#[derive(Debug, Default)]
struct Looked {
    tests: u64,
    best: Vec<Found<Test>>,
}

/// See the module's documentation.
pub(super) struct Search<'r> {
    rows: &'r [Row],
    all: Both,
    /// Of so many requests a fact has to hold.
    testable: Range<u64>,
    /// Places of rows whose figure is known, by the figure.
    orders: Vec<(Figure, Vec<u32>)>,
    text: &'r dyn Fn(usize, u32) -> Option<String>,
}

impl<'r> Search<'r> {
    pub(super) fn new(
        rows: &'r [Row],
        (leaking, others): (u64, u64),
        text: &'r dyn Fn(usize, u32) -> Option<String>,
    ) -> Search<'r> {
        let all = Both { leaking, others };
        let mut search = Search {
            rows,
            all,
            testable: all.testable(CHANCE.ln()),
            orders: Vec::new(),
            text,
        };
        let figures = kinds().filter_map(|kind| match kind {
            Kind::Figure(figure) => Some(figure),
            _ => None,
        });
        let order = |figure: Figure| {
            let known = (0..).zip(rows);
            let known = known.filter_map(|(at, row)| Some((row.figure(figure)?, at)));
            let mut known: Vec<(u64, u32)> = known.collect();
            known.sort_unstable();
            (figure, known.into_iter().map(|(_, at)| at).collect())
        };
        search.orders = figures.map(order).collect();
        search
    }

    pub(super) fn apart(&self) -> Apart {
        let looked: Vec<Looked> = kinds().map(|kind| self.look(kind, None)).collect();
        let singles: u64 = looked.iter().map(|of_kind| of_kind.tests).sum();
        let best = looked.iter().flat_map(|of_kind| &of_kind.best);
        let single = self.choose(best, singles);
        let is_perfect = |found: &Found<Test>| self.wrong(found.with) == 0;
        let (mut pair, mut pairs) = (None, 0);
        if !single.is_some_and(is_perfect) {
            // All that a pair might have been made of.
            let mut before = 0;
            for of_kind in &looked {
                pairs += before * of_kind.tests;
                before += of_kind.tests;
            }
            let most = single.map(|single| self.wrong(single.with) as f64 * PAIR_LEAVES);
            let found = self.pairs(&looked, pairs);
            let found = found
                .iter()
                .filter(|pair| most.is_none_or(|most| self.wrong(pair.with) as f64 <= most));
            pair = self
                .choose(found, pairs)
                .map(|pair| self.tell(&pair.test, pair.with));
        }
        Apart {
            single: single.map(|single| self.tell(&[single.test], single.with)),
            pair,
            tried: singles + pairs,
        }
    }

    /// Requests of which the fact says the wrong thing.
    fn wrong(&self, with: Both) -> u64 {
        self.all.leaking - with.leaking + with.others
    }

    /// Half of the chance is for single facts, half for pairs; the smallest of all is compared with the whole number of
    /// tests (Holm's first step).
    fn is_rare(ln_chance: f64, tests: u64) -> bool {
        ln_chance + (tests as f64).ln() < (CHANCE / 2.0).ln()
    }

    /// The best: what was known before, unless what may be caused is clearly better.
    fn choose<'f, T>(
        &self,
        found: impl Iterator<Item = &'f Found<T>>,
        tests: u64,
    ) -> Option<&'f Found<T>> {
        let mut best: [Option<&Found<T>>; 2] = [None, None];
        for one in found.filter(|found| Self::is_rare(found.ln_chance, tests)) {
            let is_caused = one.kinds.into_iter().any(Kind::may_be_caused);
            let best = &mut best[usize::from(is_caused)];
            if best.is_none_or(|best| one.ln_chance < best.ln_chance) {
                *best = Some(one);
            }
        }
        let [before, caused] = best;
        let allowed = |other: &Found<T>| self.wrong(other.with) + self.all.leaking / NEARLY;
        let is_as_good = |before: &&Found<T>| {
            caused.is_none_or(|caused| self.wrong(before.with) <= allowed(caused))
        };
        before.filter(is_as_good).or(caused)
    }

    /// The best facts of a kind among the rows of which it is `asked`, together with what makes those.
    fn look(&self, kind: Kind, asked: Option<&[bool]>) -> Looked {
        let is_asked = |at: usize| asked.is_none_or(|asked| asked[at]);
        let mut looked = match kind {
            Kind::Figure(figure) => {
                let order = self.orders.iter().find(|order| order.0 == figure);
                let order = order.into_iter().flat_map(|order| &order.1);
                let order = order.map(|at| *at as usize).filter(|at| is_asked(*at));
                self.cuts(figure, order)
            }
            _ => self.values(kind, is_asked),
        };
        looked
            .best
            .sort_by(|one, other| one.ln_chance.total_cmp(&other.ln_chance));
        looked.best.truncate(FIRST_OF_KIND);
        looked
    }

    fn found(&self, kind: Kind, test: Test, with: Both) -> Found<Test> {
        Found {
            test,
            kinds: [kind; 2],
            with,
            ln_chance: self.all.ln_chance(with),
        }
    }

    /// Each value is a fact.
    fn values(&self, kind: Kind, is_asked: impl Fn(usize) -> bool) -> Looked {
        let mut counts: FxHashMap<(u32, u32), Both> = FxHashMap::default();
        let rows = self.rows.iter().enumerate();
        for (_, row) in rows.filter(|(at, _)| is_asked(*at)) {
            if let Some(value) = kind.value(row) {
                counts.entry(value).or_default().add(row.leaks);
            }
        }
        let has_text = |value: (u32, u32)| match kind {
            Kind::Path(place) => (self.text)(place, value.1).is_some(),
            _ => true,
        };
        let mut counts: Vec<((u32, u32), Both)> = counts
            .into_iter()
            .filter(|(_, with)| self.testable.contains(&with.all()))
            .filter(|(value, _)| has_text(*value))
            .collect();
        counts.sort_unstable_by_key(|(value, _)| *value);
        let best = counts.iter();
        let best = best.map(|(value, with)| self.found(kind, Test::Value(kind, *value), *with));
        Looked {
            tests: counts.len() as u64,
            best: best.collect(),
        }
    }

    /// Each change of a sorted figure is two facts: from there on, and below.
    fn cuts(&self, figure: Figure, order: impl Iterator<Item = usize>) -> Looked {
        let mut groups: Vec<(u64, Both)> = Vec::new();
        for row in order.map(|at| &self.rows[at]) {
            let value = row.figure(figure).unwrap_or_default();
            if groups.last().is_none_or(|last| last.0 != value) {
                groups.push((value, Both::default()));
            }
            if let Some((_, of_value)) = groups.last_mut() {
                of_value.add(row.leaks);
            }
        }
        let mut looked = Looked::default();
        let below = groups.iter().zip(groups.iter().skip(1));
        let below = below.map(|(group, next)| (group.1, (group.0, next.0)));
        let less = |cut| Test::LessThan(figure, cut);
        self.one_way(figure, below, less, &mut looked);
        let above = groups.iter().rev().zip(groups.iter().rev().skip(1));
        let above = above.map(|(group, next)| (group.1, (next.0, group.0)));
        let more = |cut| Test::AtLeast(figure, cut);
        self.one_way(figure, above, more, &mut looked);
        looked
    }

    /// Takes more and more of a figure's values, from one end: what each has, and the values between which the cut is
    /// that comes after it.
    fn one_way(
        &self,
        figure: Figure,
        groups: impl Iterator<Item = (Both, (u64, u64))>,
        test: impl Fn(u64) -> Test,
        looked: &mut Looked,
    ) {
        let mut with = Both::default();
        let mut best: Option<(f64, Both, (u64, u64))> = None;
        for (of_value, between) in groups {
            with.leaking += of_value.leaking;
            with.others += of_value.others;
            if !self.testable.contains(&with.all()) {
                continue;
            }
            looked.tests += 1;
            // Where none of the last ones leaks, the cut before them was better.
            if of_value.leaking == 0 {
                continue;
            }
            let ln_chance = self.all.ln_chance(with);
            if best.is_none_or(|best| ln_chance < best.0) {
                best = Some((ln_chance, with, between));
            }
        }
        looked
            .best
            .extend(best.map(|(ln_chance, with, between)| Found {
                test: test(cut(figure, between)),
                kinds: [Kind::Figure(figure); 2],
                with,
                ln_chance,
            }));
    }

    /// Pairs that are better than either of their facts alone, by more than chance.
    fn pairs(&self, looked: &[Looked], tests: u64) -> Vec<Found<[Test; 2]>> {
        let mut firsts: Vec<&Found<Test>> =
            looked.iter().flat_map(|of_kind| &of_kind.best).collect();
        firsts.sort_by(|one, other| one.ln_chance.total_cmp(&other.ln_chance));
        firsts.truncate((ROWS / self.rows.len()).clamp(FIRST.0, FIRST.1));
        let mut found = Vec::new();
        for first in firsts {
            let holds: Vec<bool> = self.rows.iter().map(|row| first.test.holds(row)).collect();
            for kind in kinds().filter(|kind| *kind != first.kinds[0]) {
                for second in self.look(kind, Some(&holds)).best {
                    let adds = |all: Both| Self::is_rare(all.ln_chance(second.with), tests);
                    if !adds(first.with) {
                        continue;
                    }
                    let alone = self.with(second.test);
                    // Only of such is it known how many there are.
                    if self.testable.contains(&alone.all()) && adds(alone) {
                        let is_second = order(kind) > order(first.kinds[0]);
                        let (one, other) = (first.test, second.test);
                        found.push(Found {
                            test: match is_second {
                                true => [one, other],
                                false => [other, one],
                            },
                            kinds: [first.kinds[0], kind],
                            with: second.with,
                            ln_chance: second.ln_chance,
                        });
                    }
                }
            }
        }
        found
    }

    fn with(&self, test: Test) -> Both {
        let mut with = Both::default();
        let rows = self.rows.iter().filter(|row| test.holds(row));
        rows.for_each(|row| with.add(row.leaks));
        with
    }

    fn tell(&self, tests: &[Test], with: Both) -> Tell {
        Tell {
            facts: tests.iter().map(|test| self.fact(*test)).collect(),
            leaking: self.all.leaking,
            leaking_with: with.leaking,
            others: self.all.others,
            others_with: with.others,
        }
    }

    fn fact(&self, test: Test) -> Fact {
        match test {
            Test::AtLeast(figure, cut) => Fact::AtLeast(figure, cut),
            Test::LessThan(figure, cut) => Fact::LessThan(figure, cut),
            Test::Value(kind, (first, second)) => match kind {
                Kind::Gone => Fact::ClientGone,
                Kind::Path(place) => Fact::Path((self.text)(place, second).unwrap_or_default()),
                Kind::Nth => Fact::Nth(second.into()),
                Kind::Hour => Fact::Hour(second as u8),
                Kind::Thread => Fact::Thread(first, second),
                Kind::Status | Kind::Figure(_) => Fact::Status((first == 1).then_some(second)),
            },
        }
    }
}

#[cfg(test)]
mod tests;
