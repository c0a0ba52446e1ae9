//! The result in a sentence or two, before all else: which endpoint, on which answers, how much, of what.

use super::endpoints::{has_untold_growth, how_many, is_unsure, with};
use super::labels::name;
use super::leaking::{Leaking, at_least};
use super::left::left;
use super::page::{Ink, Page};
use super::rows;
use super::table::cut;
use super::undecided::{self, Undecided};
use crate::analysis::{Analysis, Endpoint, StatusFigures, TypeRow, Verdict};
use crate::escape::escaped;
use crate::figures::{bytes, count, counted, share};
use crate::report::{Input, is_complete};

/// Columns of a type's name in a sentence.
const MOST_NAME: usize = 44;
/// A class of the program's is named where it is this part of all, also before a larger type of the language's.
const TELLING: u64 = 20;
/// Most is more than this part.
const MOST_OF_IT: u64 = 2;

/// What a sentence of the result is for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Tone {
    /// It leaks.
    Bad,
    /// It can't be told.
    Warn,
    /// Nothing leaks, and that is sure.
    Good,
    /// Nothing leaks as far as is known.
    Plain,
}

impl Tone {
    fn style(self, ink: Ink) -> anstyle::Style {
        match self {
            Tone::Bad => ink.bad,
            Tone::Warn => ink.warn,
            Tone::Good => ink.good,
            Tone::Plain => ink.strong,
        }
    }
}

/// Writes it.
pub(super) fn write(page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>]) {
    for (tone, text) in sentences(input, leaking) {
        page.paragraph("", tone.style(page.ink), &text);
    }
}

/// The result, a paragraph each.
pub(super) fn sentences(input: &Input<'_>, leaking: &[Leaking<'_>]) -> Vec<(Tone, String)> {
    if input.analysis.requests.is_empty() {
        return Vec::new();
    }
    let growth = &input.analysis.growth;
    let leaked: u64 = leaking.iter().map(|leaking| leaking.bytes).sum();
    let mut all = match leaks(input, leaking) {
        Some(text) => vec![(Tone::Bad, text)],
        None => vec![nothing(input)],
    };
    if !growth.is_explained() {
        let first = growth.undecided_bytes() > leaked;
        let at = if first { 0 } else { all.len() };
        all.insert(at, (Tone::Warn, undecided(input)));
    }
    if let Some(found) = input.analysis.memory.untold() {
        all.push((Tone::Warn, rows::untold(&found)));
    }
    if let Some(found) = input.analysis.memory.fragmentation() {
        all.push((Tone::Warn, rows::fragmentation(found)));
    }
    all
}

