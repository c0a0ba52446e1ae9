//! What is told of a code object: its file, its name, its line table.

use leak_wire::{Bytes, Event};

use super::interpreter::Interpreter;
use super::offsets::Offsets;

/// Bits of a string's state word: its text follows the head; and it is ASCII.
const COMPACT: u32 = 1 << 5;
const ASCII: u32 = 1 << 6;
/// A file name is cut so that the function's name has room.
const LONGEST_FILE: usize = 3072;

/// Tells the code object at `code` as `number`. False: not all was taken, so it is not told.
///
/// # Safety
/// `code` is a live object of `interpreter`, on the stack of the calling thread, which holds the GIL.
pub unsafe fn tell(
    interpreter: &Interpreter,
    code: u64,
    number: u32,
    buffer: &mut [u8; Bytes::MAX],
    tell: &mut impl FnMut(Event<'_>) -> bool,
) -> bool {
    let offsets = &interpreter.offsets;
    let at = |offset: u16| code + u64::from(offset);
    // SAFETY: a field of a live object of the interpreter, at its own offset; so it is below.
    let word = |address: u64| unsafe { (address as *const u64).read() };
    if word(code + 8) != interpreter.code_type {
        return false;
    }
    // SAFETY: as above.
    let first_line = unsafe { (at(offsets.first_line) as *const i32).read() };
    let mut written = 0;
    // SAFETY: the code's names are strings, the table is a bytes object.
    unsafe {
        utf8(
            offsets,
            word(at(offsets.file)),
            buffer,
            &mut written,
            LONGEST_FILE,
        );
        if let Some(byte) = buffer.get_mut(written) {
            *byte = 0;
            written += 1;
        }
        utf8(
            offsets,
            word(at(offsets.name)),
            buffer,
            &mut written,
            Bytes::MAX,
        );
    }
    let told = tell(Event::PythonCode {
        code: number,
        first_line: u32::try_from(first_line).unwrap_or(0),
        version: interpreter.version,
        text: Bytes::Slice(buffer.get(..written).unwrap_or_default()),
    });
    // SAFETY: as above.
    told && unsafe { lines(word(at(offsets.lines)), number, tell) }
}

/// # Safety
/// `table` is null or a live bytes object.
unsafe fn lines(table: u64, number: u32, tell: &mut impl FnMut(Event<'_>) -> bool) -> bool {
    if table == 0 {
        return true;
    }
    // SAFETY: a bytes object has its length at 16 and its bytes at 32.
    let bytes = unsafe {
        let length = (table as *const usize).add(2).read();
        core::slice::from_raw_parts((table + 32) as *const u8, length)
    };
    let mut offset = 0;
    bytes.chunks(Bytes::MAX).all(|piece| {
        let event = Event::PythonLines {
            code: number,
            offset,
            bytes: Bytes::Slice(piece),
        };
        offset += piece.len() as u32;
        tell(event)
    })
}

/// Appends a string's text, so far as it has room below `limit`.
///
/// # Safety
/// `string` is null or a live string of the interpreter.
unsafe fn utf8(
    offsets: &Offsets,
    string: u64,
    buffer: &mut [u8; Bytes::MAX],
    written: &mut usize,
    limit: usize,
) {
    if string == 0 {
        return;
    }
    // SAFETY: a string has its length at 16 and its state at 32.
    let (length, state) = unsafe {
        let length = (string as *const usize).add(2).read();
        (length, ((string + 32) as *const u32).read())
    };
    if state & COMPACT == 0 {
        return;
    }
    let ascii = state & ASCII != 0;
    let data = string + u64::from(if ascii { offsets.ascii } else { offsets.text });
    let width = (state >> 2 & 7) as u64;
    for index in 0..length as u64 {
        // SAFETY: the text has `length` characters of `width` bytes.
        let character = unsafe {
            match width {
                2 => u32::from(((data + index * 2) as *const u16).read()),
                4 => ((data + index * 4) as *const u32).read(),
                _ => u32::from(((data + index) as *const u8).read()),
            }
        };
        let character = char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        let end = *written + bytes.len();
        let Some(room) = buffer.get_mut(*written..end).filter(|_| end <= limit) else {
            return;
        };
        room.copy_from_slice(bytes);
        *written = end;
    }
}
