//! Line tables of Python code objects: which line an instruction belongs to.
//!
//! Three formats: `co_lnotab` (to 3.9), `co_linetable` of PEP 626 (3.10), and the location table
//! (from 3.11; CPython's `InternalDocs/code_objects.md`). Any bytes are read without trust.

/// An instruction before the first one: the frame has not begun, its line is the first.
pub const BEFORE_FIRST: u32 = u32::MAX;

/// A table, decoded: runs of instructions with one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    first_line: u32,
    /// (first byte of the run, its line), rising.
    runs: Vec<(u32, Option<u32>)>,
    end: u32,
}

impl Layout {
    /// The line of the instruction that begins `offset` bytes into the code.
    pub fn line(&self, offset: u32) -> Option<u32> {
        if offset == BEFORE_FIRST {
            return Some(self.first_line);
        }
        let after = self.runs.partition_point(|(start, _)| *start <= offset);
        let run = self.runs.get(after.checked_sub(1)?)?;
        run.1.filter(|_| offset < self.end)
    }

    fn push(&mut self, start: u32, line: Option<i64>) {
        let line = line.and_then(|line| u32::try_from(line).ok());
        match self.runs.last_mut() {
            Some(last) if last.0 == start => last.1 = line,
            Some(last) if last.1 == line => {}
            _ => self.runs.push((start, line)),
        }
    }
}

/// Decodes the table of code that begins at `first_line`, in the format of the interpreter's `version`
/// (major · 256 + minor).
pub fn decode(version: u32, table: &[u8], first_line: u32) -> Layout {
    let mut layout = Layout {
        first_line,
        ..Layout::default()
    };
    match version {
        ..0x30a => line_number_table(&mut layout, table),
        0x30a => line_table(&mut layout, table),
        _ => location_table(&mut layout, table),
    }
    layout
}

/// Pairs of (bytes to go on, lines to go on): the line changes *after* the bytes.
fn line_number_table(layout: &mut Layout, table: &[u8]) {
    let (mut at, mut line) = (0_u32, i64::from(layout.first_line));
    layout.push(0, Some(line));
    for pair in table.chunks_exact(2) {
        at = at.saturating_add(pair[0].into());
        line += i64::from(pair[1] as i8);
        layout.push(at, Some(line));
    }
    // Only here the last line goes on to the end of the code, which is not told.
    layout.end = u32::MAX;
}

/// Pairs of (bytes of the run, lines from the run before); −128 is no line.
fn line_table(layout: &mut Layout, table: &[u8]) {
    let mut line = i64::from(layout.first_line);
    for pair in table.chunks_exact(2) {
        let step = pair[1] as i8;
        let told = (step != i8::MIN).then(|| {
            line += i64::from(step);
            line
        });
        if pair[0] != 0 {
            layout.push(layout.end, told);
        }
        layout.end = layout.end.saturating_add(pair[0].into());
    }
}

/// Entries that begin with the only byte whose highest bit is set: kind and length in code units.
fn location_table(layout: &mut Layout, table: &[u8]) {
    let mut line = i64::from(layout.first_line);
    let mut rest = table;
    while let Some((first, after)) = rest.split_first() {
        let tail = after.iter().take_while(|byte| **byte & 0x80 == 0).count();
        let (fields, next) = after.split_at(tail);
        rest = next;
        let bytes = (u32::from(first & 7) + 1) * 2;
        let told = match first >> 3 & 15 {
            15 => None,
            // With columns, or without: the line comes first.
            13 | 14 => {
                line = line.saturating_add(signed(fields));
                Some(line)
            }
            kind @ 10..=12 => {
                line += i64::from(kind) - 10;
                Some(line)
            }
            _ => Some(line),
        };
        layout.push(layout.end, told);
        layout.end = layout.end.saturating_add(bytes);
    }
}

/// A number of six bits a byte, the lowest first, bit 6 set where it goes on; its own lowest bit is
/// the sign.
fn signed(bytes: &[u8]) -> i64 {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x3f) << (6 * index);
        if byte & 0x40 == 0 {
            break;
        }
    }
    let magnitude = (value >> 1) as i64;
    if value & 1 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests;
