//! Values of request headers, of those alone that the user has named.

/// The most bytes of a value that leave this crate.
pub const VALUE_MAX: usize = 128;

/// Names of the headers whose values are wanted, one after the other, each with a line feed behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'n>(&'n [u8]);

impl<'n> Wanted<'n> {
    /// None.
    pub const NONE: Wanted<'static> = Wanted(&[]);

    /// Those of `names`.
    pub const fn new(names: &'n [u8]) -> Wanted<'n> {
        Wanted(names)
    }

    /// Each of them.
    pub(crate) fn names(self) -> impl Iterator<Item = &'n str> {
        let names = self.0.split(|byte| *byte == b'\n');
        names.filter_map(|name| core::str::from_utf8(name).ok().filter(|it| !it.is_empty()))
    }
}

/// All values of one name in one, as RFC 9110 has it.
pub(crate) struct Value {
    bytes: [u8; VALUE_MAX],
    /// Bytes that all of it has, more than are kept or not.
    length: u32,
    parts: u32,
}

impl Value {
    pub(crate) const EMPTY: Value = Value {
        bytes: [0; VALUE_MAX],
        length: 0,
        parts: 0,
    };

    /// One more.
    pub(crate) fn add(&mut self, value: &[u8]) {
        if self.parts > 0 {
            self.append(b", ");
        }
        self.append(value);
        self.parts += 1;
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = self.bytes.iter_mut().skip(self.length as usize);
        room.zip(bytes).for_each(|(place, byte)| *place = *byte);
        // No head is longer than the buffer.
        self.length = self.length.saturating_add(bytes.len() as u32);
    }

    /// The bytes that are kept, and how many there are; `None`: there was no value.
    pub(crate) fn told(&self) -> Option<(&[u8], u32)> {
        let kept = (self.length as usize).min(VALUE_MAX);
        let kept = self.bytes.get(..kept).unwrap_or(&[]);
        (self.parts > 0).then_some((kept, self.length))
    }
}