fn leaks(input: &Input<'_>, leaking: &[Leaking<'_>]) -> Option<String> {
    let all = input.analysis.endpoints.len();
    let grows = |of: &&Leaking<'_>| of.endpoint.verdict == Verdict::GrowingBuffer;
    let (growing, leaking): (Vec<_>, Vec<_>) = leaking.iter().partition(grows);
    let most = |of: &[&Leaking<'_>]| of.first().map_or(String::new(), |most| told(input, most));
    let sum = |of: &[&Leaking<'_>]| input.estimate(of.iter().map(|leaking| leaking.bytes).sum());
    let requests = || {
        leaking
            .iter()
            .map(|leaking| leaking.endpoint.leaking_requests)
            .sum()
    };
    let mut text = match (leaking.len(), all) {
        (0, _) => String::new(),
        (1, 1) => format!("The only endpoint leaks: {}", most(&leaking)),
        (1, _) => format!("1 of {all} endpoints leaks: {}", most(&leaking)),
        (some, _) => format!(
            "{some} of {all} endpoints leak: {}{} left {} behind. Most of it: {}",
            at_least(input),
            counted(requests(), "request"),
            sum(&leaking),
            most(&leaking)
        ),
    };
    if !leaking.is_empty() && leaking.iter().all(|of| is_unsure(of.endpoint)) {
        text += " More requests would make that sure.";
    }
    // What grows may be a buffer that will be full.
    text += &match (growing.len(), leaking.len(), all) {
        (0, ..) => String::new(),
        (1, 0, 1) => format!(
            "The only endpoint has a buffer that grows: {}",
            most(&growing)
        ),
        (1, 0, _) => format!(
            "1 of {all} endpoints has a buffer that grows: {}",
            most(&growing)
        ),
        (some, 0, _) => format!(
            "{some} of {all} endpoints have buffers that grow, {} together. Most of it: {}",
            sum(&growing),
            most(&growing)
        ),
        (1, ..) => format!(" 1 more has a buffer that grows ({}).", sum(&growing)),
        (some, ..) => format!(" {some} more have buffers that grow ({}).", sum(&growing)),
    };
    (!text.is_empty()).then_some(text)
}

/// What an endpoint leaks, in a sentence.
fn told(input: &Input<'_>, leaking: &Leaking<'_>) -> String {
    let endpoint = leaking.endpoint;
    if endpoint.leaking_requests == 0 && endpoint.open_leaked.blocks > 0 {
        let (have, hold) = match endpoint.open_requests {
            1 => ("has", "holds"),
            _ => ("have", "hold"),
        };
        return format!(
            "{}. {} that {have} not ended {hold} {}, and ever more{}.",
            name(input, endpoint),
            counted(endpoint.open_requests, "request"),
            input.estimate(leaking.bytes),
            among(&endpoint.types)
        );
    }
    // Where all were answered so, that is nothing of those that leak.
    let status = answered(endpoint).filter(|status| status.requests < endpoint.requests);
    let which = match status {
        Some(status) if status.leaking_requests == status.requests => {
            format!("{} answered {}", all_of(status), code(status))
        }
        Some(status) => format!(
            "{} of {} answered {}",
            how_many(endpoint),
            count(status.requests),
            code(status)
        ),
        None if endpoint.leaking_requests_range == [endpoint.requests; 2] => "all".to_owned(),
        None => how_many(endpoint),
    };
    format!(
        "{}. Of its {} {which} left {} behind{}.",
        name(input, endpoint),
        counted(endpoint.requests, "request"),
        left(input, leaking),
        among(&endpoint.types)
    )
}

/// The one status whose answers leak, if others don't and it is known how many do.
fn answered(endpoint: &Endpoint) -> Option<&StatusFigures> {
    let [low, high] = endpoint.leaking_requests_range;
    let mut leaking = endpoint.statuses.iter();
    let first = leaking.find(|status| status.leaking_requests > 0)?;
    let only = leaking.all(|status| status.leaking_requests == 0);
    (only && first.status.is_some() && low >= high.min(first.requests)).then_some(first)
}

fn all_of(status: &StatusFigures) -> String {
    match status.requests {
        1 => "the one".to_owned(),
        number => format!("the {}", count(number)),
    }
}

fn code(status: &StatusFigures) -> String {
    status
        .status
        .map_or_else(|| "nothing".to_owned(), |code| code.to_string())
}

/// The type that tells most of what is left, in words.
fn among(types: &[TypeRow]) -> String {
    let unread = types.iter().find(|row| row.name == "unknown");
    let Some(row) = telling(types) else {
        return String::new();
    };
    let more = match unread.is_some_and(|unread| unread.blocks >= row.blocks) {
        true => "at least ",
        false => "",
    };
    format!(
        ", {more}{} {} among it",
        count(row.blocks),
        cut(&escaped(&row.name), MOST_NAME)
    )
}

/// The largest class that has a module or a namespace, and so is no plain one of the language; else the largest of
/// all that are known.
fn telling(types: &[TypeRow]) -> Option<&TypeRow> {
    let known = || types.iter().filter(|row| row.name != "unknown");
    let whole: u64 = known().map(|row| row.bytes).sum();
    let is_own = |row: &&TypeRow| {
        // A part of an object (its attributes) is not told before the object.
        let plain = row.name.ends_with(')') || !row.name.contains(['.', ':']);
        !plain && row.bytes.saturating_mul(TELLING) >= whole
    };
    known().find(is_own).or_else(|| known().next())
}

/// What can't be told yet, where that is a good part of the growth.
fn undecided(input: &Input<'_>) -> String {
    let growth = &input.analysis.growth;
    let all = undecided::all(input);
    let first = format!(
        "Can't be told yet: {} of the {} that live memory grew by while serving",
        bytes(growth.undecided_bytes().min(growth.bytes())),
        bytes(growth.bytes())
    );
    match most_undecided(input, &all) {
        Some(text) => format!("{first}. {text}"),
        None => format!("{first}. More requests, or a longer run, would tell."),
    }
}

/// Whose most of it is, or what.
fn most_undecided(input: &Input<'_>, all: &Undecided<'_>) -> Option<String> {
    if let Some(carved) = carved(input, all.bytes()) {
        return Some(carved);
    }
    let (endpoint, sum) = all.by_endpoint.iter().max_by_key(|(_, sum)| **sum)?;
    let endpoint = input.analysis.endpoints.get(*endpoint as usize)?;
    if sum.saturating_mul(MOST_OF_IT) < all.bytes() {
        let owner = "No request could be told to be the owner of it";
        return Some(format!("{owner}{}. {}", among(&all.types()), more(all)));
    }
    let status = endpoint
        .statuses
        .iter()
        .max_by_key(|status| status.retained_bytes)?;
    let (which, left) = match status.retained_bytes.saturating_mul(MOST_OF_IT) > *sum {
        true if status.status.is_some() => (
            format!("{} answered {}", all_of(status), code(status)),
            status.retained_bytes,
        ),
        _ => ("some".to_owned(), *sum),
    };
    Some(format!(
        "Most of it: {}. Of its {} {which} left {} behind{}. {}",
        name(input, endpoint),
        counted(endpoint.requests, "request"),
        input.estimate(left),
        among(&all.types()),
        more(all)
    ))
}

/// Most of so many bytes is what a module maps to give out parts of it.
fn carved(input: &Input<'_>, undecided: u64) -> Option<String> {
    let first = input.analysis.carved.first()?;
    let all: u64 = input.analysis.carved.iter().map(|of| of.bytes).sum();
    let name = first.path.rsplit('/').next().unwrap_or(&first.path);
    (all.saturating_mul(MOST_OF_IT) > undecided).then(|| {
        format!(
            "Most of it: memory that {} maps to give out parts of it. It grows; which requests keep that can't be told by \
             mappings, nor by more requests.",
            escaped(name)
        )
    })
}

/// How many more requests would do.
fn more(all: &Undecided<'_>) -> String {
    match all.needed() {
        None => "A longer run would tell.".to_owned(),
        Some(1) => "At least 1 more like them is needed to tell.".to_owned(),
        Some(needed) => format!(
            "At least {} more like them are needed to tell.",
            count(needed)
        ),
    }
}

/// What can be said where no endpoint leaks. `sure`: nothing is undecided; `whole`: all was recorded; `elsewhere`: memory
/// grows of which no request is the owner.
fn conclusion(
    analysis: &Analysis,
    (sure, whole, elsewhere): (bool, bool, bool),
    checked: &str,
) -> (Tone, String) {
    let growth = &analysis.growth;
    match (sure, elsewhere) {
        (true, _) => (Tone::Good, format!("No leak: {checked}.")),
        (false, true) if has_untold_growth(analysis) => (
            Tone::Warn,
            format!(
                "No request is known to leak, but memory grows of which no request could be told to be the owner \
                 (below): {checked}."
            ),
        ),
        (false, true) => (
            Tone::Warn,
            format!(
                "No request is known to leak, but memory grows outside requests (below): {checked}."
            ),
        ),
        (false, false) if !growth.is_explained() => (
            Tone::Plain,
            format!("No endpoint is known to leak so far: {checked}."),
        ),
        (false, false) if growth.undecided_bytes() > 0 => (
            Tone::Plain,
            format!(
                "{}: {checked}. Too early to tell of {}, {} of what is live.",
                match whole && growth.is_all_told() {
                    true => "No leak found",
                    false => "No endpoint is known to leak",
                },
                bytes(growth.undecided_bytes()),
                share(growth.undecided_bytes(), growth.to_bytes)
            ),
        ),
        (false, false) => (
            Tone::Plain,
            format!("No endpoint is known to leak, as far as can be told: {checked}."),
        ),
    }
}

/// No endpoint leaks: says so, and what that rests on.
fn nothing(input: &Input<'_>) -> (Tone, String) {
    let analysis = input.analysis;
    let ended = analysis.requests.iter().filter(|r| r.end_ns.is_some());
    let requests: u64 = ended.map(|request| u64::from(request.count)).sum();
    let grown = analysis.grown_outside();
    let growth = &analysis.growth;
    let elsewhere = grown.is_some_and(|bytes| !growth.is_next_to_nothing(bytes));
    let unsure = with(analysis, |verdict| verdict == Verdict::TooFewRequests).count();
    let whole = is_complete(input.facts) && input.facts.sample_bytes == 0;
    let whole = whole && grown.is_none() && analysis.memory.untold().is_none();
    let sure = unsure == 0 && whole && growth.is_all_told();
    let checked = format!(
        "{} of {} checked, {} followed",
        counted(requests, "request"),
        counted(analysis.endpoints.len() as u64, "endpoint"),
        counted(analysis.totals.allocations, "allocation"),
    );
    let (tone, mut text) = conclusion(analysis, (sure, whole, elsewhere), &checked);
    if let Some(bytes) = grown.filter(|_| !elsewhere) {
        let whose = match has_untold_growth(analysis) {
            true => "of which no request could be told to be the owner",
            false => "outside requests",
        };
        text += &format!(" {} grew {whose} (below).", crate::figures::bytes(bytes));
    }
    (tone, text)
}
