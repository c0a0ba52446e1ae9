//! Values of request headers (`LEAK_HEADERS`), packed: there may be some for each of a million requests.

use std::ops::Range;

/// A header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'s> {
    /// Its name, lower case.
    pub name: &'s str,
    /// Its value, or the beginning of it.
    pub value: &'s str,
    /// Whether the value goes on.
    pub is_cut: bool,
}

/// The headers of all requests of an analysis.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    names: Vec<String>,
    values: String,
    rows: Vec<Row>,
    /// Places in `rows`, of each request; empty: none was recorded, or none that all of those have for which it stands.
    of: Vec<Range<u32>>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    name: u16,
    is_cut: bool,
    length: u32,
    start: u64,
}

impl Sent {
    /// Keeps a header; gives its place.
    pub(crate) fn push(&mut self, name: &str, value: &str, is_cut: bool) -> u32 {
        let known = self.names.iter().position(|known| known == name);
        let name = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        self.rows.push(Row {
            name: u16::try_from(name).unwrap_or(u16::MAX),
            is_cut,
            length: value.len() as u32,
            start: self.values.len() as u64,
        });
        self.values.push_str(value);
        self.rows.len() as u32 - 1
    }

    /// The requests' headers, in the order of the requests.
    pub(crate) fn finish(mut self, of: impl Iterator<Item = Range<u32>>) -> Sent {
        if !self.is_empty() {
            self.of = of.collect();
        }
        self
    }

    /// Whether no request has any.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The headers of a request.
    pub fn of(&self, request: usize) -> impl Iterator<Item = Header<'_>> + Clone {
        let range = self.of.get(request).cloned().unwrap_or_default();
        self.at(range)
    }

    /// The headers in these places.
    pub(crate) fn at(&self, places: Range<u32>) -> impl Iterator<Item = Header<'_>> + Clone {
        let rows = self.rows.get(places.start as usize..places.end as usize);
        let rows = rows.unwrap_or_default().iter();
        rows.map(|row| {
            let start = row.start as usize;
            let value = self.values.get(start..start + row.length as usize);
            Header {
                name: self.names.get(row.name as usize).map_or("", |name| name),
                value: value.unwrap_or_default(),
                is_cut: row.is_cut,
            }
        })
    }

    /// Names of which values were cut, and how many.
    pub fn cut(&self) -> Vec<(&str, u64)> {
        let mut all = vec![0; self.names.len()];
        for row in self.rows.iter().filter(|row| row.is_cut) {
            if let Some(count) = all.get_mut(row.name as usize) {
                *count += 1;
            }
        }
        let names = self.names.iter().map(String::as_str).zip(all);
        names.filter(|(_, count)| *count > 0).collect()
    }
}

/// Headers that name a request, the best first.
const IDS: [&str; 4] = [
    "x-b3-traceid",
    "x-request-id",
    "request-id",
    "x-correlation-id",
];

/// What other logs and traces call the request that has these headers: the trace id of `traceparent`, else the value of
/// a header that is known to name requests. `None` where that was cut.
pub fn trace_id<'s>(headers: impl Iterator<Item = Header<'s>> + Clone) -> Option<&'s str> {
    let whole = |name: &str| {
        let mut named = headers.clone().filter(|header| header.name == name);
        let header = named.next().filter(|header| !header.is_cut)?;
        (!header.value.is_empty()).then_some(header.value)
    };
    let parent = whole("traceparent").and_then(of_traceparent);
    parent.or_else(|| IDS.iter().find_map(|name| whole(name)))
}

/// All that a request with these headers may be called: `traceparent` as it is and its trace id, and the other ids.
pub(crate) fn ids<'s>(headers: impl Iterator<Item = Header<'s>>) -> Vec<&'s str> {
    let mut all = Vec::new();
    for header in headers.filter(|header| !header.is_cut && !header.value.is_empty()) {
        match header.name {
            "traceparent" => {
                let trace = of_traceparent(header.value);
                all.extend(trace.into_iter().chain(trace.map(|_| header.value)));
            }
            name if IDS.contains(&name) => all.push(header.value),
            _ => {}
        }
    }
    all
}

/// The trace id in `00-TRACE-SPAN-FLAGS` (W3C Trace Context).
pub(crate) fn of_traceparent(value: &str) -> Option<&str> {
    let mut parts = value.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, digits: usize| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == digits && text.bytes().all(is_hex)
    };
    let is_zero = trace.bytes().all(|byte| byte == b'0');
    (hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && !is_zero)
        .then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn header<'s>(name: &'s str, value: &'s str) -> Header<'s> {
        Header {
            name,
            value,
            is_cut: false,
        }
    }

    #[test]
    fn a_traceparent_comes_before_other_ids() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let headers = [header("x-request-id", "17"), header("traceparent", &parent)];
        assert_eq!(trace_id(headers.into_iter()), Some(TRACE));
        for wrong in [
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            TRACE.to_owned(),
        ] {
            let headers = [header("x-request-id", "17"), header("traceparent", &wrong)];
            assert_eq!(trace_id(headers.into_iter()), Some("17"), "{wrong}");
        }
    }

    #[test]
    fn what_was_cut_or_names_no_request_is_no_id() {
        let cut = Header {
            is_cut: true,
            ..header("x-request-id", "17")
        };
        let headers = [cut, header("user-agent", "curl")];
        assert_eq!(trace_id(headers.into_iter()), None);
    }

    #[test]
    fn values_are_those_of_their_requests() {
        let mut sent = Sent::default();
        assert_eq!(sent.push("a", "1", false), 0);
        assert_eq!(sent.push("b", "", false), 1);
        assert_eq!(sent.push("a", "22", true), 2);
        let sent = sent.finish([0..2, 0..0, 2..3].into_iter());
        let of = |request| -> Vec<Header<'_>> { sent.of(request).collect() };
        assert_eq!(of(0), [header("a", "1"), header("b", "")]);
        assert_eq!(of(1), []);
        assert_eq!(of(2)[0].value, "22");
        assert_eq!(of(3), []);
        assert_eq!(sent.cut(), [("a", 1)]);
    }
}
