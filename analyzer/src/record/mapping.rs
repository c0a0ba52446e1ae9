//! The shared mapping, and the one cast from its bytes to the wire's types.
//!
//! Every target may write everywhere in it at any time. So only atomics are ever seen here, copies
//! are taken before numbers are checked, and nothing in it decides how much of it is touched: the
//! geometry is our own.

use std::fs::{File, Permissions};
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use leak_wire::build::BUILD;
use leak_wire::layout::{
    Geometry, LANES_AT, LaneHeader, MAGIC, PROCESS_SLOTS, PROCESSES_AT, ProcessSlot, SessionHeader,
};
use leak_wire::order::next_stamp;
use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::settings::Settings;
use super::system;

/// The mapping of a session, made by us.
pub(crate) struct Mapping {
    file: File,
    map: MmapRaw,
    geometry: Geometry,
}

impl Mapping {
    /// Makes the mapping called `name`, with lanes of so many bytes: sized, sealed, its headers allocated
    /// and filled.
    pub(crate) fn create(name: &str, bytes: u64, settings: &Settings) -> io::Result<Mapping> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create(name, flags)?);
        // For whoever gets at it through /proc: it is the user's alone, as the trace is.
        file.set_permissions(Permissions::from_mode(0o600))?;
        let geometry = Geometry::for_budget(bytes);
        file.set_len(geometry.total_bytes() as u64)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
        let headers = geometry.lane(0).map_or(LANES_AT, |(_, offset)| offset);
        allocate(&file, 0, headers)?;
        let map = MmapOptions::new()
            .len(geometry.total_bytes())
            .map_raw(&file)?;
        let mapping = Mapping {
            file,
            map,
            geometry,
        };
        mapping.fill(settings);
        Ok(mapping)
    }

    fn fill(&self, settings: &Settings) {
        let header = self.header();
        // Relaxed: targets get the mapping with a message only after all of this.
        let order = Ordering::Relaxed;
        for class in 0..self.geometry.lanes.len() {
            header.class_lanes[class].store(self.geometry.lanes[class], order);
            header.class_words[class].store(self.geometry.words[class], order);
        }
        header.recorder_pid.store(std::process::id(), order);
        header.full.store(u32::from(settings.drop_when_full), order);
        header.depth.store(settings.depth, order);
        header.follow.store(u32::from(settings.follow), order);
        header.python.store(u32::from(settings.python), order);
        header.gc_every.store(settings.gc_every, order);
        for name in &settings.headers {
            header.headers.add(name.as_bytes());
        }
        header.quiet.store(u32::from(settings.quiet), order);
        header.sample_bytes.store(settings.sample, order);
        header.next_connection.store(1, order);
        header.next_image.store(1, order);
        header.first_tick.store(system::tick(), order);
        header.build.store(BUILD, order);
        header.magic.store(MAGIC, order);
    }

    /// The memfd, to be sent to targets.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The geometry that we chose.
    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Gives the words of lanes of one class memory, so that no write to them can fail.
    pub(crate) fn allocate_lanes(&self, lanes: Range<usize>) -> io::Result<()> {
        let count = lanes.len();
        if count == 0 {
            return Ok(());
        }
        match self.geometry.lane(lanes.start) {
            Some((words, offset)) => allocate(&self.file, offset, count * words * 8),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    /// What we say to targets.
    pub(crate) fn header(&self) -> &SessionHeader {
        // SAFETY: the header lies at the start of the mapping, which is page aligned, as long as its
        // file, sealed against shrinking, and mapped as long as `self`. It is made of atomics, for
        // which every bit pattern is valid and writes by others are no data race.
        unsafe { &*self.map.as_ptr().cast::<SessionHeader>() }
    }

    /// All process slots.
    pub(crate) fn slots(&self) -> &[ProcessSlot] {
        // SAFETY: as for `header`; PROCESSES_AT is a multiple of the slot's alignment, and the
        // mapping is longer than LANES_AT, where the slots end.
        unsafe {
            let first = self.map.as_ptr().add(PROCESSES_AT).cast::<ProcessSlot>();
            std::slice::from_raw_parts(first, PROCESS_SLOTS)
        }
    }

    /// Ticks since the session's start.
    pub(crate) fn ticks(&self) -> u64 {
        // Relaxed: written once, by us.
        let first = self.header().first_tick.load(Ordering::Relaxed);
        system::tick().saturating_sub(first)
    }

    /// The next stamp of the session: later than all that was recorded before.
    pub(crate) fn stamp(&self) -> u64 {
        next_stamp(&self.header().epoch.0, self.ticks())
    }

    /// All lane headers.
    pub(crate) fn lanes(&self) -> &[LaneHeader] {
        // SAFETY: as for `header`; LANES_AT is a multiple of the lane header's alignment, and the
        // mapping was made as long as the same geometry says, with `lane_count` of them.
        unsafe {
            let first = self.map.as_ptr().add(LANES_AT).cast::<LaneHeader>();
            std::slice::from_raw_parts(first, self.geometry.lane_count())
        }
    }

    /// The words of lane `index`; none past the last.
    pub(crate) fn words(&self, index: usize) -> &[AtomicU64] {
        let Some((words, offset)) = self.geometry.lane(index) else {
            return &[];
        };
        // SAFETY: as for `header`; the geometry places each lane page aligned and inside its total,
        // which is the mapping's length.
        unsafe {
            let first = self.map.as_ptr().add(offset).cast::<AtomicU64>();
            std::slice::from_raw_parts(first, words)
        }
    }
}

/// Gives `len` bytes at `offset` memory.
fn allocate(file: &File, offset: usize, len: usize) -> io::Result<()> {
    let (offset, len) = (offset as i64, len as i64);
    Ok(fallocate(
        file.as_fd(),
        FallocateFlags::empty(),
        offset,
        len,
    )?)
}
