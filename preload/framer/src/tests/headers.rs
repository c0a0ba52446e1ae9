//! Values of headers, of those alone that are wanted (`WANTED`).

use std::format;
use std::string::String;
use std::vec::Vec;

use super::{assert_cuts_do_not_matter, facts, read, wrote};
use crate::VALUE_MAX;

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: secret\r\n{headers}Cookie: secret\r\n\r\n")
}

#[test]
fn each_request_has_its_own() {
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let steps = [
        read(get("/a", "X-Request-ID:  17 \r\nTraceParent: 00-ab\r\n")),
        wrote(answer),
        // Pipelined: one without, two of one path with others.
        read(
            get("/a", "")
                + &get("/a", "")
                + &get("/a", "x-request-id: 18\r\n")
                + &get("/a", "x-request-id: 19\r\n")
                + &get("/a", "x-request-id:\r\n")
                + &get("/a", ""),
        ),
        wrote(answer.repeat(6)),
    ];
    let expected = [
        "header traceparent: 00-ab (5)",
        "header x-request-id: 17 (2)",
        "Http 1 GET /a",
        "answer 1 204",
        "Http 2 GET /a",
        "header x-request-id: 18 (2)",
        "Http 1 GET /a",
        "header x-request-id: 19 (2)",
        "Http 1 GET /a",
        "header x-request-id:  (0)",
        "Http 1 GET /a",
        "Http 1 GET /a",
        "answer 6 204",
    ];
    assert_eq!(facts(&steps), expected);
    assert_cuts_do_not_matter(&steps);
}

#[test]
fn what_is_long_is_cut_and_its_length_told() {
    let long = "v".repeat(VALUE_MAX + 1);
    let steps = [read(get("/", &format!("x-request-id: {long}\r\n")))];
    let kept = "v".repeat(VALUE_MAX);
    let expected = [
        format!("header x-request-id: {kept} ({})", VALUE_MAX + 1),
        "Http 1 GET /".into(),
    ];
    assert_eq!(facts(&steps), expected);
    assert_cuts_do_not_matter(&steps);
    let whole = "v".repeat(VALUE_MAX);
    let all = facts(&[read(get("/", &format!("x-request-id: {whole}\r\n")))]);
    assert_eq!(
        all[0],
        format!("header x-request-id: {whole} ({VALUE_MAX})")
    );
}

#[test]
fn values_of_one_name_are_one_list() {
    let twice = "x-request-id: 17\r\nAccept: */*\r\nX-REQUEST-ID: 18\r\n";
    let all = facts(&[read(get("/", twice))]);
    assert_eq!(all, ["header x-request-id: 17, 18 (6)", "Http 1 GET /"]);
}

#[test]
fn nothing_is_told_of_what_is_no_request() {
    let broken = [
        "GET / HTTP/1.1\r\nx-request-id: 17\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nx-request-id: 17\r\n",
    ];
    for bytes in broken {
        let all: Vec<String> = facts(&[read(bytes)]);
        assert!(
            !all.iter().any(|fact| fact.starts_with("header")),
            "{all:?}"
        );
    }
    // Bodies are not looked into.
    let body = "x-request-id: 17\r\n\r\n";
    let post = format!(
        "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(facts(&[read(post)]), ["Http 1 POST /"]);
}
