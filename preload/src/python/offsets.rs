//! Where the fields lie that a Python stack is read from, x86_64, for each minor version: `offsetof`
//! over the headers of CPython 3.8 to 3.14. From 3.13 the runtime tells its own (`_Py_DebugOffsets`,
//! the first member of `_PyRuntime`): those are taken.

/// Offsets of fields, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// Thread state → what holds the innermost frame: the thread state itself, or its cframe.
    pub cframe: Option<u16>,
    /// → the innermost frame.
    pub frame: u16,
    /// Frame → code object.
    pub code: u16,
    /// Frame → next outer frame.
    pub previous: u16,
    /// Frame → where it is in its code.
    pub instruction: u16,
    /// Frame → who owns it (u8), where there are frames without code.
    pub owner: Option<u16>,
    /// How `instruction` tells its place.
    pub place: Place,
    /// Code → file name.
    pub file: u16,
    /// Code → qualified name; before 3.11 the name.
    pub name: u16,
    /// Code → line table.
    pub lines: u16,
    /// Code → line of its `def` (i32).
    pub first_line: u16,
    /// String → its text if it is ASCII; the text of others lies 16 bytes further.
    pub ascii: u16,
    /// The other string's text.
    pub text: u16,
    /// How a frame of a generator or coroutine lies in it, where it does.
    pub generator: Option<Generator>,
}

/// Frames that lie in the object of their generator or coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generator {
    /// Frame → who owns it (u8).
    pub owner: u16,
    /// Generator → frame.
    pub frame: u16,
}

/// A frame whose owner is this lies in a generator or coroutine.
pub const OWNED_BY_GENERATOR: u8 = 1;

/// How a frame tells where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A pointer to the instruction; the code's first one lies at this offset of the code object.
    Pointer(u16),
    /// The number (i32) of the last instruction begun, in units of so many bytes; −1: none.
    Index(u8),
}

impl Place {
    /// The bits that tell it, of the word that lies there.
    #[inline(always)]
    pub fn mask(self) -> u64 {
        match self {
            Place::Pointer(_) => u64::MAX,
            Place::Index(_) => u32::MAX.into(),
        }
    }
}

/// Frames whose owner is this or more stand for C code: they have no code object.
pub const OWNED_BY_C: u8 = 3;

const OLD: Offsets = Offsets {
    cframe: None,
    frame: 24,
    code: 32,
    previous: 24,
    instruction: 104,
    owner: None,
    place: Place::Index(1),
    file: 104,
    name: 112,
    lines: 120,
    first_line: 40,
    ascii: 48,
    text: 72,
    generator: None,
};

const V3_10: Offsets = Offsets {
    instruction: 96,
    place: Place::Index(2),
    ..OLD
};

const V3_11: Offsets = Offsets {
    cframe: Some(56),
    frame: 8,
    code: 32,
    previous: 48,
    instruction: 56,
    owner: None,
    place: Place::Pointer(184),
    file: 112,
    name: 128,
    lines: 136,
    first_line: 72,
    ascii: 48,
    text: 72,
    generator: Some(Generator {
        owner: 69,
        frame: 80,
    }),
};

const V3_12: Offsets = Offsets {
    frame: 0,
    code: 0,
    previous: 8,
    owner: Some(70),
    place: Place::Pointer(192),
    first_line: 68,
    ascii: 40,
    text: 56,
    generator: Some(Generator {
        owner: 70,
        frame: 72,
    }),
    ..V3_11
};

/// The table of a version that does not tell its offsets itself.
pub fn of_version(minor: u32) -> Option<Offsets> {
    match minor {
        8 | 9 => Some(OLD),
        10 => Some(V3_10),
        11 => Some(V3_11),
        12 => Some(V3_12),
        _ => None,
    }
}

/// What stands before the offsets that a runtime tells.
pub const COOKIE: u64 = u64::from_le_bytes(*b"xdebugpy");
/// Words of `_Py_DebugOffsets` that are looked at, at most.
pub const TOLD_WORDS: usize = 95;

/// The offsets that the runtime of version 3.`minor` tells; `None`: a version whose way to tell
/// them is not known, a free-threaded build, or numbers that can't be.
pub fn told(minor: u32, told: &[u64; TOLD_WORDS]) -> Option<Offsets> {
    let [cookie, version, free_threaded, ..] = *told;
    if cookie != COOKIE || version >> 16 != u64::from(0x300 | minor) || free_threaded != 0 {
        return None;
    }
    let places = match minor {
        13 => [184, 232, 240, 248, 264, 280, 296, 304, 312, 344, 560, 552],
        14 => [208, 256, 264, 272, 288, 320, 336, 344, 352, 384, 640, 632],
        _ => return None,
    };
    let mut fields = [0_u16; 12];
    for (field, place) in fields.iter_mut().zip(places) {
        let value = *told.get(place / 8)?;
        *field = u16::try_from(value).ok().filter(|value| *value < 1024)?;
    }
    let [
        frame,
        previous,
        code,
        instruction,
        owner,
        file,
        name,
        lines,
        first_line,
        first,
        ascii,
        length,
    ] = fields;
    // What follows is not told: it has to be as it always was.
    (length == 16).then_some(Offsets {
        cframe: None,
        frame,
        code,
        previous,
        instruction,
        owner: Some(owner),
        place: Place::Pointer(first),
        file,
        name,
        lines,
        first_line,
        ascii,
        text: ascii + 16,
        generator: Some(Generator { owner, frame: 72 }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 3.14.7 tells of itself, as far as it is looked at.
    fn v3_14() -> [u64; TOLD_WORDS] {
        let mut words = [0; TOLD_WORDS];
        (words[0], words[1]) = (COOKIE, 0x030e_07f0);
        for (place, value) in [
            (208, 72),
            (256, 8),
            (264, 0),
            (272, 56),
            (288, 74),
            (320, 112),
            (336, 128),
            (344, 136),
            (352, 68),
            (384, 208),
            (632, 16),
            (640, 40),
        ] {
            words[place / 8] = value;
        }
        words
    }

    #[test]
    fn what_a_runtime_tells_is_taken() {
        let offsets = told(14, &v3_14()).expect("they are all there");
        assert_eq!(
            offsets,
            Offsets {
                cframe: None,
                frame: 72,
                owner: Some(74),
                place: Place::Pointer(208),
                generator: Some(Generator {
                    owner: 74,
                    frame: 72
                }),
                ..V3_12
            }
        );
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        assert_eq!(told(13, &v3_14()), None, "of another version");
        assert_eq!(told(15, &v3_14()), None);
        for (word, value) in [
            (0, 0),
            (1, 0x030f_00f0),
            (2, 1),
            (632 / 8, 24),
            (26, 1 << 20),
        ] {
            let mut words = v3_14();
            words[word] = value;
            assert_eq!(told(14, &words), None, "word {word}: {value}");
        }
    }
}
