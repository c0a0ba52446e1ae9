//! How long survivors live, at one call site: of each group of requests (a label and a status), what was born,
//! what died, and after how long. A holding is born when its request ends with survivors, and dies when the last
//! of them is freed.

use super::log::Log;
use crate::requests::label::LabelId;
use crate::seldom::Empty;

/// Lives are counted in these ways.
pub const MEASURES: usize = 4;

/// How long something has lived: in requests of its process, in visits of its call site, in keepings of its own
/// group there, and in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    /// Requests that ended in the process.
    pub requests: u64,
    /// Requests that allocated at the call site.
    pub visits: u64,
    /// Requests of the group that left survivors there.
    pub keepings: u64,
    /// Ticks.
    pub time: u64,
}

impl Age {
    /// By measure.
    pub fn all(self) -> [u64; MEASURES] {
        [self.requests, self.visits, self.keepings, self.time]
    }

    /// Since `birth`.
    pub fn since(self, birth: Age) -> Age {
        Age {
            requests: self.requests.saturating_sub(birth.requests),
            visits: self.visits.saturating_sub(birth.visits),
            keepings: self.keepings.saturating_sub(birth.keepings),
            time: self.time.saturating_sub(birth.time),
        }
    }
}

/// A histogram of lives, by halves of powers of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lives {
    /// Classes with lives, sorted.
    classes: Vec<(u8, u64)>,
}

impl Lives {
    const NONE: Lives = Lives {
        classes: Vec::new(),
    };
}

impl Empty for [Lives; MEASURES] {
    const EMPTY: &'static Self = &[const { Lives::NONE }; MEASURES];
}

/// The class of a life, and the longest of a class.
fn class(life: u64) -> u8 {
    match life {
        0 => 0,
        life => {
            let whole = life.ilog2();
            let half = whole > 0 && life >> (whole - 1) & 1 == 1;
            (whole * 2 + 1 + u32::from(half)) as u8
        }
    }
}

fn longest(class: u8) -> u64 {
    match class {
        0 => 0,
        1 | 2 => 1,
        class => {
            let whole = u32::from(class - 1) / 2;
            let first = 1_u64 << whole;
            let half = first / 2;
            match (class - 1) % 2 {
                0 => first + half - 1,
                _ => first.saturating_mul(2) - 1,
            }
        }
    }
}

impl Lives {
    /// One more.
    pub fn add(&mut self, life: u64) {
        let class = class(life);
        match self.classes.binary_search_by_key(&class, |known| known.0) {
            Ok(at) => self.classes[at].1 += 1,
            Err(at) => self.classes.insert(at, (class, 1)),
        }
    }

