//! Files, mapped read-only.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file.
#[derive(Debug)]
pub struct Mapping(memmap2::Mmap);

impl Mapping {
    /// Maps the whole of the file at `path`. Anything but a regular file is refused before it is
    /// opened: opening a pipe would wait for its other end.
    pub fn open(path: &Path) -> io::Result<Mapping> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Mapping::of(&File::open(path)?)
    }

    /// Maps the whole of `file`, as long as it is now.
    pub fn of(file: &File) -> io::Result<Mapping> {
        // SAFETY: `map` asks that nobody changes or shortens the file while it is mapped. That can't
        // be enforced, so it is kept by what we map: traces, of which only the end grows (the length
        // is fixed here), and programs and debug files, which package managers and linkers replace by
        // rename or by a new file. Bytes are only ever read as bytes, so that a change in place can
        // give a wrong answer (checksums and build-ids tell) or, where the file is cut, end this
        // process by SIGBUS; never the target, which shares nothing with it.
        unsafe { memmap2::Mmap::map(file) }.map(Mapping)
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_files_and_nothing_else() {
        let own = Mapping::open(Path::new("/proc/self/exe")).unwrap();
        assert_eq!(own.get(..4), Some(&b"\x7fELF"[..]));
        assert!(Mapping::open(Path::new("/")).is_err());
        assert!(Mapping::open(Path::new("/dev/zero")).is_err());
        assert!(Mapping::open(Path::new("/nonexistent")).is_err());
    }
}
