//! The numbers of the code objects that a thread has come to last, found without the table that all threads share.

use super::codes;

/// Numbers that are remembered; of two with the same place the later one.
const NUMBERS: usize = 1 << 12;
/// Of code that is no function's: what the interpreter lets return from an `__init__` that it calls without leaving its
/// loop.
pub const OF_INTERPRETER: u32 = u32::MAX;

/// The number of a code object. All zeros is none.
#[derive(Clone, Copy)]
struct Number {
    code: u64,
    /// 0: there is none.
    number: u32,
    /// The code object's, when this was found out.
    version: u32,
}

/// All zeros is empty.
pub struct Numbers([Number; NUMBERS]);

impl Numbers {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(|number| number.number = 0);
    }

    /// The number of the live code object `code`, where it is remembered.
    #[inline(always)]
    pub fn known(&self, code: u64) -> Option<u32> {
        let known = self.0.get(place_of(code))?;
        let is_it = (known.code, known.version) == (code, codes::version(code));
        (is_it && known.number != 0).then_some(known.number)
    }

    /// The same; `find` finds it where it is not remembered (0: it can't).
    pub fn number(&mut self, code: u64, find: impl FnOnce() -> u32) -> u32 {
        if let Some(known) = self.known(code) {
            return known;
        }
        let version = codes::version(code);
        let number = find();
        // When other code is freed, nobody tells.
        let lasts = number != OF_INTERPRETER;
        if let Some(place) = self.0.get_mut(place_of(code)).filter(|_| lasts) {
            *place = Number {
                code,
                number,
                version,
            };
        }
        number
    }
}

#[inline(always)]
fn place_of(code: u64) -> usize {
    ((code >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % NUMBERS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;

    #[test]
    fn a_number_is_found_once_but_for_what_is_freed_unseen() {
        // SAFETY: all zeros is empty.
        let mut numbers: Box<Numbers> = unsafe { Box::new_zeroed().assume_init() };
        assert_eq!(numbers.number(0x1000, || 7), 7);
        assert_eq!(numbers.number(0x1000, || panic!("it is remembered")), 7);
        assert_eq!(numbers.known(0x1000), Some(7));
        assert_eq!(numbers.number(0x2000, || 0), 0);
        assert_eq!(numbers.number(0x2000, || OF_INTERPRETER), OF_INTERPRETER);
        assert_eq!(numbers.number(0x2000, || 8), 8, "none of them is kept");
        numbers.clear();
        assert_eq!(numbers.known(0x1000), None);
    }
}
