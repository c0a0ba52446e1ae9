//! How a target has functions of its own traced, an allocator's or those by which a runtime runs its tasks: it
//! asks the recorder, which reads the symbols and the machine code of the file, for *detours*: a jump at each
//! function's entry into code that the recorder writes for the target, and from there to a hook. What the two
//! say to each other is here.
//!
//! All numbers are little-endian. The request is `D`, then [`Request`]; the answer is `P`, then
//! [`Answer`], or `E` and a line of text that says why not.

/// What a function takes and gives; the number of the hook that stands in for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// `(size, ..) -> block`.
    Allocate = 0,
    /// The same, and may throw or call the program's own code: C++ `operator new`.
    Operator = 1,
    /// `(count, size, ..) -> block`.
    Count = 2,
    /// `(alignment, size) -> block`.
    Aligned = 3,
    /// `(place, alignment, size) -> int`.
    Place = 4,
    /// `(block, size, ..) -> block`.
    Resize = 5,
    /// `(block, count, size) -> block`.
    ResizeCount = 6,
    /// `(block, ..)`.
    Free = 7,
    /// `(task)`: runs the task that lies in this block, up to its next wait. It calls the program's own code.
    Poll = 8,
}

/// How many [`Shape`]s there are.
pub const SHAPES: usize = 9;
/// The longest message.
pub const MAX_MESSAGE: usize = 128 << 10;
/// Bytes of code that a target has room for, for one module: some 1,300 entries.
pub const CODE_BYTES: usize = 64 << 10;
/// Bytes that a detour writes over the entry: `jmp rel32`.
pub const JUMP: usize = 5;
/// Where a jump leads, so many bytes come before the instructions that gave way to it.
pub const STUB: usize = 21;
/// The most bytes of whole instructions that it writes over.
pub const MAX_DISPLACED: usize = JUMP + 14;

/// Which functions of a module are detoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Entries {
    /// An allocator's, all of them or none.
    Allocator = 0,
    /// Those by which runtimes run their tasks, as many as can be.
    Tasks = 1,
}

/// What the recorder finds in an executable that is to be detoured: the first letter of its welcome says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brings {
    /// An allocator of its own.
    pub allocator: bool,
    /// A runtime with tasks.
    pub tasks: bool,
}

impl Brings {
    const LETTERS: [(u8, Brings); 4] = [
        (b'K', Brings::new(false, false)),
        (b'O', Brings::new(true, false)),
        (b'T', Brings::new(false, true)),
        (b'B', Brings::new(true, true)),
    ];

    const fn new(allocator: bool, tasks: bool) -> Brings {
        Brings { allocator, tasks }
    }

    /// The letter that says so.
    pub fn letter(self) -> u8 {
        let mut letters = Brings::LETTERS.into_iter();
        let found = letters.find_map(|(letter, brings)| (brings == self).then_some(letter));
        found.unwrap_or(b'K')
    }

    /// What the letter says; `None` where it is no welcome.
    pub fn read(letter: u8) -> Option<Brings> {
        let mut letters = Brings::LETTERS.into_iter();
        letters.find_map(|(known, brings)| (known == letter).then_some(brings))
    }
}

/// What a target tells of a module and of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Which functions are asked for.
    pub entries: Entries,
    /// Runtime address minus file address.
    pub bias: u64,
    /// Where the code is to lie: memory near the module.
    pub code: u64,
    /// How much may lie there.
    pub code_bytes: u64,
    /// The hooks' addresses, by [`Shape`].
    pub hooks: [u64; SHAPES],
    /// The module's path; empty: the executable.
    pub path: &'a [u8],
}

const NUMBERS: usize = 4 + SHAPES;

impl<'a> Request<'a> {
    /// Puts the request, with its letter, into `out`; its length, if it fits.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let (letter, rest) = out.split_first_mut()?;
        *letter = b'D';
        let (numbers, rest) = rest.split_at_mut_checked(NUMBERS * 8)?;
        let all = [self.entries as u64, self.bias, self.code, self.code_bytes];
        for (place, number) in numbers
            .chunks_exact_mut(8)
            .zip(all.iter().chain(&self.hooks))
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        rest.get_mut(..self.path.len())?.copy_from_slice(self.path);
        Some(1 + NUMBERS * 8 + self.path.len())
    }

    /// The request whose letter was taken off.
    pub fn read(bytes: &'a [u8]) -> Option<Request<'a>> {
        let (numbers, path) = bytes.split_at_checked(NUMBERS * 8)?;
        let mut numbers = numbers.chunks_exact(8).filter_map(u64_of);
        let entries = match numbers.next()? {
            0 => Entries::Allocator,
            1 => Entries::Tasks,
            _ => return None,
        };
        let (bias, code, code_bytes) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let mut hooks = [0; SHAPES];
        for hook in &mut hooks {
            *hook = numbers.next()?;
        }
        Some(Request {
            entries,
            bias,
            code,
            code_bytes,
            hooks,
            path,
        })
    }
}

fn u64_of(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// One detour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detour {
    /// The entry, at runtime.
    pub at: u64,
    /// What must lie there: the instructions that the recorder found in the file.
    pub before: [u8; MAX_DISPLACED],
    /// How many bytes of `before` that is.
    pub length: u8,
    /// What is written over the first of them.
    pub jump: [u8; JUMP],
}

