//! Compresses chunks; those of events column by column, each as well as it pays.
//!
//! What zstd wins has two sources: numbers that are frequent get fewer bits (Huffman), and those that come again in
//! the same order are told once. Addresses and sizes of a busy thread often have only the former. The search for the
//! latter is most of the work then and wins little. So both ways are tried now and then.

use std::io;
use std::ops::Range;

use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, ParamSwitch, compress_bound};

use super::columns::COLUMNS;

/// zstd's fastest that searches well; higher levels cost more than they save.
const LEVEL: i32 = 1;
/// Bytes that the search goes on by, where there is to be none: more than a block has.
const NO_SEARCH: u32 = 1 << 17;
/// Bytes of a column that is compressed by itself; smaller ones go with their neighbours.
const ALONE: usize = 4 << 10;
/// How many chunks more are compressed by what was best for one, at most: what threads do first is not what they do.
const TRUSTED: u8 = 15;

/// How the columns of a thread are compressed.
#[derive(Debug, Default)]
pub(super) struct Habits([Habit; COLUMNS]);

#[derive(Debug, Default)]
struct Habit {
    /// Without a search.
    plainly: bool,
    /// For so many chunks more.
    trusted: u8,
    /// For so many when it was tried last.
    span: u8,
}

/// Compresses to frames of zstd.
pub(super) struct Packer {
    search: Compressor<'static>,
    plain: Compressor<'static>,
    other: Vec<u8>,
}

impl Packer {
    /// One that has memory for its work.
    pub(super) fn new() -> io::Result<Packer> {
        let mut plain = Compressor::new(LEVEL)?;
        plain.set_parameter(CParameter::TargetLength(NO_SEARCH))?;
        // Else it would leave out this, too.
        plain.set_parameter(CParameter::LiteralCompressionMode(ParamSwitch::Enable))?;
        Ok(Packer {
            search: Compressor::new(LEVEL)?,
            plain,
            other: Vec::new(),
        })
    }

    /// Appends `raw` to `out` as one frame.
    pub(super) fn whole(&mut self, raw: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        frame(&mut self.search, raw, out)
    }

    /// Appends `raw`, which ends with these columns, to `out` as one frame or more.
    pub(super) fn columns(
        &mut self,
        raw: &[u8],
        columns: &[Range<usize>; COLUMNS],
        habits: &mut Habits,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut done = 0;
        for (column, habit) in columns.iter().zip(&mut habits.0) {
            if column.len() >= ALONE {
                self.rest(&raw[done..column.start], out)?;
                self.column(&raw[column.clone()], habit, out)?;
                done = column.end;
            }
        }
        self.rest(&raw[done..], out)
    }

    fn rest(&mut self, raw: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match raw {
            [] => Ok(()),
            _ => self.whole(raw, out),
        }
    }

    fn column(&mut self, raw: &[u8], habit: &mut Habit, out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(trusted) = habit.trusted.checked_sub(1) {
            habit.trusted = trusted;
            return match habit.plainly {
                true => frame(&mut self.plain, raw, out),
                false => frame(&mut self.search, raw, out),
            };
        }
        let begin = out.len();
        frame(&mut self.search, raw, out)?;
        self.other.clear();
        frame(&mut self.plain, raw, &mut self.other)?;
        // The search is not worth it where it saves less than a fifth, and less than a bit for each byte that it looks
        // at: of addresses of Python and of compilers it saves two, of those of a storm one at most.
        let (plain, searched) = (self.other.len(), out.len() - begin);
        let plainly = plain * 4 <= searched * 5 && plain <= searched + raw.len() / 8;
        habit.span = match plainly == habit.plainly {
            true => TRUSTED.min(habit.span * 2 + 1),
            false => 1,
        };
        (habit.plainly, habit.trusted) = (plainly, habit.span);
        if habit.plainly {
            out.truncate(begin);
            out.extend_from_slice(&self.other);
        }
        Ok(())
    }
}

fn frame(compressor: &mut Compressor<'_>, raw: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let begin = out.len();
    out.resize(begin + compress_bound(raw.len()), 0);
    let size = compressor.compress_to_buffer(raw, &mut out[begin..])?;
    out.truncate(begin + size);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of these lengths, after ten bytes of something else.
    fn columns(lengths: [usize; COLUMNS]) -> [Range<usize>; COLUMNS] {
        let mut end = 10;
        lengths.map(|len| {
            let start = end;
            end += len;
            start..end
        })
    }

    /// Frames of `raw`, which give `raw` again; and how many there are.
    fn packed(
        raw: &[u8],
        columns: &[Range<usize>; COLUMNS],
        habits: &mut Habits,
    ) -> (usize, usize) {
        let mut out = Vec::new();
        let mut packer = Packer::new().unwrap();
        packer.columns(raw, columns, habits, &mut out).unwrap();
        assert_eq!(zstd::bulk::decompress(&out, raw.len()).unwrap(), raw);
        let (mut rest, mut frames) = (&out[..], 0);
        while !rest.is_empty() {
            let size = zstd::zstd_safe::find_frame_compressed_size(rest).unwrap();
            rest = &rest[size..];
            frames += 1;
        }
        (out.len(), frames)
    }

    #[test]
    fn what_repeats_is_searched_for_and_what_does_not_is_not() {
        const LEN: usize = 64 << 10;
        let columns = columns([LEN, 100, LEN, 0, 0, 0, 10, 0, LEN]);
        let mut raw = vec![7; columns[8].end];
        let mut random = 1_u64;
        let mut next = || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 40) as u8 % 20
        };
        raw[columns[2].clone()].fill_with(&mut next);
        let motif: Vec<u8> = (0..1000).map(|_| next()).collect();
        for (byte, value) in raw[columns[8].clone()].iter_mut().zip(motif.iter().cycle()) {
            *byte = *value;
        }
        let mut habits = Habits::default();
        let (len, frames) = packed(&raw, &columns, &mut habits);
        // Ten bytes and what lies between have frames of their own.
        assert_eq!(frames, 6);
        let ways = habits
            .0
            .each_ref()
            .map(|habit| (habit.plainly, habit.trusted));
        // All alike: there is nothing to search.
        assert_eq!(ways[0], (true, 1));
        assert_eq!(ways[2], (true, 1));
        assert_eq!(ways[8], (false, 1));
        assert_eq!(ways[1], (false, 0));
        // 20 values have 4.3 bits.
        assert!(len < LEN * 44 / 80 + 3000, "{len}");
        // Trusted for one chunk, then for 3, 7, 15.
        for left in [0, 3, 2, 1, 0, 7, 6, 5, 4, 3, 2, 1, 0, TRUSTED] {
            assert_eq!(packed(&raw, &columns, &mut habits), (len, frames));
            assert_eq!(habits.0[2].trusted, left);
        }
        // Once it repeats it is tried again, when it is time.
        raw.copy_within(columns[8].clone(), columns[2].start);
        for _ in 0..TRUSTED {
            packed(&raw, &columns, &mut habits);
            assert!(habits.0[2].plainly);
        }
        packed(&raw, &columns, &mut habits);
        assert_eq!((habits.0[2].plainly, habits.0[2].trusted), (false, 1));
    }

    #[test]
    fn small_columns_are_one_frame() {
        let columns = columns([100, 0, 50, 1000, 0, 0, 0, 0, ALONE - 1]);
        let raw = vec![1; columns[8].end];
        let (_, frames) = packed(&raw, &columns, &mut Habits::default());
        assert_eq!(frames, 1);
    }
}
