//! What a group's figures say: how sure the verdict is, and why, in words.

use super::told::Told;
use super::{GroupEvidence, SLOWED, survival};
use crate::analysis::Verdict;
use crate::figures::{count, counted};

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

    /// How many of how many kept something.
    fn kept(&self) -> String {
        let requests = counted(self.requests, "request");
        let of_sample = if self.sampled {
            " that are in the sample"
        } else {
            ""
        };
        match self.in_times {
            true => format!(
                "some of {requests} kept blocks{of_sample}, {} in all",
                counted(self.retaining, "time")
            ),
            false => format!(
                "{} of {requests} kept blocks{of_sample}",
                count(self.retaining)
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
                // The more there are, the fewer tables are so large; none is ruled out.
                let alike = match self.is_sure() {
                    true => format!(
                        " (as of a table with room for more than {}, not full yet)",
                        count(self.retaining)
                    ),
                    false => String::new(),
                };
                format!("{kept} (leak: {}+); {lives}{alike}{trend}", self.needs)
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