    /// All of `other`, too.
    pub fn merge(&mut self, other: &Lives) {
        for (class, count) in &other.classes {
            match self.classes.binary_search_by_key(class, |known| known.0) {
                Ok(at) => self.classes[at].1 += count,
                Err(at) => self.classes.insert(at, (*class, *count)),
            }
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.classes.iter().map(|(_, count)| count).sum()
    }

    /// So long (rounded up) lives this part of them at most; 0 where there are none.
    pub fn percentile(&self, part: f64) -> u64 {
        self.shortest(self.count(), part)
    }

    /// The same without the longest of them, where that leaves some to tell.
    pub fn percentile_but_longest(&self, part: f64) -> u64 {
        const SOME: u64 = 8;
        match self.count() {
            count if count > SOME => self.shortest(count - 1, part),
            count => self.shortest(count, part),
        }
    }

    /// So long lives this part of the `count` shortest, at most.
    fn shortest(&self, count: u64, part: f64) -> u64 {
        let wanted = (count as f64 * part).ceil() as u64;
        let mut sum = 0;
        for (class, count) in &self.classes {
            sum += count;
            if sum >= wanted {
                return longest(*class);
            }
        }
        0
    }

    /// How many lived longer than `limit`, and how much longer in all, as near as the classes tell.
    pub fn above(&self, limit: u64) -> (u64, u64) {
        let longer = self
            .classes
            .iter()
            .filter(|(class, _)| longest(*class) > limit);
        longer.fold((0, 0), |(all, excess), (class, count)| {
            (all + count, excess + count * (longest(*class) - limit))
        })
    }

    /// Each class: the longest life in it, and how many.
    pub fn classes(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.classes
            .iter()
            .map(|(class, count)| (longest(*class), *count))
    }
}

/// What a group's requests left at a call site of a process.
#[derive(Clone, Debug)]
pub struct GroupLives {
    /// The label.
    pub label: LabelId,
    /// The status.
    pub status: Option<u32>,
    /// Births by the order of the requests' ends.
    pub births: Log,
    /// How many there were.
    pub keepings: u64,
    /// Lives of those that died, by measure.
    pub freed: [Lives; MEASURES],
}

/// All groups of a call site of a process.
#[derive(Clone, Debug, Default)]
pub struct SiteLives {
    /// Each group.
    pub groups: Vec<GroupLives>,
    /// Lives of what nothing proves to be a request's, freed after all that were in flight at its birth.
    pub unowned: [Lives; MEASURES],
    /// Sizes of blocks that were larger than all survivors before, by the order of their requests' ends.
    pub larger: Log,
    /// The largest survivor.
    largest: u64,
    /// How many were born.
    pub births: u64,
    /// Born and not dead.
    living: u64,
    /// The newest deaths: all that came at once.
    dying: MassDeath,
    /// The last time that most of what lived died at once: a collector ran, or something was flushed.
    pub mass_death: Option<MassDeath>,
}

impl SiteLives {
    /// How many lives are over.
    pub fn deaths(&self) -> u64 {
        let groups = self.groups.iter().map(|group| group.freed[0].count());
        groups.sum::<u64>() + self.unowned[0].count()
    }

    /// What died was nobody's survivor.
    pub fn forget_deaths(&mut self) {
        for group in &mut self.groups {
            group.freed = [const { Lives::NONE }; MEASURES];
        }
        self.unowned = [const { Lives::NONE }; MEASURES];
        self.mass_death = None;
    }
}

impl Empty for SiteLives {
    const EMPTY: &'static Self = &SiteLives {
        groups: Vec::new(),
        unowned: [const { Lives::NONE }; MEASURES],
        larger: Log::NONE,
        largest: 0,
        births: 0,
        living: 0,
        dying: MassDeath::NONE,
        mass_death: None,
    };
}

/// Deaths that come at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct MassDeath {
    /// When so many requests had ended.
    pub order: u64,
    /// How many.
    deaths: u64,
    /// The longest life among them, in requests.
    pub life: u64,
}

impl MassDeath {
    const NONE: MassDeath = MassDeath {
        order: 0,
        deaths: 0,
        life: 0,
    };
}

/// So many deaths at once, and as many as are left, are a mass death.
const MASS: u64 = 8;

impl SiteLives {
    /// Something is born to a request of this group, whose largest block has `size`; tells the group's place.
    pub(super) fn born(
        &mut self,
        (label, status): (LabelId, Option<u32>),
        order: u64,
        size: u64,
    ) -> usize {
        self.births += 1;
        if size > self.largest {
            self.largest = size;
            self.larger.level(order, size);
        }
        let known = self
            .groups
            .iter()
            .position(|group| (group.label, group.status) == (label, status));
        let place = known.unwrap_or_else(|| {
            self.groups.push(GroupLives {
                label,
                status,
                births: Log::default(),
                keepings: 0,
                freed: Default::default(),
            });
            self.groups.len() - 1
        });
        self.groups[place].births.add(order, 1);
        self.groups[place].keepings += 1;
        self.living += 1;
        place
    }

    /// The place of what is no group's.
    pub(super) const UNOWNED: u32 = u32::MAX;

