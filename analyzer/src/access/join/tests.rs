//! Lines, and the requests that they are of.

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
            ..Request::between(second * SECOND, second * SECOND + 10_000_000)
        });
    }
    analysis.asked.sent = sent.finish(places.into_iter());
    (facts, analysis)
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
