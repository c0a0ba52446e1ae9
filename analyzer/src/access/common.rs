//! A line of an access log in the common or the combined form.

use super::line::{Line, known};
use super::moment;

/// `host user user [moment] "METHOD target HTTP/x" status bytes`, then maybe `"referer" "agent"`, then anything.
pub(super) fn parse(text: &str) -> Option<Line> {
    let words = split(text)?;
    let at = words.iter().position(|word| word.kind == Kind::Bracketed)?;
    let when = moment::common(&words[at].text)?;
    let [request, status, _bytes, rest @ ..] = words.get(at + 1..)? else {
        return None;
    };
    let mut line = Line {
        when: Some(when),
        status: Some(number(&status.text)?),
        ..Line::default()
    };
    if request.kind != Kind::Quoted {
        return None;
    }
    line.request(&request.text);
    let rest = match rest {
        [referer, agent, rest @ ..]
            if referer.kind == Kind::Quoted && agent.kind == Kind::Quoted =>
        {
            line.user_agent = known(&agent.text);
            rest
        }
        rest => rest,
    };
    line.words = rest.iter().map(|word| word.text.clone()).collect();
    Some(line)
}

fn number(text: &str) -> Option<u32> {
    text.parse()
        .ok()
        .filter(|status| (100..1000).contains(status))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Quoted,
    Bracketed,
}

#[derive(Clone, Debug)]
struct Word {
    kind: Kind,
    text: String,
}

/// The words of a line; those in quotes and brackets are one. `None`: one is never closed.
fn split(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (kind, word, after) = match first {
            '"' => {
                let (word, after) = quoted(&rest[1..])?;
                (Kind::Quoted, word, after)
            }
            '[' => {
                let (word, after) = rest[1..].split_once(']')?;
                (Kind::Bracketed, word.to_owned(), after)
            }
            _ => {
                let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
                (Kind::Plain, word.to_owned(), after)
            }
        };
        words.push(Word { kind, text: word });
        rest = after.trim_start();
    }
    Some(words)
}

/// The text up to the next quote, with `\"`, `\\` and `\xHH` undone, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let bytes = text.as_bytes();
    let mut word = Vec::new();
    let mut at = 0;
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (b'"', _) => {
                let word = String::from_utf8_lossy(&word).into_owned();
                return Some((word, text.get(at + 1..)?));
            }
            (b'\\', Some(b'x')) => {
                let byte = text.get(at + 2..at + 4);
                let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                word.push(byte?);
                at += 4;
            }
            (b'\\', Some(next @ (b'"' | b'\\'))) => {
                word.push(*next);
                at += 2;
            }
            (byte, _) => {
                word.push(*byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "29/Nov/2026:17:30:15 +0000";

    fn line(rest: &str) -> Option<Line> {
        parse(&format!("127.0.0.1 - frank [{TIME}] {rest}"))
    }

    fn head(rest: &str) -> Option<String> {
        line(rest)?.head
    }

    #[test]
    fn common_and_combined() {
        let common = line("\"GET /a/17?user=x&page=2&user=y HTTP/1.1\" 200 2326").unwrap();
        assert_eq!(common.head.as_deref(), Some("GET /a/17"));
        assert_eq!(common.query_keys, ["user", "page"]);
        assert_eq!(common.status, Some(200));
        assert_eq!(common.user_agent, None);
        assert!(common.when.is_some());
        let combined = "\"GET / HTTP/1.1\" 404 - \"http://x/?y\" \"curl/7 \\\"x\\\"\" 0.005 abc-17";
        let combined = line(combined).unwrap();
        assert_eq!(combined.user_agent.as_deref(), Some("curl/7 \"x\""));
        assert_eq!(combined.words, ["0.005", "abc-17"]);
        assert!(combined.query_keys.is_empty());
        let unnamed = line("\"GET / HTTP/1.1\" 200 5 \"-\" \"-\"").unwrap();
        assert_eq!(unnamed.user_agent, None);
    }

    #[test]
    fn targets_are_as_recorded_paths() {
        assert_eq!(
            head("\"GET http://u:p@h/a?b HTTP/1.1\" 200 1").as_deref(),
            Some("GET /a")
        );
        assert_eq!(
            head("\"GET /see/http://x/y HTTP/1.1\" 200 1").as_deref(),
            Some("GET /see/http://x/y")
        );
        assert_eq!(
            head("\"GET /\\xC3\\xA9\\x22 HTTP/1.1\" 200 1").as_deref(),
            Some("GET /%C3%A9\"")
        );
        assert_eq!(head("\"-\" 408 0").as_deref(), None);
    }

    #[test]
    fn what_is_no_such_line() {
        for text in [
            "",
            "hello",
            "\"GET / HTTP/1.1\" 200",
            "[x] \"GET / HTTP/1.1\" 200 1",
            "{",
            "{}",
            "[29/Nov/2026:17:30:15 +0000] \"GET / HTTP/1.1 200 1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(line("\"GET / HTTP/1.1\" OK 1"), None);
        assert_eq!(line("GET 200 1"), None);
    }
}
