//! A trace that is watched: what was read of it, and what that is compared with.

use std::time::Instant;

use crate::trace::{Ended, Outcome};
use crate::watch::live::{Live, Reached};
use crate::watch::options::{Options, Since};
use crate::watch::plain::Heading;
use crate::watch::standing::Standing;
use crate::watch::target;
use crate::watch::verdicts::Judge;
use crate::watch::view::{self, Input, Names, View};

/// A trace that is watched.
pub(super) struct Watch {
    pub(super) live: Live,
    pub(super) name: String,
    pub(super) since: Since,
    pub(super) names: Names,
    pub(super) judge: Judge,
}

impl Watch {
    pub(super) fn begin(options: &Options) -> Result<Watch, String> {
        let target = target::find(&options.target)?;
        let mark = match &options.since {
            Since::Mark(label) => Some(label.clone()),
            Since::Start | Since::Now => None,
        };
        let live = Live::open(&target.path, &options.requests, mark);
        Ok(Watch {
            live: live.map_err(|error| error.to_string())?,
            name: target.name,
            since: options.since.clone(),
            names: Names::default(),
            judge: Judge::new(&target.path, options.arguments.clone()),
        })
    }

    pub(super) fn read_on(&mut self, deadline: Instant) -> Result<Reached, String> {
        let reached = self.live.read_on(deadline);
        reached.map_err(|error| error.to_string())
    }

    /// How things stand, for a viewer; the next look is compared with this one.
    pub(super) fn look(&mut self) -> View {
        let now = self.live.standing();
        let baselines = &mut self.live.replay.baselines;
        if baselines.first.is_none() && self.since == Since::Now {
            baselines.first = Some(now.to_compare());
        }
        let view = self.view(&now);
        self.live.replay.baselines.before = Some(now.to_compare());
        view
    }

    pub(super) fn view(&mut self, now: &Standing) -> View {
        // What is named is remembered; the rest of the watch is only looked at.
        let mut names = std::mem::take(&mut self.names);
        let baselines = &self.live.replay.baselines;
        let input = Input {
            live: &self.live,
            now,
            base: self.base(),
            // At the first look all that has changed has changed this time.
            before: baselines.before.as_ref().or(self.base()),
            verdicts: self.judge.verdicts.as_ref(),
        };
        let view = view::view(&input, &mut names);
        self.names = names;
        view
    }

    /// What is compared with; `None`: nothing was there.
    fn base(&self) -> Option<&Standing> {
        let baselines = &self.live.replay.baselines;
        let wanted = match self.since {
            Since::Start => None,
            Since::Now => baselines.first.as_ref(),
            Since::Mark(_) => baselines.marked.as_ref(),
        };
        let chosen = baselines.chosen.as_ref();
        chosen.or(wanted).or(baselines.start.as_ref())
    }

    pub(super) fn heading(&self) -> Heading {
        let facts = self.live.facts();
        let first = facts.processes.first();
        let words = first.map(|first| first.arguments.iter().take(2));
        // Without folders: what it is called matters, and there is little room.
        let words = words.into_iter().flatten();
        let words = words.map(|word| word.rsplit('/').next().unwrap_or(word));
        let program = words.collect::<Vec<_>>().join(" ");
        let baselines = &self.live.replay.baselines;
        Heading {
            name: match first.filter(|_| !program.is_empty()) {
                Some(first) => format!("{program} (pid {})", first.pid),
                None => self.name.clone(),
            },
            since: match (&baselines.chosen, &self.since) {
                (Some(_), _) => "the new baseline".to_owned(),
                (None, Since::Now) => "now".to_owned(),
                (None, Since::Mark(label)) if baselines.marked.is_some() => format!("mark {label}"),
                (None, Since::Mark(label)) => format!("start, as mark {label} has not come"),
                (None, Since::Start) => "start".to_owned(),
            },
            started_at_ns: facts.started_at_ns,
        }
    }

    /// How recording has ended, in a word of the JSON's, and in a line.
    pub(super) fn ended(&self) -> (&'static str, String) {
        let facts = self.live.facts();
        let (word, text) = match facts.ended {
            Ended::Complete => ("complete", "the program has ended"),
            Ended::Killed => ("killed", "the program was killed"),
            Ended::DiskFull => ("disk_full", "recording has ended: the disk is full"),
            Ended::Limit => ("limit", "recording has ended at LEAK_MAX_TRACE"),
            Ended::Recording | Ended::Truncated => (
                "truncated",
                "the trace was cut short, or its recorder killed",
            ),
        };
        let first = facts.processes.first().map(|first| first.outcome);
        let status = match first {
            Some(Outcome::Exit(Some(code))) => format!(" with status {code}"),
            _ => String::new(),
        };
        let text = format!("{text}{status}; leak-analyze {} has the report", self.name);
        (word, text)
    }
}
