//! The causes that a call site's blocks may have, and how likely each makes them.

use super::flight::{Lag, Sweep};
use super::groups::{Groups, Key};
use super::moments::{Hint, Moments, hinted};
use super::rivals::Scenes;
use super::site::Observation;
use super::stage::{EVEN, Stages};
use crate::requests::record::Record;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Component {
    /// No request: as likely at any time.
    Time,
    /// No request: as likely as there is much in flight.
    Load,
    /// No request: as likely whenever anything is in flight.
    Busy,
    /// No request: as likely as many have just ended.
    Ended(Lag),
    /// A request of the key's that is in flight.
    Flight(Key),
    /// The same, where blocks come in a phase of the work: how much is in flight then says nothing, only which.
    Phase(Key),
    /// The same, by the stages at which requests are.
    Stage(Key),
    /// The request that is the hint.
    Hinted(Hint, Key),
    /// A request of the key's that ended so shortly before.
    After(Lag, Key),
}

impl Component {
    /// Whether more of it in flight makes more blocks.
    pub(super) fn is_by_flight(self) -> bool {
        matches!(
            self,
            Component::Load | Component::Flight(_) | Component::Phase(_) | Component::Stage(_)
        )
    }

    /// By which hint it explains blocks, if by one.
    pub(super) fn hint(self) -> Option<Hint> {
        match self {
            Component::Hinted(hint, _) => Some(hint),
            _ => None,
        }
    }

    pub(super) fn key(self) -> Option<Key> {
        match self {
            Component::Time | Component::Load | Component::Busy | Component::Ended(_) => None,
            Component::Flight(key)
            | Component::Phase(key)
            | Component::Stage(key)
            | Component::Hinted(_, key)
            | Component::After(_, key) => Some(key),
        }
    }
}

/// What is known of all requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'s> {
    /// Labels and statuses.
    pub(super) groups: &'s Groups,
    /// What was in flight, by process.
    pub(super) sweeps: &'s [Sweep],
    /// What hints there were, by process.
    pub(super) moments: &'s [Moments],
    /// What was seen at other moments, by process.
    pub(super) scenes: &'s Scenes,
    /// At which stage requests make blocks, where that is known.
    pub(super) stages: Option<&'s Stages>,
    /// All requests.
    pub(super) records: &'s [Record],
    /// What a component must explain to be chosen, see [`super::needed_gain`].
    pub(super) needed: f64,
}

/// Everything that ratios come from.
pub(super) struct Ratios<'r> {
    pub(super) groups: &'r Groups,
    pub(super) sweep: &'r Sweep,
    pub(super) moments: &'r Moments,
    pub(super) stages: Option<&'r Stages>,
    pub(super) records: &'r [Record],
}

impl Ratios<'_> {
    /// How many of the key's requests were in flight.
    fn of_key(&self, key: Key, observation: &Observation) -> u32 {
        let flight = observation.flight.iter();
        let of_key = flight.filter(|(group, _)| self.groups.contains(key, *group));
        of_key.map(|(_, count)| count).sum()
    }

    /// How likely a request of the key's is the one of those in flight for which blocks are made, by their stages.
    fn staged(&self, stages: &Stages, key: Key, observation: &Observation) -> f64 {
        let (mut own, mut all) = (0.0, 0.0);
        for (request, weight) in
            stages.weighed(&observation.requests, observation.born, self.records)
        {
            all += weight;
            if self.groups.has(key, request) {
                own += weight;
            }
        }
        own / all
    }

    /// How much more likely the observation's circumstances are if the component made its blocks.
    pub(super) fn of(&self, component: Component, observation: &Observation) -> f64 {
        let born = observation.around();
        match component {
            Component::Time => 1.0,
            Component::Load => {
                f64::from(observation.in_flight()) / self.sweep.mean_of_all(born).max(TINY)
            }
            Component::Busy => match observation.in_flight() {
                0 => 0.0,
                _ => 1.0 / self.sweep.busy(born).max(TINY),
            },
            Component::Ended(lag) => {
                let all: u32 = observation.ended[lag as usize]
                    .iter()
                    .map(|(_, count)| count)
                    .sum();
                f64::from(all) / self.sweep.mean_of_all_ended(born, lag).max(TINY)
            }
            Component::Flight(key) => match self.of_key(key, observation) {
                0 => 0.0,
                // It is in flight now: on average there is more than nothing.
                count => f64::from(count) / self.sweep.mean(born, key, self.groups).max(TINY),
            },
            Component::Phase(key) => match self.of_key(key, observation) {
                0 => 0.0,
                count => {
                    let share = f64::from(count) / f64::from(observation.in_flight());
                    share / self.sweep.mean_share(born, key, self.groups).max(TINY)
                }
            },
            Component::Stage(key) => match (self.of_key(key, observation), self.stages) {
                (0, _) | (_, None) => 0.0,
                (_, Some(stages)) => {
                    let means = &stages.means[self.sweep.process() as usize];
                    let mean = self.sweep.mean_of(means, born, key, self.groups);
                    let staged = self.staged(stages, key, observation) / mean.max(TINY);
                    (1.0 - EVEN) * staged + EVEN * self.of(Component::Phase(key), observation)
                }
            },
            Component::After(lag, key) => {
                let ended = observation.ended[lag as usize].iter();
                let of_key = ended.filter(|(group, _)| self.groups.contains(key, *group));
                let count: u32 = of_key.map(|(_, count)| count).sum();
                match count {
                    0 => 0.0,
                    count => {
                        f64::from(count)
                            / self.sweep.mean_ended(born, lag, key, self.groups).max(TINY)
                    }
                }
            }
            Component::Hinted(hint, key) => {
                let hinted = hinted(observation, hint);
                match hinted.is_some_and(|hinted| self.groups.has(key, hinted)) {
                    true => {
                        let share = self
                            .moments
                            .share(hint, observation.hints, key, self.groups);
                        // What a request's task or thread does while that is in flight comes then alone.
                        let within = hint == Hint::Task && self.of_key(key, observation) > 0;
                        let time = match within {
                            true => self.of(Component::Load, observation),
                            false => 1.0,
                        };
                        time / share.max(TINY)
                    }
                    false => 0.0,
                }
            }
        }
    }
}

/// No mean and no share is taken for less.
const TINY: f64 = 1e-3;
