//! What went over the connection of each request. Each read and write of the script moves one byte.

use super::super::Options;
use super::super::script::Script;

/// Bytes in, bytes out, and whether the client was gone, of each request.
fn traffic(text: &str) -> Vec<(Option<u64>, Option<u64>, bool)> {
    let mut script = Script::default();
    script.tell(text);
    let analysis = script.analysis(&Options::default());
    let all = analysis.requests.iter().map(|request| request.traffic);
    all.map(|of| (of.bytes_in.get(), of.bytes_out.get(), of.client_gone))
        .collect()
}

#[test]
fn bytes_are_those_of_their_request() {
    // A head in two reads and a body of one more, answered by two writes; then a head alone.
    let found = traffic(
        "t1 accept c1; t1 begun c1; t1 read c1 POST /a; t1 recv c1; t1 send c1; t1 answer c1 200
         t1 reads c1; t1 read c1 GET /b; t1 answer c1 200; t1 reads c1; t1 close c1",
    );
    assert_eq!(
        found,
        [(Some(3), Some(2), false), (Some(1), Some(1), false)]
    );
}

#[test]
fn of_what_was_read_or_answered_together_they_are_not_known() {
    let found = traffic(
        "t1 accept c1; t1 read c1 GET /a, GET /b; t1 answer c1 200; t1 answer c1 404; t1 reads c1
         t1 read c1 GET /c; t1 answer c1 200; t1 reads c1; t1 close c1",
    );
    let unknown = (None, None, false);
    assert_eq!(found, [unknown, unknown, (Some(1), Some(1), false)]);
    // One after the other, answered in one write.
    let found = traffic(
        "t1 accept c1; t1 read c1 GET /a; t1 read c1 GET /b; t1 answer c1 200, 404; t1 reads c1",
    );
    assert_eq!(found, [unknown, unknown]);
}

#[test]
fn of_turns_the_bytes_that_were_read_are_known() {
    let found = traffic(
        "t1 accept c1; t1 recv c1; t1 recv c1; t1 send c1; t1 recv c1; t1 send c1; t1 reads c1",
    );
    assert_eq!(found, [(Some(2), None, false), (Some(1), None, false)]);
}

#[test]
fn a_client_that_is_gone_is_told_from_a_server_that_never_answers() {
    let found = traffic(
        "t1 accept c1; t1 read c1 GET /a; t1 gone c1; t1 close c1
         t1 accept c2; t1 read c2 GET /a; t1 close c2
         t1 accept c3; t1 read c3 GET /a; t1 answer c3 200; t1 gone c3; t1 close c3
         t1 accept c4; t1 read c4 GET /a; t1 send c4; t1 gone c4; t1 close c4",
    );
    let gone: Vec<bool> = found.iter().map(|of| of.2).collect();
    assert_eq!(gone, [true, false, false, true]);
    let written: Vec<Option<u64>> = found.iter().map(|of| of.1).collect();
    assert_eq!(written, [Some(0), Some(0), Some(1), Some(1)]);
}
