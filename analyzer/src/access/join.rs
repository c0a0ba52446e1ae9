//! Which request a line is of. By an id that both have; else by time, method, path and status, where only one request
//! can be meant, and no other line may mean that one.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};

use super::form::parse;
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

/// A request's first and last moment, from the trace's start.
type Span = (u64, u64);

/// Requests that lines with one head and status, or whatever is asked, may be of.
#[derive(Debug, Default)]
struct Group {
    /// By their begin.
    requests: Vec<usize>,
    spans: Vec<Span>,
    /// The latest end of all up to each.
    latest: Vec<u64>,
    /// Up to each place, how many more lines may be of the request there than of the one before.
    lines: Vec<i64>,
}

impl Group {
    fn push(&mut self, id: usize, span: Span) {
        let latest = self.latest.last().copied().unwrap_or_default().max(span.1);
        self.requests.push(id);
        self.spans.push(span);
        self.latest.push(latest);
    }

    /// The places of all that may lie in a stretch.
    fn places(&self, (from, to): Span) -> std::ops::Range<usize> {
        let first = self.latest.partition_point(|latest| *latest < from);
        let past = self.spans.partition_point(|span| span.0 <= to);
        first..past.max(first)
    }

    /// Of these, those that do.
    fn within(&self, stretch: Span) -> impl Iterator<Item = (usize, usize)> + '_ {
        let places = self.places(stretch);
        let candidates = places.map(|at| (at, self.requests[at], self.spans[at]));
        candidates
            .filter(move |(_, _, span)| span.1 >= stretch.0)
            .map(|(at, id, _)| (at, id))
    }
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
mod tests {
    use super::*;
    use crate::access::Counts;
    use crate::analysis::Endpoint;
    use crate::asked::{Asked, Sent};

    const START: u64 = 1_700_000_000;
    const SECOND: u64 = 1_000_000_000;

    /// Requests as (second of the begin, head, status, id); each takes 10 ms.
    fn made(requests: &[(u64, &str, u32, &str)]) -> (Facts, Analysis) {
        let facts = Facts {
            started_at_ns: START * SECOND,
            duration_ns: 1000 * SECOND,
            ..Facts::default()
        };
        let mut analysis = Analysis {
            endpoints: Vec::<Endpoint>::new(),
            ..Analysis::default()
        };
        let mut sent = Sent::default();
        let mut places = Vec::new();
        for (second, head, status, id) in requests {
            let texts = &mut analysis.asked.texts;
            let text = texts.iter().position(|text| text == head);
            let text = text.unwrap_or_else(|| {
                texts.push((*head).to_owned());
                texts.len() - 1
            });
            let head = Asked {
                head: text as u32,
                local: 0,
            };
            analysis.asked.of.push(Some(head));
            places.push(match *id {
                "" => 0..0,
                id => {
                    let at = sent.push("x-request-id", id, false);
                    at..at + 1
                }
            });
            analysis.requests.push(Request {
                status: (*status > 0).then_some(*status),
                start_ns: second * SECOND,
                end_ns: Some(second * SECOND + 10_000_000),
                ..request()
            });
        }
        analysis.asked.sent = sent.finish(places.into_iter());
        (facts, analysis)
    }

    fn request() -> Request {
        Request {
            process: 0,
            thread: 1,
            source: Source::Http,
            connection: 1,
            endpoint: 0,
            count: 1,
            status: None,
            start_ns: 0,
            end_ns: None,
            allocations: 0,
            allocated_bytes: 0,
            associated: crate::sample::Amount::default(),
            live_blocks: 0,
            live_bytes: 0,
            survivor_blocks: 0,
            survivor_bytes: 0,
            retained_blocks: 0,
            retained_bytes: 0,
            leaking_blocks: 0,
            traffic: Default::default(),
        }
    }

    fn log(second: u64, request: &str, status: u32) -> String {
        format!(
            r#"{{"ts":{},"request":"{request} HTTP/1.1","status":{status}}}"#,
            START + second
        )
    }

    fn joined(made: &(Facts, Analysis), lines: &[String]) -> AccessLog {
        join(
            &made.0,
            &made.1,
            lines.iter().map(|line| Cow::from(line.as_str())),
        )
    }

