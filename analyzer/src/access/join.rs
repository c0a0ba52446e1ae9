//! Which request a line is of. By an id that both have; else by time, method, path and status, where only one request
//! can be meant, and no other line may mean that one.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};

use super::form::parse;
use super::group::{Group, Span};
use super::line::Line;
use super::{AccessLog, Entry};
use crate::analysis::{Analysis, Request, Source};
use crate::asked::ids;
use crate::trace::Facts;

/// How far clocks may be apart, and lines be written before or after their requests.
const SLACK_NS: u64 = 1_000_000_000;
/// A recorded head of so many bytes may have been longer.
const MAYBE_CUT: usize = 254;

/// Joins the lines of a log to requests, of which the paths have to be known.
pub fn join<'l>(
    facts: &Facts,
    analysis: &Analysis,
    lines: impl Iterator<Item = Cow<'l, str>>,
) -> AccessLog {
    let mut join = Join::new(facts, analysis);
    for text in lines.filter(|text| !text.trim().is_empty()) {
        match parse(&text) {
            Some(line) => join.line(line),
            None => join.log.counts.unread += 1,
        }
    }
    join.finish()
}

/// A head, by its text's place; `None`: not known. And a status, `None`: without an answer.
type Key = (Option<u32>, Option<u32>);

struct Join<'a> {
    facts: &'a Facts,
    analysis: &'a Analysis,
    heads: FxHashMap<&'a str, u32>,
    groups: FxHashMap<Key, Group>,
    /// Requests by what they are called.
    named: FxHashMap<&'a str, Vec<usize>>,
    /// Lines that have an id which one request has, by the request.
    by_id: FxHashMap<usize, Vec<Line>>,
    /// Requests of which an id was met more than once.
    contested: FxHashSet<usize>,
    /// Lines that are to be told by time.
    others: Vec<Line>,
    log: AccessLog,
}

