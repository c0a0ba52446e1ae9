//! redis-server under redis-benchmark: every command is a request, its verb the label.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use leak_tests::real::{self, Server, line};
use leak_tests::run::Place;

fn start(place: &Place, port: u16) -> Vec<String> {
    let directory = place.path("").display().to_string();
    let port = port.to_string();
    line([
        "redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--dir",
        &directory,
        "--save",
        "",
        "--appendonly",
        "no",
    ])
}

/// A command as clients send it.
fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    bytes.into_bytes()
}

/// One whole answer: a line, and after `$LENGTH` as many bytes and a line's end.
fn answer(stream: &mut BufReader<TcpStream>, answers: &mut Vec<u8>) {
    let start = answers.len();
    stream.read_until(b'\n', answers).expect("an answer");
    let line = String::from_utf8_lossy(&answers[start..]).into_owned();
    if let Some(length) = line.strip_prefix('$') {
        let length: usize = length.trim_end().parse().expect("a length");
        let mut bulk = vec![0; length + 2];
        stream.read_exact(&mut bulk).expect("the whole answer");
        answers.extend(bulk);
    }
}

/// One client's conversation; all answers together.
fn converse(port: u16) -> Vec<u8> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let mut stream = BufReader::new(stream);
    let mut answers = Vec::new();
    for number in 0..500 {
        let (key, value) = (format!("key:{}", number % 7), "v".repeat(number));
        for words in [
            &["SET", &key, &value][..],
            &["GET", &key],
            &["APPEND", &key, "tail"],
            &["LPUSH", "list", &value],
            &["NOSUCH", &key],
        ] {
            let sent = stream.get_mut().write_all(&command(words));
            sent.expect("a command goes out");
            answer(&mut stream, &mut answers);
        }
    }
    answers
}

/// What the server itself counted, by verb.
fn counted(port: u16) -> BTreeMap<String, u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let text = real::exchange(&mut stream, &command(&["INFO", "commandstats"]), b"\r\n");
    let text = String::from_utf8_lossy(&text).into_owned();
    let counts = text.lines().filter_map(|line| {
        let (verb, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let verb = verb.split('|').next()?.to_ascii_uppercase();
        Some((verb, rest.split(',').next()?.parse::<u64>().ok()?))
    });
    let mut sums = BTreeMap::new();
    for (verb, count) in counts {
        *sums.entry(verb).or_default() += count;
    }
    sums
}

fn benchmark(pipelined: &str) {
    let server = Server::start(true, &start);
    let port = server.port.to_string();
    let tests = "set,get,incr,lpush,rpop,sadd,hset,mset";
    let line = [
        "redis-benchmark",
        "-p",
        &port,
        "-n",
        "2000",
        "-c",
        "8",
        "-P",
        pipelined,
        "-q",
        "-t",
        tests,
    ];
    real::client(&server.place, &line);
    let mut expected = counted(server.port);
    expected.insert("INFO".to_string(), 1);
    assert!(expected["SET"] >= 2000, "{expected:?}");
    let place = server.stop(libc::SIGTERM);
    let report = place.report();
    real::assert_whole(&report);
    let expected: Vec<(String, u64)> = expected
        .into_iter()
        .map(|(verb, count)| (format!("tcp:{port} {verb}"), count))
        .collect();
    assert_eq!(report.labels_sorted(), expected);
    assert_eq!(report.list("/trace/boundaries"), ["turn"]);
}

#[test]
fn one_command_at_a_time() {
    benchmark("1");
}

#[test]
fn pipelines_of_sixteen() {
    benchmark("16");
}

#[test]
fn answers_are_the_same() {
    let plain = Server::start(false, &start);
    let expected = converse(plain.port);
    plain.stop(libc::SIGTERM);
    let traced = Server::start(true, &start);
    let port = traced.port;
    assert!(converse(port) == expected, "the answers differ");
    let report = traced.stop(libc::SIGTERM).report();
    let labels = ["APPEND", "GET", "LPUSH", "NOSUCH", "SET"];
    let labels = labels.map(|verb| (format!("tcp:{port} {verb}"), 500));
    assert_eq!(report.labels_sorted(), labels);
}
