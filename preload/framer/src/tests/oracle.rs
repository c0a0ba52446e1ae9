//! HTTP streams made at random, framed once more by a framer that sees them whole.

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::{Random, Step, facts_cut, normal, read, rounds, wrote};

/// The simplest framer: text in, heads found with `find`, bodies as the heads say.
fn naive(stream: &str, bodiless: impl Fn(usize, &str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = stream;
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let line = head.split("\r\n").next().unwrap();
        let header = |name: &str| {
            let start = head.find(&format!("\r\n{name}: "))? + name.len() + 4;
            head[start..].split("\r\n").next()
        };
        rest = after;
        if bodiless(lines.len(), line) {
        } else if header("Transfer-Encoding").is_some() {
            while let Some((size, after)) = rest.split_once("\r\n") {
                let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
                rest = &after[size..];
                if size == 0 {
                    rest = rest.split_once("\r\n").unwrap().1;
                    break;
                }
                rest = rest.strip_prefix("\r\n").unwrap();
            }
        } else if let Some(length) = header("Content-Length") {
            rest = &rest[length.parse().unwrap()..];
        }
        lines.push(line.to_string());
    }
    assert_eq!(rest, "");
    lines
}

fn body(random: &mut Random, out: &mut String) {
    let text = |random: &mut Random| {
        const WORDS: [&str; 5] = [
            "GET / HTTP/1.1\r\n\r\n",
            "0\r\n\r\n",
            "x",
            "\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ];
        (0..random.below(5))
            .map(|_| WORDS[random.below(5)])
            .collect::<String>()
    };
    match random.below(3) {
        0 => out.push_str("Content-Length: 0\r\n\r\n"),
        1 => {
            let text = text(random);
            out.push_str(&format!("Content-Length: {}\r\n\r\n{text}", text.len()));
        }
        _ => {
            out.push_str("Transfer-Encoding: chunked\r\n\r\n");
            for _ in 0..random.below(4) {
                let text = text(random) + "!";
                out.push_str(&format!("{:X};x=y\r\n{text}\r\n", text.len()));
            }
            out.push_str("0\r\n\r\n");
        }
    }
}

fn conversation(random: &mut Random) -> (String, String) {
    let (mut requests, mut answers) = (String::new(), String::new());
    for _ in 0..=random.below(12) {
        let method = ["GET", "POST", "HEAD", "DELETE"][random.below(4)];
        let path = ["/", "/a/b", "/c?d=e", "/f%20"][random.below(4)];
        requests.push_str(&format!("{method} {path} HTTP/1.1\r\nHost: h\r\n"));
        body(random, &mut requests);
        if random.below(4) == 0 {
            answers.push_str("HTTP/1.1 100 Continue\r\n\r\n");
        }
        let status = ["200 OK", "404 Not Found", "304 Not Modified", "500 "][random.below(4)];
        answers.push_str(&format!("HTTP/1.1 {status}\r\nServer: s\r\n"));
        if method == "HEAD" || status.starts_with("304") {
            answers.push_str("Content-Length: 77\r\n\r\n");
        } else {
            body(random, &mut answers);
        }
    }
    (requests, answers)
}

#[test]
fn the_framer_agrees_with_a_naive_one() {
    let mut random = Random(42);
    for round in 0..rounds(400) {
        let (requests, answers) = conversation(&mut random);
        let lines = naive(&requests, |_, _| false);
        let methods: Vec<&str> = lines
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        let mut expected: Vec<String> = lines
            .iter()
            .map(|line| {
                let mut words = line.split(' ');
                let (method, target) = (words.next().unwrap(), words.next().unwrap());
                format!("Http {method} {}", target.split('?').next().unwrap())
            })
            .collect();
        // Interim answers come between: which request an answer is for depends on those before.
        let finals = std::cell::Cell::new(0);
        let statuses = naive(&answers, |_, line| {
            let status = line.split(' ').nth(1).unwrap();
            if status == "100" {
                return true;
            }
            let method = methods[finals.replace(finals.get() + 1)];
            method == "HEAD" || status == "304"
        });
        expected.extend(
            statuses
                .iter()
                .map(|line| line.split(' ').nth(1).unwrap())
                .filter(|status| *status != "100")
                .map(|status| format!("answer {status}")),
        );
        let steps: Vec<Step> = vec![read(&requests), wrote(&answers)];
        let found = facts_cut(&steps, |len| random.cuts(len));
        assert_eq!(
            normal(&found),
            expected,
            "round {round}: {requests:?} {answers:?}"
        );
    }
}
