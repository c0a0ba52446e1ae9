//! The memory of another process, read in lots.

use std::fs;
use std::io::IoSliceMut;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use crate::record::procfs;

/// Places read with one system call.
const LOT: usize = 512;
/// Places that begin within so many bytes are read as one: less than a page, so that nothing unmapped lies
/// between two that are mapped.
const SPAN: u64 = 2048;

/// The memory can't be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The process has ended.
    Gone,
    /// We may not.
    Denied,
}

/// A process's memory, and where it was mapped when this was made.
#[derive(Debug)]
pub(crate) struct Memory {
    pid: Pid,
    /// In order, neighbours joined.
    regions: Vec<(u64, u64)>,
}

impl Memory {
    /// Of the process `pid`.
    pub(crate) fn of(pid: u32) -> Result<Memory, Unreadable> {
        let maps = fs::read_to_string(procfs::of(pid) + "/maps");
        let maps = maps.map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => Unreadable::Denied,
            _ => Unreadable::Gone,
        })?;
        let mut regions: Vec<(u64, u64)> = Vec::new();
        for (start, end) in maps.lines().filter_map(readable) {
            match regions.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => regions.push((start, end)),
            }
        }
        // A zombie has none.
        match regions.is_empty() {
            true => Err(Unreadable::Gone),
            false => Ok(Memory {
                pid: Pid::from_raw(pid as i32),
                regions,
            }),
        }
    }

    /// Readable bytes from `address` on, `most` at most.
    fn room(&self, address: u64, most: usize) -> usize {
        let after = self.regions.partition_point(|region| region.0 <= address);
        let region = after.checked_sub(1).and_then(|at| self.regions.get(at));
        let room = region.map_or(0, |region| region.1.saturating_sub(address));
        room.min(most as u64) as usize
    }

    /// Whether something is mapped at `address`.
    pub(crate) fn is_mapped(&self, address: u64) -> bool {
        self.room(address, 1) == 1
    }

    /// `N` words from each of `addresses` on; zeros stand for what can't be read. Quickest where
    /// neighbours follow each other.
    pub(crate) fn words<const N: usize>(
        &self,
        addresses: &[u64],
    ) -> Result<Vec<[u64; N]>, Unreadable> {
        let (mut spans, mut len): (Vec<(u64, usize)>, usize) = (Vec::new(), 0);
        let mut place = |address: u64| {
            let (start, before) = match spans.pop() {
                Some((start, before)) if (start..start + SPAN).contains(&address) => {
                    (start, before)
                }
                other => {
                    spans.extend(other);
                    (address, 0)
                }
            };
            let at = (address - start) as usize;
            let now = before.max(at + N * 8);
            spans.push((start, now));
            len += now - before;
            len - now + at
        };
        let places: Vec<usize> = addresses.iter().map(|address| place(*address)).collect();
        let mut bytes = vec![0; len];
        self.fill(&spans, &mut bytes)?;
        let row = |place: &usize| {
            let row = bytes.get(*place..).unwrap_or_default();
            let mut words = [0; N];
            for (word, bytes) in words.iter_mut().zip(row.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            words
        };
        Ok(places.iter().map(row).collect())
    }

    /// `N` words at `address`.
    pub(crate) fn word<const N: usize>(&self, address: u64) -> Result<[u64; N], Unreadable> {
        let words = self.words(&[address])?;
        Ok(words.first().copied().unwrap_or([0; N]))
    }

    /// Up to `most` bytes at `address`.
    pub(crate) fn bytes(&self, address: u64, most: usize) -> Result<Vec<u8>, Unreadable> {
        let mut bytes = vec![0; self.room(address, most)];
        self.fill(&[(address, bytes.len())], &mut bytes)?;
        Ok(bytes)
    }

    /// The C string at `address`, if it ends within `most` bytes.
    pub(crate) fn string(&self, address: u64, most: usize) -> Result<Option<Vec<u8>>, Unreadable> {
        let mut bytes = self.bytes(address, most)?;
        let end = bytes.iter().position(|byte| *byte == 0);
        Ok(end.map(|end| {
            bytes.truncate(end);
            bytes
        }))
    }

    /// Reads `spans` into `out`, one after the other.
    fn fill(&self, spans: &[(u64, usize)], mut out: &mut [u8]) -> Result<(), Unreadable> {
        for lot in spans.chunks(LOT) {
            let len = lot.iter().map(|span| span.1).sum();
            let Some((mut part, rest)) = out.split_at_mut_checked(len) else {
                break;
            };
            out = rest;
            if self.transfer(lot, part)? {
                continue;
            }
            // Something was unmapped meanwhile: each by itself, and zeros where there is nothing.
            for span in lot {
                let Some((one, rest)) = part.split_at_mut_checked(span.1) else {
                    break;
                };
                self.transfer(std::slice::from_ref(span), one)?;
                part = rest;
            }
        }
        Ok(())
    }

    /// Whether everything that is mapped was read.
    fn transfer(&self, spans: &[(u64, usize)], mut out: &mut [u8]) -> Result<bool, Unreadable> {
        let (mut remote, mut local) = (Vec::new(), Vec::new());
        for (address, len) in spans {
            let Some((part, rest)) = out.split_at_mut_checked(*len) else {
                break;
            };
            out = rest;
            let len = self.room(*address, *len);
            if let Some(part) = part.get_mut(..len).filter(|part| !part.is_empty()) {
                let base = *address as usize;
                remote.push(RemoteIoVec { base, len });
                local.push(IoSliceMut::new(part));
            }
        }
        let wanted: usize = remote.iter().map(|part| part.len).sum();
        if wanted == 0 {
            return Ok(true);
        }
        match process_vm_readv(self.pid, &mut local, &remote) {
            Ok(read) => Ok(read == wanted),
            Err(Errno::ESRCH) => Err(Unreadable::Gone),
            Err(Errno::EPERM | Errno::ENOSYS) => Err(Unreadable::Denied),
            Err(_) => Ok(false),
        }
    }
}

/// The range of a line of `/proc/PID/maps`, where it is readable memory.
fn readable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    // Reading the kernel's own pages fails.
    let ours = rest.starts_with('r') && !rest.ends_with("[vvar]");
    ours.then_some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_this_process() {
        let values: Vec<[u64; 3]> = (0..2000).map(|n| [n, n + 1, u64::MAX - n]).collect();
        let mut at: Vec<u64> = values.iter().map(|row| row.as_ptr() as u64).collect();
        // After them: a heap may have grown for them, and what is mapped is known as it was then.
        let memory = Memory::of(std::process::id()).unwrap();
        assert_eq!(memory.words::<3>(&at).unwrap(), values);
        // What is not mapped is zeros, and harms no other.
        at[700] = 8;
        let read = memory.words::<3>(&at).unwrap();
        assert_eq!(
            (read[699], read[700], read[701]),
            (values[699], [0; 3], values[701])
        );
        assert!(!memory.is_mapped(8) && memory.is_mapped(at[0]));
        let text = c"a text";
        let found = memory.string(text.as_ptr() as u64, 100).unwrap();
        assert_eq!(found.as_deref(), Some(&b"a text"[..]));
        assert_eq!(memory.string(text.as_ptr() as u64, 6).unwrap(), None);
    }

    #[test]
    fn a_process_that_is_not_there() {
        assert_eq!(Memory::of(u32::MAX >> 1).err(), Some(Unreadable::Gone));
    }
}
