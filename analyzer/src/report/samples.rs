//! Call sites as samples for other tools: what each holds, by endpoint, status, process, verdict and type. Sums over a
//! site's samples are the site's own figures: where it is not known which endpoint a part belongs to, a sample
//! without one has it.

use crate::analysis::{Analysis, Site, TypeRow, Verdict};
use crate::sample::Amount;
use crate::sites::{Memory, Sites};
use crate::trace::ProcessId;

/// One sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample<'a> {
    /// The label; `None`: of no request, or it is not known of which.
    pub(super) endpoint: Option<&'a str>,
    /// The status of the requests; `None`: of no request, or not known.
    pub(super) status: Option<Status>,
    /// Of whose call.
    pub(super) process: Option<ProcessId>,
    pub(super) verdict: Option<Verdict>,
    /// What the blocks are, where the site has blocks of one type only.
    pub(super) of_type: Option<&'a str>,
    /// Live when the exit began; at the end, where there was none.
    pub(super) live: Amount,
    /// Live when serving ended, of requests that had ended before.
    pub(super) retained: Amount,
    /// Live when their request ended.
    pub(super) survivors: Amount,
}

/// The status of an answer: its code, if it had one.
pub(super) type Status = Option<u32>;

/// The sites that profiles have: all but those of stacks, most of which is never touched.
pub(super) fn sampled<'a>(
    analysis: &'a Analysis,
    places: &Sites,
) -> impl Iterator<Item = &'a Site> {
    let sites = analysis.sites.iter();
    sites.filter(|site| places.memory(site.id) != Memory::Stack)
}

/// The samples of a site; none where it holds nothing.
pub(super) fn samples<'a>(analysis: &'a Analysis, site: &'a Site) -> Vec<Sample<'a>> {
    let of_type = only_type(&site.types);
    let label = |endpoint: u32| {
        let endpoint = analysis.endpoints.get(endpoint as usize);
        endpoint.map(|endpoint| endpoint.label.as_str())
    };
    let cells = site.cells.iter().map(|cell| Sample {
        endpoint: label(cell.endpoint),
        status: Some(cell.status),
        process: Some(cell.process),
        verdict: Some(cell.verdict),
        of_type,
        live: cell.before_exit,
        retained: cell.retained,
        survivors: cell.retained,
    });
    let mut samples: Vec<Sample<'a>> = cells.collect();
    let mut rest = less(site_live(site), samples.iter().map(|sample| sample.live));
    let outside = least(rest, site.outside_before_exit);
    rest = less(rest, std::iter::once(outside));
    samples.push(Sample {
        verdict: Some(site.outside_verdict),
        of_type,
        live: outside,
        ..Sample::default()
    });
    for open in &site.open {
        let live = least(rest, open.live);
        rest = less(rest, std::iter::once(live));
        samples.push(Sample {
            endpoint: label(open.endpoint),
            status: Some(None),
            verdict: Some(open.verdict),
            of_type,
            live,
            ..Sample::default()
        });
    }
    let survivors = Amount {
        blocks: site.survivor_blocks,
        bytes: site.survivor_bytes,
    };
    // Survivors that were freed while it served, and what of requests was live otherwise: it is not told whose.
    samples.push(Sample {
        of_type,
        live: rest,
        survivors: less(survivors, samples.iter().map(|sample| sample.survivors)),
        ..Sample::default()
    });
    samples.retain(|sample| !sample.is_empty());
    samples
}

impl Sample<'_> {
    fn is_empty(&self) -> bool {
        [self.live, self.retained, self.survivors]
            .iter()
            .all(|amount| amount.blocks == 0)
    }
}

/// What of a site was live when exits began.
fn site_live(site: &Site) -> Amount {
    site.before_exit
}

fn least(one: Amount, other: Amount) -> Amount {
    Amount {
        blocks: one.blocks.min(other.blocks),
        bytes: one.bytes.min(other.bytes),
    }
}

fn less(sum: Amount, parts: impl Iterator<Item = Amount>) -> Amount {
    parts.fold(sum, |sum, part| Amount {
        blocks: sum.blocks.saturating_sub(part.blocks),
        bytes: sum.bytes.saturating_sub(part.bytes),
    })
}

/// What the type of a block is called that was not read.
const UNKNOWN_TYPE: &str = "unknown";

fn only_type(types: &[TypeRow]) -> Option<&str> {
    match types {
        [only] if only.name != UNKNOWN_TYPE => Some(&only.name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn sums_are_the_sites() {
        for example in [example::leaking(), example::torn_down(), example::plain()] {
            for site in &example.analysis.sites {
                let samples = samples(&example.analysis, site);
                let sum = |of: fn(&Sample<'_>) -> Amount| {
                    samples.iter().map(of).map(|a| a.bytes).sum::<u64>()
                };
                assert_eq!(sum(|sample| sample.live), site.before_exit.bytes);
                assert_eq!(sum(|sample| sample.survivors), site.survivor_bytes);
            }
        }
    }
}
