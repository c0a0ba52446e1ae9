//! Conversations and the facts that they hold.
//!
//! A long file: a list of conversations, each by itself.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::{Step, assert_cuts_do_not_matter, facts, facts_cut, read, wrote};

#[track_caller]
fn check(steps: &[Step], expected: &[&str]) {
    assert_eq!(facts(steps), expected);
    assert_cuts_do_not_matter(steps);
}

#[test]
fn http_requests_and_their_answers() {
    check(
        &[
            read("GET /a?secret=1 HTTP/1.1\r\nHost: x\r\n\r\n"),
            wrote("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            read("\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcHEAD /c HTTP/1.1\r\n\r\n"),
            wrote("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            wrote("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nHTTP/1.0 404 Not Found\r\n\r\n"),
            read(
                "PUT /d HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n",
            ),
            wrote("more"),
            Step::Last,
        ],
        &[
            "Http 1 GET /a",
            "answer 1 200",
            "Http 1 POST /b",
            "Http 1 HEAD /c",
            "answer 1 201",
            "answer 1 200",
            "Http 1 PUT /d",
        ],
    );
}

#[test]
fn http_pipelined_requests_are_counted() {
    let request = "GET /a HTTP/1.1\r\n\r\n";
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    check(
        &[
            read(request.repeat(3)),
            wrote(answer.repeat(2)),
            wrote(answer),
        ],
        &["Http 3 GET /a", "answer 2 204", "answer 1 204"],
    );
    let deep = facts(&[read(request.repeat(5000)), wrote(answer.repeat(5000))]);
    assert_eq!(deep, ["Http 5000 GET /a", "answer 5000 204"]);
}

#[test]
fn http_an_answer_without_a_length_ends_with_the_connection() {
    let steps = [
        read("GET / HTTP/1.0\r\n\r\n"),
        wrote("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n"),
        wrote("HTTP/1.0 500 this is the body"),
        Step::WroteOpaque(1000),
        Step::Last,
        Step::Last,
    ];
    check(&steps, &["Http 1 GET /", "answer 1 200"]);
    assert_eq!(facts(&steps[..4]), ["Http 1 GET /"]);
}

#[test]
fn http_an_answer_that_is_cut_off_is_none() {
    check(
        &[
            read("GET / HTTP/1.1\r\n\r\n"),
            wrote("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
            Step::Last,
        ],
        &["Http 1 GET /"],
    );
}

#[test]
fn http_interim_answers_do_not_count() {
    check(
        &[
            read("POST /up HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
            wrote("HTTP/1.1 100 Continue\r\n\r\n"),
            read("GE"),
            wrote(
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ),
            read("GET /next HTTP/1.1\r\n\r\n"),
        ],
        &["Http 1 POST /up", "answer 1 200", "Http 1 GET /next"],
    );
}

#[test]
fn http_a_declined_body_may_not_come() {
    let declined = [
        read("POST /up HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 900\r\n\r\n"),
        wrote("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"),
    ];
    let next = read("GET /next HTTP/1.1\r\n\r\n");
    let body = read([b'x'; 900]);
    let expected = ["Http 1 POST /up", "answer 1 417", "Http 1 GET /next"];
    check(&[declined.to_vec(), vec![next.clone()]].concat(), &expected);
    check(&[declined.to_vec(), vec![body, next]].concat(), &expected);
}

#[test]
fn http_upgrades_and_tunnels() {
    check(
        &[
            read("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
            wrote("HTTP/1.1 101 Switching Protocols\r\n\r\nframes"),
            read("\x01GET / HTTP/1.1\r\n\r\n"),
        ],
        &["Http 1 GET /chat", "answer 1 101", "upgraded"],
    );
    check(
        &[
            read("CONNECT host:443 HTTP/1.1\r\n\r\n"),
            wrote("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
            read("CONNECT host:443 HTTP/1.1\r\n\r\n"),
            wrote("HTTP/1.1 200 Connection established\r\n\r\n"),
            read("\x16\x03\x01whatever"),
        ],
        &[
            "Http 1 CONNECT host:443",
            "answer 1 407",
            "Http 1 CONNECT host:443",
            "answer 1 200",
            "upgraded",
        ],
    );
}

/// A client's frame.
fn frame(first: u8, data: &[u8]) -> Vec<u8> {
    let length = match data.len() {
        short @ 0..=125 => vec![0x80 | short as u8],
        long @ 126..=0xffff => [&[0xfe][..], &(long as u16).to_be_bytes()].concat(),
        long => [&[0xff][..], &(long as u64).to_be_bytes()].concat(),
    };
    [&[first][..], &length, b"mask", data].concat()
}

const UPGRADE: [&str; 2] = [
    "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
];
const UPGRADED: [&str; 3] = ["Http 1 GET /chat", "answer 1 101", "upgraded"];

#[test]
fn websocket_messages() {
    let (text, ping, pong, close) = (0x81, 0x89, 0x8a, 0x88);
    let messages = [frame(text, b"one"), frame(0xc2, &[7; 300])].concat();
    let in_parts = [
        frame(0x01, b"be"),
        frame(ping, b""),
        frame(0x00, &[0x81; 70_000]),
        frame(0x80, b""),
    ];
    check(
        &[
            read(UPGRADE[0]),
            wrote(UPGRADE[1]),
            read(frame(pong, b"unasked")),
            wrote("pushed"),
            read(messages),
            wrote("answer to both"),
            wrote("more"),
            read(in_parts.concat()),
            read(frame(text, b"")),
            wrote("answer to both"),
            read(frame(ping, b"alive?")),
            wrote("pong"),
            read(frame(close, b"\x03\xe8")),
            wrote("close"),
        ],
        &[
            UPGRADED.as_slice(),
            &["messages", "Websocket 2 ", "answer 2 0", "Websocket 1 "],
            &["Websocket 1 ", "answer 2 0"],
        ]
        .concat(),
    );
}

/// A client's frames are masked, and of known kinds.
#[test]
fn what_is_no_websocket() {
    let after = |bytes: &[u8]| {
        let steps = [read(UPGRADE[0]), wrote(UPGRADE[1]), read(bytes)];
        assert_cuts_do_not_matter(&steps);
        facts(&steps).split_off(UPGRADED.len())
    };
    let none: [&str; 0] = [];
    for bytes in [&b"\x81\x01a"[..], b"\x83\x80mask", b"\x80\x80mask", b"ab"] {
        assert_eq!(after(bytes), none, "{bytes:?}");
    }
    for next in [
        &b"\x8b\x80mask"[..],
        b"\x81\x01a",
        b"\x82\xff\x80\0\0\0\0\0\0\0",
    ] {
        let bytes = [&frame(0x88, b""), next].concat();
        let told = after(&bytes);
        assert_eq!(told.first().map(String::as_str), Some("messages"));
        assert_eq!(
            told.last().map(String::as_str),
            Some("unseen Unframed"),
            "{next:?}"
        );
    }
}

#[test]
fn http_unseen_bytes_count_as_body() {
    check(
        &[
            read("GET /file HTTP/1.1\r\n\r\n"),
            wrote("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
            Step::WroteOpaque(400),
            Step::WroteOpaque(600),
            read("PUT /file HTTP/1.1\r\nContent-Length: 7\r\n\r\n"),
            Step::ReadOpaque(7),
            wrote("HTTP/1.1 204 No Content\r\n\r\n"),
            read("GET /chunks HTTP/1.1\r\n\r\n"),
            wrote("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n"),
            Step::WroteOpaque(10),
            wrote("\r\n0\r\n\r\n"),
        ],
        &[
            "Http 1 GET /file",
            "answer 1 200",
            "Http 1 PUT /file",
            "answer 1 204",
            "Http 1 GET /chunks",
            "answer 1 200",
        ],
    );
}

#[test]
fn http_a_head_that_comes_in_parts_is_announced_once() {
    let head = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
    for cut in 1..head.len() {
        let mut cuts = 0;
        let cut = facts_cut(&[read(head)], |_| {
            cuts += 1;
            vec![cut]
        });
        assert_eq!(cut, ["begun", "Http 1 GET /slow"]);
    }
    let both = facts(&[read(head), read([head, "GE"].concat()), read("T / H")]);
    assert_eq!(both, ["Http 1 GET /slow", "Http 1 GET /slow", "begun"]);
}

#[test]
fn http_a_head_that_never_ends_may_be_answered() {
    let begun = facts(&[
        read("GET /slow HTTP/1.1\r\nHos"),
        wrote("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
    ]);
    assert_eq!(begun, ["begun", "answer 1 408"]);
    let line = facts(&[
        read("GET /slo"),
        wrote("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    ]);
    assert_eq!(line, ["begun", "answer 1 400"]);
}

#[test]
fn http_what_can_not_be_framed_is_said_once() {
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(17 << 10));
    assert_eq!(
        facts(&[read(&long), read(&long)]),
        ["begun", "unseen Unframed"][1..]
    );
    let cases: [&[Step]; 5] = [
        &[
            read("GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n"),
            read("GET / HTTP/1.1\r\n\r\n"),
        ],
        &[read("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")],
        &[
            read("GET / HTTP/1.1\r\n\r\n"),
            wrote("<html>"),
            wrote("<html>"),
        ],
        &[read("GET / HTTP/1.1\r\n\r\n\x01\x02\x03\r\n")],
        &[read(
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        )],
    ];
    for steps in cases {
        let facts = facts(steps);
        assert_eq!(
            facts.last().map(String::as_str),
            Some("unseen Unframed"),
            "{steps:?}"
        );
        assert_eq!(
            facts
                .iter()
                .filter(|fact| fact.starts_with("unseen"))
                .count(),
            1
        );
        assert_cuts_do_not_matter(steps);
    }
}

#[test]
fn http_answers_to_nothing() {
    check(
        &[
            read("GET / HTTP/1.1\r\n\r\n"),
            wrote("HTTP/1.1 204 No Content\r\n\r\n"),
            wrote("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
        ],
        &["Http 1 GET /", "answer 1 204"],
    );
    assert_eq!(facts(&[wrote("HTTP/1.1 503 Busy\r\n\r\n")]), [""; 0]);
    assert_eq!(
        facts(&[wrote("HTTP/1.1 200 OK\r\n\r\n")]),
        ["unseen Bypassed"]
    );
}

#[test]
fn http_behind_a_proxy_head_or_empty_lines() {
    let request = b"GET / HTTP/1.1\r\n\r\n".as_slice();
    let heads: [&[u8]; 5] = [
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd",
        b"\r\n",
        b"\r\n\r\n\r\n",
    ];
    for head in heads {
        check(&[read([head, request].concat())], &["Http 1 GET /"]);
        check(&[read(head), read(request)], &["Http 1 GET /"]);
    }
}

#[test]
fn what_is_not_framed_is_named_or_left_alone() {
    check(
        &[read("\x16\x03\x01\x02\x00\x01"), wrote("\x16\x03")],
        &["unseen Tls"],
    );
    check(
        &[read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0")],
        &["unseen Http2"],
    );
    for other in [
        "hello\r\n",
        "EHLO me\r\n",
        "GET key\n",
        "\x01\x02",
        "GET /old\r\n",
        "{}\n",
    ] {
        check(&[read(other), read("GET / HTTP/1.1\r\n\r\n")], &[]);
    }
    check(
        &[wrote("220 smtp\r\n"), read("GET / HTTP/1.1\r\n\r\n")],
        &[],
    );
    let settings = [
        wrote(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x80"),
        read("PRI * HTTP/2.0\r\n\r\n"),
    ];
    assert_eq!(facts(&settings), ["unseen Http2"]);
    let h2c = [
        read("GET /x HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
        wrote("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ];
    assert_eq!(
        facts(&h2c),
        ["Http 1 GET /x", "answer 1 101", "upgraded", "unseen Http2"]
    );
}

fn resp(words: &[&str]) -> String {
    let body: String = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    format!("*{}\r\n{body}", words.len())
}

#[test]
fn redis_commands() {
    let set = resp(&["SET", "key", "*3\r\n$3\r\nGET\r\n"]);
    check(
        &[
            read(resp(&["ping"])),
            wrote("+PONG\r\n"),
            read([set.repeat(16), resp(&["get", ""]), resp(&["hunter2"])].concat()),
            read("*0\r\n*-1\r\n\r\ninfo all\r\nQUIT\r\n"),
        ],
        &[
            "Redis 1 PING",
            "answer 1 0",
            "Redis 16 SET",
            "Redis 1 GET",
            "Redis 1 ",
            "Redis 1 INFO",
            "Redis 1 QUIT",
        ],
    );
    check(
        &[read("PING\r\nset a b\r\n")],
        &["Redis 1 PING", "Redis 1 SET"],
    );
    check(
        &[read("*1\r\n$4\r\nPING\r\n*x")],
        &["Redis 1 PING", "unseen Unframed"],
    );
    check(&[read("*1\r\n$999999999\r\n")], &["unseen Unframed"]);
}

#[test]
fn memcached_commands() {
    check(
        &[
            read("get a b\r\nget c\r\nset k 0 0 9\r\nget x\r\n\r\n\r\n"),
            wrote("END\r\nEND\r\nSTORED\r\n"),
            read(
                "set k 0 0 0 noreply\r\n\r\nms k 3 T0\r\nabc\r\nmg k v\r\n  incr n 1\r\nstats\r\n",
            ),
        ],
        &[
            "Memcached 2 get",
            "Memcached 1 set",
            "answer 3 0",
            "Memcached 1 set",
            "answer 1 0",
            "Memcached 1 ms",
            "Memcached 1 mg",
            "Memcached 1 incr",
            "Memcached 1 stats",
        ],
    );
    let head = |opcode: u8, key: u8, extras: u8, body: u8| {
        let mut head = [0_u8; 24];
        (head[0], head[1], head[3], head[4], head[11]) = (0x80, opcode, key, extras, body);
        head.to_vec()
    };
    let set = [head(1, 3, 8, 16), vec![0x80; 16]].concat();
    let get = [head(0, 3, 0, 3), vec![b'k'; 3]].concat();
    check(
        &[read([set, get.clone(), get, head(0x0a, 0, 0, 0)].concat())],
        &["Memcached 1 set", "Memcached 2 get", "Memcached 1 noop"],
    );
    check(&[read(head(0x99, 0, 0, 0))], &[]);
}

fn message(kind: &str, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [kind.as_bytes(), &length, body].concat()
}

fn startup(code: u32, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u32 + 8).to_be_bytes();
    [&length, code.to_be_bytes().as_slice(), rest].concat()
}

#[test]
fn postgres_queries() {
    let ready = message("Z", b"I");
    check(
        &[
            read(startup(80_877_103, b"")),
            wrote("N"),
            read(startup(196_608, b"user\0me\0\0")),
            wrote(
                [
                    message("R", &[0; 4]),
                    message("S", b"a\0b\0"),
                    ready.clone(),
                ]
                .concat(),
            ),
            read(message("Q", b"  -- note\n/* more * */ (select 1)\0")),
            wrote(
                [
                    message("T", b"ZZZZZ"),
                    message("C", b"SELECT 1\0"),
                    ready.clone(),
                ]
                .concat(),
            ),
            read(message("Q", b"selection\0")),
            wrote(&ready),
            read(message("X", b"")),
        ],
        &[
            "begun",
            "Postgres 1 CONNECT",
            "answer 1 0",
            "Postgres 1 SELECT",
            "answer 1 0",
            "Postgres 1 ",
            "answer 1 0",
        ],
    );
}

#[test]
fn postgres_extended_and_prepared() {
    let ready = message("Z", b"I");
    let execute = [message("E", b"\0\0\0\0\0"), message("S", b"")].concat();
    let bind = |name: &[u8]| message("B", &[b"portal\0", name, b"\0\0\0\0\0"].concat());
    let parse = |name: &[u8], sql: &[u8]| message("P", &[name, b"\0", sql, b"\0\0\0"].concat());
    check(
        &[
            read(startup(196_608, b"\0")),
            wrote(&ready),
            read([parse(b"", b"UPDATE t"), bind(b""), execute.clone()].concat()),
            wrote(&ready),
            read([parse(b"P_1", b"INSERT"), message("S", b"")].concat()),
            read([parse(b"P_2", b"begin;"), message("S", b"")].concat()),
            wrote(ready.repeat(2)),
            read([bind(b"P_1"), execute.clone(), bind(b"P_2"), execute.clone()].concat()),
            read([bind(b"P_9"), execute.clone()].concat()),
            wrote(ready.repeat(3)),
        ],
        &[
            "Postgres 1 CONNECT",
            "answer 1 0",
            "Postgres 1 UPDATE",
            "answer 1 0",
            "Postgres 1 INSERT",
            "Postgres 1 BEGIN",
            "answer 2 0",
            "Postgres 1 INSERT",
            "Postgres 1 BEGIN",
            "Postgres 1 ",
            "answer 3 0",
        ],
    );
}

#[test]
fn postgres_connections_without_a_statement() {
    check(
        &[
            read(startup(80_877_104, b"")),
            wrote("N"),
            read(startup(80_877_103, b"")),
            wrote("N"),
            read(startup(196_608, b"user\0me\0\0")),
            wrote(message("E", b"Mpassword\0\0")),
        ],
        &["begun", "Postgres 1 CONNECT"],
    );
    check(
        &[read(startup(80_877_102, b"pid secret"))],
        &["Postgres 1 CANCEL"],
    );
}

#[test]
fn postgres_under_tls_is_unseen() {
    check(
        &[
            read(startup(80_877_103, b"")),
            wrote("S"),
            read("\x16\x03\x01"),
        ],
        &["begun", "unseen Tls"],
    );
    check(
        &[read(startup(196_608, b"\0")), read("\0\0\0\0\0")],
        &["Postgres 1 CONNECT", "unseen Unframed"],
    );
}

/// Where a client goes, only a server that owes it an answer has something to tell.
#[test]
fn an_answer_is_owed_until_its_last_byte() {
    let mut buffers = std::boxed::Box::new(crate::Buffers::new());
    let mut connection = crate::Connection::new();
    let mut owed = Vec::new();
    for (is_read, bytes) in [
        (true, "GET /a HT"),
        (true, "TP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-"),
        (false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"),
        (true, "Length: 3\r\n\r\na"),
        (false, "k"),
        (true, "bc"),
        (false, "HTTP/1.1 204 No Content\r\n"),
        (false, "\r\n"),
        (true, "GE"),
    ] {
        let piece = crate::Parts::of([bytes.as_bytes()]);
        match is_read {
            true => connection.read(&mut buffers, piece, crate::Wanted::NONE, |_| ()),
            false => connection.wrote(&mut buffers, piece, |_| ()),
        }
        owed.push(connection.owes_an_answer());
    }
    assert_eq!(
        owed,
        [true, true, true, true, true, true, true, false, true]
    );
}
