//! What a line of an access log says, in whatever form.

use super::moment::Stretch;

/// What a line says of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// When it was served: its begin or its end, as servers differ.
    pub(super) when: Option<Stretch>,
    /// `METHOD /path`, as requests of a trace have it.
    pub(super) head: Option<String>,
    pub(super) query_keys: Vec<String>,
    pub(super) status: Option<u32>,
    pub(super) user_agent: Option<String>,
    /// What it is called.
    pub(super) request_id: Option<String>,
    /// Words that may name a request.
    pub(super) words: Vec<String>,
}

impl Line {
    /// Takes `METHOD target HTTP/x` apart.
    pub(super) fn request(&mut self, text: &str) {
        let mut words = text.split(' ');
        if let (Some(method), Some(target)) = (words.next(), words.next()) {
            self.asked(method, target);
        }
    }

    /// Takes a method and a target apart.
    pub(super) fn asked(&mut self, method: &str, target: &str) {
        let end = target.find(['?', '#']);
        let (path, rest) = target.split_at(end.unwrap_or(target.len()));
        let path = without_host(path);
        self.head = Some(format!("{} {}", escaped(method), escaped(path)));
        if let Some(query) = rest.strip_prefix('?') {
            let query = query.split('#').next().unwrap_or(query);
            self.add_query(query);
        }
    }

    /// Takes the names of a query's parameters.
    pub(super) fn add_query(&mut self, query: &str) {
        for pair in query.split(['&', ';']) {
            let key = pair.split('=').next().unwrap_or(pair);
            if !key.is_empty() && !self.query_keys.iter().any(|known| known == key) {
                self.query_keys.push(key.to_owned());
            }
        }
    }
}

/// What a log knows of a field that it writes in any case.
pub(super) fn known(text: &str) -> Option<String> {
    (!text.is_empty() && text != "-").then(|| text.to_owned())
}

/// As the recorded paths are: printable ASCII, all else as `%XX`.
fn escaped(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte.is_ascii_graphic() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    bytes.collect()
}

/// The path of `http://host/path`.
fn without_host(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    }
}