const DETOUR: usize = 8 + MAX_DISPLACED + 1 + JUMP;

impl Detour {
    fn write(&self, out: &mut [u8]) -> Option<()> {
        let (at, rest) = out.split_at_mut_checked(8)?;
        at.copy_from_slice(&self.at.to_le_bytes());
        let (before, rest) = rest.split_at_mut_checked(MAX_DISPLACED)?;
        before.copy_from_slice(&self.before);
        let (length, jump) = rest.split_first_mut()?;
        *length = self.length;
        jump.get_mut(..JUMP)?.copy_from_slice(&self.jump);
        Some(())
    }

    fn read(bytes: &[u8]) -> Option<Detour> {
        let (at, rest) = bytes.split_first_chunk()?;
        let (before, rest) = rest.split_first_chunk()?;
        let (length, jump) = rest.split_first()?;
        let detour = Detour {
            at: u64::from_le_bytes(*at),
            before: *before,
            length: *length,
            jump: *jump.first_chunk()?,
        };
        (JUMP..=MAX_DISPLACED)
            .contains(&usize::from(*length))
            .then_some(detour)
    }

    /// The instructions that must lie at the entry.
    pub fn displaced(&self) -> &[u8] {
        self.before.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// Where those lie now: called there, the function does as if nothing was written over it.
    pub fn undetoured(&self) -> u64 {
        let [_, distance @ ..] = self.jump;
        let stub = (self.at + JUMP as u64).wrapping_add_signed(i32::from_le_bytes(distance).into());
        stub.wrapping_add(STUB as u64)
    }
}

/// What the recorder answers: detours and the code that they lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    detours: &'a [u8],
    /// What is to lie at [`Request::code`].
    pub code: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Puts an answer, with its letter, into `out`; its length, if it fits.
    pub fn write(detours: &[Detour], code: &[u8], out: &mut [u8]) -> Option<usize> {
        let (letter, rest) = out.split_first_mut()?;
        *letter = b'P';
        let (count, rest) = rest.split_at_mut_checked(8)?;
        count.copy_from_slice(&(detours.len() as u64).to_le_bytes());
        let size = detours.len() * DETOUR;
        let (table, rest) = rest.split_at_mut_checked(size)?;
        for (place, detour) in table.chunks_exact_mut(DETOUR).zip(detours) {
            detour.write(place)?;
        }
        rest.get_mut(..code.len())?.copy_from_slice(code);
        Some(1 + 8 + size + code.len())
    }

    /// The answer whose letter was taken off.
    pub fn read(bytes: &'a [u8]) -> Option<Answer<'a>> {
        let (count, rest) = bytes.split_at_checked(8)?;
        let size = usize::try_from(u64_of(count)?).ok()?.checked_mul(DETOUR)?;
        let (detours, code) = rest.split_at_checked(size)?;
        let answer = Answer { detours, code };
        (answer.detours().count() * DETOUR == size).then_some(answer)
    }

    /// The detours.
    pub fn detours(&self) -> impl Iterator<Item = Detour> + 'a {
        self.detours.chunks_exact(DETOUR).filter_map(Detour::read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = Request {
            entries: Entries::Tasks,
            bias: 1,
            code: 2,
            code_bytes: u64::MAX,
            hooks: core::array::from_fn(|number| number as u64),
            path: b"/lib/x",
        };
        let mut bytes = [0; 200];
        let length = request.write(&mut bytes).unwrap();
        assert_eq!(bytes[0], b'D');
        assert_eq!(Request::read(&bytes[1..length]), Some(request));
        assert_eq!(Request::read(&bytes[1..50]), None);
        assert_eq!(request.write(&mut bytes[..length - 1]), None);
    }

    #[test]
    fn a_welcome_says_what_the_executable_brings() {
        for (letter, brings) in Brings::LETTERS {
            assert_eq!(brings.letter(), letter);
            assert_eq!(Brings::read(letter), Some(brings));
        }
        assert_eq!(Brings::read(b'E'), None);
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let detours: Vec<Detour> = (0..3)
            .map(|number| Detour {
                at: number,
                before: [number as u8; MAX_DISPLACED],
                length: 7,
                jump: [0xe9, 1, 2, 3, 4],
            })
            .collect();
        let mut bytes = [0; 400];
        let length = Answer::write(&detours, b"code", &mut bytes).unwrap();
        let answer = Answer::read(&bytes[1..length]).unwrap();
        assert_eq!(answer.detours().collect::<Vec<_>>(), detours);
        assert_eq!(answer.code, b"code");
        assert_eq!(detours[2].displaced(), [2; 7]);
        assert_eq!(detours[2].undetoured(), 2 + 5 + 0x0403_0201 + 21);
        // Anything else is no answer.
        assert_eq!(Answer::read(&bytes[1..40]), None);
        bytes[1] = 0xff;
        assert_eq!(Answer::read(&bytes[1..length]), None);
        bytes[1] = 3;
        bytes[9 + 8 + MAX_DISPLACED] = 200;
        assert_eq!(Answer::read(&bytes[1..length]), None);
    }
}