impl<'a> Join<'a> {
    fn new(facts: &'a Facts, analysis: &'a Analysis) -> Join<'a> {
        let texts = analysis.asked.texts.iter().map(String::as_str);
        let mut named: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
        for id in 0..analysis.requests.len() {
            for name in ids(analysis.asked.sent.of(id)) {
                let all = named.entry(name).or_default();
                if all.last() != Some(&id) {
                    all.push(id);
                }
            }
        }
        Join {
            facts,
            analysis,
            heads: texts.zip(0..).collect(),
            groups: FxHashMap::default(),
            named,
            by_id: FxHashMap::default(),
            contested: FxHashSet::default(),
            others: Vec::new(),
            log: AccessLog::default(),
        }
    }

    fn line(&mut self, line: Line) {
        let stretch = line.when.map(|(from, to)| self.stretch_of(from, to));
        if stretch.is_some_and(|stretch| stretch.is_none()) {
            self.log.counts.outside += 1;
            return;
        }
        let ids = line.request_id.iter().chain(&line.words);
        let mut hits: Vec<usize> = Vec::new();
        for id in ids {
            hits.extend(self.named.get(id.as_str()).into_iter().flatten());
        }
        hits.sort_unstable();
        hits.dedup();
        if hits.is_empty() {
            self.others.push(line);
            return;
        }
        let fitting: Vec<usize> = hits
            .into_iter()
            .filter(|id| self.fits(&line, *id))
            .collect();
        match fitting[..] {
            [] => self.log.counts.unknown += 1,
            [only] if self.analysis.requests[only].count <= 1 => {
                self.by_id.entry(only).or_default().push(line);
            }
            _ => {
                self.log.counts.ambiguous += 1;
                self.contested.extend(fitting);
            }
        }
    }

    /// Whether a line that has the request's id says nothing else that goes against it.
    fn fits(&self, line: &Line, id: usize) -> bool {
        let request = &self.analysis.requests[id];
        let head = self.analysis.asked.of(id).map(|(head, _)| head);
        let same_head = match (&line.head, head) {
            (Some(line), Some(head)) => same(line, head),
            _ => true,
        };
        let same_status =
            line.status.is_none() || request.status.is_none() || line.status == request.status;
        same_head && same_status
    }

    /// When in the recorded time, with the slack; `None`: not in it.
    fn stretch_of(&self, from: u64, to: u64) -> Option<Span> {
        let (start, duration) = (self.facts.started_at_ns, self.facts.duration_ns);
        let past = to.saturating_add(SLACK_NS).checked_sub(start)?;
        let from = from.saturating_sub(SLACK_NS).saturating_sub(start);
        (from <= duration).then_some((from, past))
    }

    fn finish(mut self) -> AccessLog {
        for (id, lines) in std::mem::take(&mut self.by_id) {
            match <[Line; 1]>::try_from(lines) {
                Ok([line]) if !self.contested.contains(&id) => {
                    self.log.counts.by_id += 1;
                    self.log.of.insert(id, entry(line));
                }
                Ok(_) => self.log.counts.ambiguous += 1,
                Err(lines) => {
                    self.log.counts.ambiguous += lines.len() as u64;
                    self.contested.insert(id);
                }
            }
        }
        self.make_groups();
        let lines = std::mem::take(&mut self.others);
        let told: Vec<Option<(Key, usize)>> = lines.iter().map(|line| self.only(line)).collect();
        let claims = self.claims();
        for (line, at) in lines.into_iter().zip(told) {
            let Some((key, place)) = at else { continue };
            let id = self.groups[&key].requests[place];
            match claims[&key][place] {
                1 => {
                    self.log.counts.by_time += 1;
                    self.log.of.insert(id, entry(line));
                }
                _ => self.log.counts.ambiguous += 1,
            }
        }
        self.log
    }

    /// The requests that have no line yet, in groups.
    fn make_groups(&mut self) {
        for (id, request) in self.analysis.requests.iter().enumerate() {
            if request.source != Source::Http || self.log.of.contains_key(&id) {
                continue;
            }
            let asked = self.analysis.asked.of.get(id).copied().flatten();
            let head = asked.map(|asked| asked.head).filter(|head| {
                let text = self.analysis.asked.texts.get(*head as usize);
                text.is_some_and(|text| text.len() < MAYBE_CUT)
            });
            let span = self.span(request);
            let group = self.groups.entry((head, request.status)).or_default();
            group.push(id, span);
        }
        for group in self.groups.values_mut() {
            group.lines = vec![0; group.requests.len() + 1];
        }
    }

    fn span(&self, request: &Request) -> Span {
        (
            request.start_ns,
            request.end_ns.unwrap_or(self.facts.duration_ns),
        )
    }

    /// Where the only request is that the line may be of. Notes it for all of which it may be.
    fn only(&mut self, line: &Line) -> Option<(Key, usize)> {
        let stretch = line.when.and_then(|(from, to)| self.stretch_of(from, to));
        let (Some(stretch), Some(head), Some(status)) = (stretch, &line.head, line.status) else {
            self.log.counts.unknown += 1;
            return None;
        };
        let head = self.heads.get(head.as_str()).copied();
        // Of some requests the path is not known, of others the answer was not complete.
        let keys = [
            (head, Some(status)),
            (head, None),
            (None, Some(status)),
            (None, None),
        ];
        let keys = &keys[if head.is_some() { 0 } else { 2 }..];
        let mut found: Vec<(Key, usize)> = Vec::new();
        for key in keys {
            if let Some(group) = self.groups.get_mut(key) {
                found.extend(group.within(stretch).take(2).map(|(at, _)| (*key, at)));
                let places = group.places(stretch);
                group.lines[places.start] += 1;
                group.lines[places.end] -= 1;
            }
        }
        let counts = &mut self.log.counts;
        match found[..] {
            [] => counts.unknown += 1,
            [(key @ (Some(_), _), at)] => {
                let id = self.groups[&key].requests[at];
                if self.analysis.requests[id].count <= 1 && !self.contested.contains(&id) {
                    return Some((key, at));
                }
                counts.ambiguous += 1;
            }
            _ => counts.ambiguous += 1,
        }
        None
    }

    /// Of how many lines each request may be.
    fn claims(&self) -> FxHashMap<Key, Vec<i64>> {
        let groups = self.groups.iter();
        let sums = groups.map(|(key, group)| {
            let sums = group.lines.iter().scan(0, |sum, more| {
                *sum += more;
                Some(*sum)
            });
            (*key, sums.collect())
        });
        sums.collect()
    }
}

/// Whether a line's head is that of a request, which may be recorded without its end.
fn same(line: &str, recorded: &str) -> bool {
    line == recorded || (recorded.len() >= MAYBE_CUT && line.starts_with(recorded))
}

fn entry(line: Line) -> Entry {
    Entry {
        query_keys: line.query_keys,
        user_agent: line.user_agent,
        request_id: line.request_id,
    }
}

#[cfg(test)]
mod tests;