    /// It dies, so old, when `order` requests have ended. `starts`: it was of the first requests, and how long it lived
    /// tells how slowly a server starts.
    pub(super) fn dies(&mut self, place: usize, age: Age, order: u64, starts: bool) {
        let freed = match self.groups.get_mut(place) {
            Some(group) => &mut group.freed,
            None => &mut self.unowned,
        };
        let [requests, visits, keepings, time] = freed;
        requests.add(age.requests);
        visits.add(age.visits);
        keepings.add(age.keepings);
        if !starts {
            time.add(age.time);
        }
        self.living = self.living.saturating_sub(1);
        if self.dying.order != order {
            self.dying = MassDeath {
                order,
                ..MassDeath::default()
            };
        }
        self.dying.deaths += 1;
        self.dying.life = self.dying.life.max(age.requests);
        if self.dying.deaths >= MASS && self.dying.deaths >= self.living {
            self.mass_death = Some(self.dying);
        }
    }
}

impl SiteLives {
    /// Something dies that nothing proves to be a request's, and of which only these ages are known: in requests and in
    /// time.
    pub(super) fn dies_unowned(&mut self, age: Age) {
        let [requests, _, _, time] = &mut self.unowned;
        requests.add(age.requests);
        time.add(age.time);
    }

    /// Those of another site, too.
    pub(super) fn absorb(&mut self, other: SiteLives) {
        // What is most of a few is not most of all: the larger one's mass death counts.
        let keepings = |lives: &SiteLives| lives.groups.iter().map(|of| of.keepings).sum::<u64>();
        if keepings(&other) > keepings(self) {
            self.mass_death = other.mass_death;
        }
        for group in other.groups {
            let same = |known: &&mut GroupLives| {
                (known.label, known.status) == (group.label, group.status)
            };
            match self.groups.iter_mut().find(same) {
                Some(known) => {
                    known.births.absorb(&group.births);
                    known.keepings += group.keepings;
                    let each = known.freed.iter_mut().zip(&group.freed);
                    each.for_each(|(sum, lives)| sum.merge(lives));
                }
                None => self.groups.push(group),
            }
        }
        let each = self.unowned.iter_mut().zip(&other.unowned);
        each.for_each(|(sum, lives)| sum.merge(lives));
        self.births += other.births;
        let mut steps: Vec<(u64, u64)> = self.larger.points().to_vec();
        steps.extend(other.larger.points());
        steps.sort_unstable();
        (self.larger, self.largest) = (Log::default(), 0);
        for (order, size) in steps {
            if size > self.largest {
                self.largest = size;
                self.larger.level(order, size);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_say() {
        for life in 0..5_000_u64 {
            let of = class(life);
            assert!(life <= longest(of), "{life}: class {of} to {}", longest(of));
            assert!(of == 0 || longest(of - 1) < life || life <= 1, "{life}");
            assert!(
                longest(of) <= life + life / 2 + 1,
                "{life}: {}",
                longest(of)
            );
        }
    }

    #[test]
    fn percentiles_are_rounded_up() {
        let mut lives = Lives::default();
        (0..98).for_each(|_| lives.add(10));
        (0..2).for_each(|_| lives.add(1_000));
        assert_eq!(lives.percentile(0.98), 11);
        let mut few = Lives::default();
        (0..9).for_each(|life| few.add(1 + 1000 * (life / 8)));
        assert!(few.percentile(0.98) > 1000);
        assert_eq!(few.percentile_but_longest(0.98), 1);
        assert_eq!(lives.above(11).0, 2);
    }

    #[test]
    fn how_slowly_a_server_starts_is_no_life() {
        let mut site = SiteLives::EMPTY.clone();
        let age = |time| Age {
            requests: 2,
            time,
            ..Age::default()
        };
        for order in 0..4 {
            let group = site.born((0, Some(200)), order, 64);
            let starts = order < 2;
            let time = if starts { 1_000_000 } else { 10 };
            site.dies(group, age(time), order + 2, starts);
        }
        let [requests, .., time] = &site.groups[0].freed;
        assert_eq!((requests.count(), time.count()), (4, 2));
        assert_eq!(time.percentile(1.0), 11);
    }
}
