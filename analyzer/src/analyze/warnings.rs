//! What the report warns of that shows only after the whole trace was read.

use crate::asked::Sent;
use crate::figures::counted;
use crate::ledger::Finished;
use crate::requests::label::{MAX_LABELS, OTHER};
use crate::trace::Warning;

/// That values of headers are not known to their ends.
pub(super) fn cut_headers(sent: &Sent) -> Option<Warning> {
    let cut = sent.cut();
    let (names, counts): (Vec<&str>, Vec<u64>) = cut.into_iter().unzip();
    (!names.is_empty()).then(|| Warning {
        code: "headers_cut".to_string(),
        text: format!(
            "{} of {} longer than is recorded: only the first bytes are known, and they name no request",
            counted(counts.iter().sum(), "value"),
            names.join(", ")
        ),
    })
}

/// What the ends of processes say, and labels that were folded; `known` is what the trace warns of.
pub(super) fn warnings(
    ended: &[(Finished, usize)],
    overflowed: bool,
    known: &[Warning],
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if overflowed {
        warnings.push(Warning {
            code: "labels_folded".to_string(),
            text: format!(
                "there are more than {MAX_LABELS} labels, the rest is {OTHER}; fold paths with --route, \
                 for example --route '/users/*'"
            ),
        });
    }
    // What is known of them already stands there, too.
    let cause = match known.iter().any(|warning| warning.code == "bypassed") {
        true => "they are those of libraries that call the C library directly",
        false => {
            "look for libraries that call the C library directly (opened with RTLD_DEEPBIND, as PHP's are), for an \
             allocator of the program's own, or for dropped events"
        }
    };
    let missed: u64 = ended.iter().map(|(end, _)| end.counts.missed_frees).sum();
    if missed > 0 {
        warnings.push(Warning {
            code: "missed_frees".to_string(),
            text: format!(
                "{missed} blocks were allocated where another one was still live: frees that libleak did \
                 not see; {cause}"
            ),
        });
    }
    warnings
}
