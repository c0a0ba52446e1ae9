//! What a call moved, as whoever saw it hands it over: not all of it can be read, and not all of it need be.

use core::marker::PhantomData;

/// A piece of what was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'b> {
    /// Its bytes.
    Seen(&'b [u8]),
    /// So many bytes, of which nothing is known.
    Unseen(u64),
}

/// All that was moved, from its beginning to its end.
pub trait Pieces {
    /// The next piece. Of the next bytes the first `needless` don't matter: they need not be read.
    fn next_piece(&mut self, needless: u64) -> Option<Piece<'_>>;
}

impl<P: Pieces + ?Sized> Pieces for &mut P {
    fn next_piece(&mut self, needless: u64) -> Option<Piece<'_>> {
        (**self).next_piece(needless)
    }
}

/// Parts whose bytes can all be read.
pub struct Parts<'b, I> {
    parts: I,
    bytes: PhantomData<&'b [u8]>,
}

impl<'b, I: Iterator<Item = &'b [u8]>> Parts<'b, I> {
    /// These.
    pub fn of(parts: impl IntoIterator<IntoIter = I>) -> Self {
        Parts {
            parts: parts.into_iter(),
            bytes: PhantomData,
        }
    }
}

impl<'b, I: Iterator<Item = &'b [u8]>> Pieces for Parts<'b, I> {
    fn next_piece(&mut self, _: u64) -> Option<Piece<'_>> {
        self.parts.next().map(Piece::Seen)
    }
}