    #[test]
    fn the_only_request_that_can_be_meant() {
        let made = made(&[
            (10, "GET /a", 200, ""),
            (11, "GET /b", 200, ""),
            (20, "GET /a", 200, ""),
            (20, "GET /a", 500, ""),
        ]);
        let lines = [
            log(10, "GET /a?x=1", 200),
            log(20, "GET /a?y", 200),
            log(20, "GET /a?z", 500),
            log(11, "GET /c", 200),
            log(11, "POST /b", 200),
            log(5000, "GET /a", 200),
            "hello".into(),
        ];
        let log = joined(&made, &lines);
        let keys = |id| log.of(id).map(|entry| entry.query_keys.join(","));
        assert_eq!(keys(0).as_deref(), Some("x"));
        assert_eq!(keys(1), None);
        assert_eq!(keys(2).as_deref(), Some("y"));
        assert_eq!(keys(3).as_deref(), Some("z"));
        let counts = Counts {
            by_time: 3,
            unknown: 2,
            outside: 1,
            unread: 1,
            ..Counts::default()
        };
        assert_eq!(log.counts, counts);
    }

    #[test]
    fn what_may_be_of_two_is_of_none() {
        // Two requests, one line; one request, two lines; requests within the slack; an answer that was not complete.
        let requests = [
            (10, "GET /a", 200, ""),
            (10, "GET /a", 200, ""),
            (20, "GET /b", 200, ""),
            (30, "GET /c", 200, ""),
            (31, "GET /c", 200, ""),
            (40, "GET /d", 200, ""),
            (40, "GET /d", 0, ""),
        ];
        let lines = [
            log(10, "GET /a", 200),
            log(20, "GET /b", 200),
            log(20, "GET /b", 200),
            log(30, "GET /c", 200),
            log(40, "GET /d", 200),
        ];
        let log = joined(&made(&requests), &lines);
        assert_eq!(log.counts.ambiguous, 5);
        assert!((0..requests.len()).all(|id| log.of(id).is_none()));
    }

    #[test]
    fn a_request_of_an_unknown_path_may_be_meant() {
        let mut made = made(&[(10, "GET /a", 200, ""), (10, "GET /b", 200, "")]);
        made.1.asked.of[1] = None;
        let lines = [log(10, "GET /a", 200)];
        assert_eq!(joined(&made, &lines).counts.ambiguous, 1);
        made.1.requests[1].status = Some(404);
        assert_eq!(joined(&made, &lines).counts.by_time, 1);
        // Several that were read together.
        made.1.requests[0].count = 2;
        assert_eq!(joined(&made, &lines).counts.ambiguous, 1);
    }

    #[test]
    fn ids_tell_what_time_does_not() {
        let requests = [
            (10, "GET /a", 200, "id-1"),
            (10, "GET /a", 200, "id-2"),
            (10, "GET /a", 200, ""),
            (10, "GET /b", 200, "id-1"),
        ];
        let made = made(&requests);
        let line = |path: &str, id: &str| {
            format!(
                "h - - [14/Nov/2023:22:13:30 +0000] \"GET {path} HTTP/1.1\" 200 1 \"-\" \"ua\" {id}"
            )
        };
        let lines = [
            line("/a?one", "id-1"),
            line("/a?two", "id-2"),
            line("/a?three", "-"),
        ];
        let log = joined(&made, &lines);
        assert_eq!((log.counts.by_id, log.counts.by_time), (2, 1));
        let keys = |id| log.of(id).map(|entry| entry.query_keys.join(","));
        assert_eq!(keys(0).as_deref(), Some("one"));
        assert_eq!(keys(1).as_deref(), Some("two"));
        assert_eq!(keys(2).as_deref(), Some("three"));
        // Two lines with one id; an id whose request asked for something else.
        let lines = [line("/a", "id-1"), line("/a", "id-1"), line("/c", "id-2")];
        let log = joined(&made, &lines);
        assert_eq!((log.counts.ambiguous, log.counts.unknown), (2, 1));
    }
}
