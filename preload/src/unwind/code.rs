//! Whether an address can be a return address at all. The frame-pointer convention is a guess, and
//! code that uses rbp for something else would make frames of arbitrary data.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::table::Table;

const SLOTS: usize = 1 << 12;

/// Return addresses that were looked at, each in the slot that its low bits say. Code that a JIT
/// replaced meanwhile may still be taken for what it was: no harm to a guess.
// SAFETY: zeros are valid atomics.
static SEEN: Table<[AtomicU64; SLOTS]> = unsafe { Table::new() };

/// The longest call: a prefix, the opcode, ModRM, SIB, and four bytes of displacement.
const LONGEST: u64 = 8;

/// Whether the instruction before `address` is a call. `read` gives aligned words of memory, or
/// nothing where there is none.
pub(super) fn follows_call(address: u64, read: impl Fn(u64) -> Option<u64>) -> bool {
    // No code lies in the lowest page.
    if address < 4096 + LONGEST {
        return false;
    }
    let seen = SEEN.needed();
    let seen = seen.and_then(|seen| seen.get(address as usize % SLOTS));
    // Relaxed, here and below: a word by itself.
    if seen.is_some_and(|seen| seen.load(Ordering::Relaxed) == address) {
        return true;
    }
    let mut bytes = [0_u8; LONGEST as usize];
    for (byte, at) in bytes.iter_mut().zip(address - LONGEST..) {
        let Some(word) = read(at & !7) else {
            return false;
        };
        *byte = (word >> (8 * (at & 7))) as u8;
    }
    let found = ends_with_call(&bytes);
    if let Some(seen) = seen.filter(|_| found) {
        seen.store(address, Ordering::Relaxed);
    }
    found
}

/// `call rel32`, or `call r/m64` of any length: FF /2.
fn ends_with_call(code: &[u8; LONGEST as usize]) -> bool {
    let [.., opcode, _, _, _, _] = code;
    if *opcode == 0xe8 {
        return true;
    }
    (2..=7).any(|length| {
        let call = code.get(code.len() - length..).unwrap_or(&[]);
        matches!(call, [0xff, modrm, ..] if modrm >> 3 & 7 == 2 && call_length(*modrm, call.get(2)) == length)
    })
}

/// The length of FF /2 with this ModRM byte and, where it has one, this SIB byte.
fn call_length(modrm: u8, sib: Option<&u8>) -> usize {
    let (mode, base) = (modrm >> 6, modrm & 7);
    let with_sib = usize::from(mode != 3 && base == 4);
    let no_base = base == 5 || (with_sib == 1 && sib.is_some_and(|sib| sib & 7 == 5));
    let displacement = match mode {
        0 if no_base => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    2 + with_sib + displacement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follows(code: &[u8]) -> bool {
        let mut bytes = [0x90; 16];
        bytes[13 - code.len()..13].copy_from_slice(code);
        let (low, high) = bytes.split_at(8);
        let words = [low, high].map(|half| u64::from_le_bytes(half.try_into().unwrap()));
        // An address of its own for each, so that none was seen before.
        static NEXT: AtomicU64 = AtomicU64::new(1 << 40);
        let start = NEXT.fetch_add(4096, Ordering::Relaxed);
        follows_call(start + 13, |slot| {
            words.get(((slot - start) / 8) as usize).copied()
        })
    }

    #[test]
    fn calls_of_every_form() {
        for code in [
            &[0xe8, 1, 2, 3, 4][..],
            &[0xff, 0xd0],             // call rax
            &[0x41, 0xff, 0xd3],       // call r11
            &[0xff, 0x10],             // call [rax]
            &[0xff, 0x14, 0x24],       // call [rsp]
            &[0xff, 0x50, 8],          // call [rax+8]
            &[0xff, 0x54, 0x24, 8],    // call [rsp+8]
            &[0xff, 0x15, 1, 2, 3, 4], // call [rip+...]
            &[0xff, 0x90, 1, 2, 3, 4], // call [rax+...]
            &[0xff, 0x94, 0x24, 1, 2, 3, 4],
            &[0xff, 0x14, 0x25, 1, 2, 3, 4],
        ] {
            assert!(follows(code), "{code:x?}");
        }
    }

    #[test]
    fn other_code_and_no_code() {
        for code in [
            &[0x90][..],
            &[0xff, 0xc0],             // inc eax
            &[0xff, 0x25, 1, 2, 3, 4], // jmp [rip+...]
            &[0xff, 0x50],
            &[0xe8, 1, 2, 3],
        ] {
            assert!(!follows(code), "{code:x?}");
        }
        assert!(!follows_call(1 << 41, |_| None));
        for address in [0, 1, 4096, u64::MAX] {
            assert!(!follows_call(address, |_| None));
        }
    }
}
