//! What call sites hold, as stacks with weights: what profiles of other tools are made of.

use super::What;
use super::calls::{Call, places};
use super::samples::{Sample, sampled, samples};
use crate::analysis::{Analysis, Site};
use crate::sites::Sites;
use crate::symbols::Symbolizer;

/// The samples of a call site that hold any bytes of what is wanted.
pub(super) struct Stack<'r> {
    pub(super) site: &'r Site,
    /// The outermost call first.
    pub(super) calls: Vec<Call>,
    /// Never empty; the bytes are never 0.
    pub(super) weights: Vec<(Sample<'r>, u64)>,
}

/// The stacks of all call sites that hold any.
pub(super) fn stacks<'r>(
    analysis: &'r Analysis,
    sites: &'r Sites,
    symbolizer: &mut Symbolizer<'_>,
    what: What,
    mut each: impl FnMut(Stack<'r>),
) {
    for site in sampled(analysis, sites) {
        let weighed = samples(analysis, site).into_iter().map(|sample| {
            let bytes = what.of(&sample).bytes;
            (sample, bytes)
        });
        let weights: Vec<(Sample<'r>, u64)> = weighed.filter(|(_, bytes)| *bytes > 0).collect();
        // Names are sought only where they are shown.
        if weights.is_empty() {
            continue;
        }
        let places = places(sites, symbolizer, site.id).into_iter();
        let mut calls: Vec<Call> = places.flat_map(|place| place.calls).collect();
        calls.reverse();
        each(Stack {
            site,
            calls,
            weights,
        });
    }
}
