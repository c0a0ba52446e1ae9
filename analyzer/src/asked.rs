//! What requests asked for, word by word, and what they sent along.

mod sent;

pub(crate) use sent::ids;
pub use sent::{Header, Sent, trace_id};

/// What requests asked for, as it was: a path may name one request of a million.
#[derive(Clone, Debug, Default)]
pub struct AskedFor {
    /// For each request of an analysis: `None` where it is no HTTP request, or stands for several that asked for
    /// different things.
    pub of: Vec<Option<Asked>>,
    /// What the indices lead to.
    pub texts: Vec<String>,
    /// Headers of each request, where they were recorded.
    pub sent: Sent,
}

/// What one request asked for: indices into [`AskedFor::texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `METHOD /path`, without the query.
    pub head: u32,
    /// The local end of its connection: `tcp:PORT` or `unix:PATH`.
    pub local: u32,
}

impl AskedFor {
    /// The head and the local end of a request.
    pub fn of(&self, request: usize) -> Option<(&str, &str)> {
        let asked = (*self.of.get(request)?)?;
        let text = |id: u32| self.texts.get(id as usize).map(String::as_str);
        Some((text(asked.head)?, text(asked.local)?))
    }
}
