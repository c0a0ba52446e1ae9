//! What requests asked for, word by word: their paths as they were, not folded into labels. Kept only where it is asked
//! for, as there may be as many paths as requests.

use leak_wire::Protocol;
use rustc_hash::FxHashMap;

use super::label::LabelId;
use crate::asked::{Asked, AskedFor};

/// Index into the texts; [`NOTHING`]: not kept, or not known.
pub type TextId = u32;
/// No text.
pub const NOTHING: TextId = u32::MAX;

/// A request, by its place among all.
type RequestId = u32;

/// Heads of one label that were read together.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Their label.
    pub label: LabelId,
    /// The last of them, where that is kept.
    pub asked: TextId,
    /// What they are of.
    pub protocol: Protocol,
    /// How many.
    pub count: u32,
}

/// What was asked for so far.
#[derive(Debug, Default)]
pub struct AskedSoFar {
    is_kept: bool,
    texts: Vec<String>,
    ids: FxHashMap<String, TextId>,
    of: FxHashMap<RequestId, (TextId, TextId)>,
}

impl AskedSoFar {
    /// Nothing yet.
    pub fn new(is_kept: bool) -> Self {
        AskedSoFar {
            is_kept,
            ..AskedSoFar::default()
        }
    }

    /// The id of a head, such as `GET /orders/17`.
    pub fn text(&mut self, text: &str) -> TextId {
        if !self.is_kept {
            return NOTHING;
        }
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.texts.len() as TextId;
        self.texts.push(text.to_owned());
        self.ids.insert(text.to_owned(), id);
        id
    }

    /// `request` came with this head to the local end of its connection.
    pub fn note(&mut self, request: RequestId, head: TextId, local: &str) {
        if head != NOTHING {
            let local = self.text(local);
            self.of.insert(request, (head, local));
        }
    }

    /// Another request, with this head, is one with `request` from now on.
    pub fn join(&mut self, request: RequestId, head: TextId) {
        if let Some((own, _)) = self.of.get(&request)
            && *own != head
        {
            self.of.remove(&request);
        }
    }

    /// What each of `requests` asked for, in their order; nothing where nothing was kept.
    pub fn finish(self, requests: impl Iterator<Item = RequestId>) -> AskedFor {
        if !self.is_kept {
            return AskedFor::default();
        }
        let of = requests.map(|id| {
            let (head, local) = *self.of.get(&id)?;
            Some(Asked { head, local })
        });
        AskedFor {
            of: of.collect(),
            texts: self.texts,
        }
    }
}
