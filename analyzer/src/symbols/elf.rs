//! ELF files: what is read of them, and who keeps the bytes.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};
use typed_arena::Arena;

use crate::mapping::Mapping;

/// Keeps everything that symbols refer to: mapped files and unpacked sections.
#[derive(Default)]
pub struct Files {
    mapped: Arena<Mapping>,
    unpacked: Arena<Vec<u8>>,
}

impl Files {
    /// The bytes of the file at `path`, if it can be mapped.
    fn map(&self, path: &Path) -> Option<&[u8]> {
        let mapping = Mapping::open(path).ok()?;
        Some(self.mapped.alloc(mapping))
    }

    /// The same bytes, kept.
    pub(super) fn keep(&self, bytes: Vec<u8>) -> &[u8] {
        self.unpacked.alloc(bytes)
    }
}

/// One ELF file.
pub(super) struct Elf<'a> {
    files: &'a Files,
    pub(super) path: PathBuf,
    pub(super) bytes: &'a [u8],
    pub(super) object: object::File<'a, &'a [u8]>,
}

impl<'a> Elf<'a> {
    /// The file at `path`, if it is a little-endian ELF file.
    pub(super) fn open(files: &'a Files, path: &Path) -> Option<Elf<'a>> {
        let bytes = files.map(path)?;
        Elf::parse(files, path, bytes)
    }

    /// The same for bytes that stand at no path of their own.
    pub(super) fn parse(files: &'a Files, path: &Path, bytes: &'a [u8]) -> Option<Elf<'a>> {
        let object = object::File::parse(bytes).ok()?;
        let elf = object.format() == object::BinaryFormat::Elf && object.is_little_endian();
        elf.then(|| Elf {
            files,
            path: path.to_path_buf(),
            bytes,
            object,
        })
    }

    /// The GNU build-id in lower-case hex.
    pub(super) fn build_id(&self) -> Option<String> {
        let id = self.object.build_id().ok().flatten()?;
        Some(hex(id))
    }

    /// The bytes of a section, unpacked; empty where there is none.
    pub(super) fn section(&self, name: &str) -> &'a [u8] {
        let Some(section) = self.object.section_by_name(name) else {
            return &[];
        };
        match section.uncompressed_data() {
            Ok(Cow::Borrowed(bytes)) => bytes,
            Ok(Cow::Owned(bytes)) => self.files.keep(bytes),
            Err(_) => &[],
        }
    }

    /// Where a section lies in the file's address space.
    pub(super) fn section_address(&self, name: &str) -> Option<u64> {
        Some(self.object.section_by_name(name)?.address())
    }

    /// Whether it has functions and lines.
    pub(super) fn has_dwarf(&self) -> bool {
        let section = self.object.section_by_name(".debug_info");
        section.is_some_and(|section| section.size() > 0)
    }

    /// Whether it has a full symbol table.
    pub(super) fn has_symbols(&self) -> bool {
        self.object.symbol_table().is_some()
    }

    /// Name and CRC of the debug file that it asks for.
    pub(super) fn debug_link(&self) -> Option<(PathBuf, u32)> {
        let (name, crc) = self.object.gnu_debuglink().ok().flatten()?;
        Some((path_of(name), crc))
    }

    /// Path and build-id of the supplementary file that its DWARF refers to.
    pub(super) fn alternative_link(&self) -> Option<(PathBuf, String)> {
        let (name, id) = self.object.gnu_debugaltlink().ok().flatten()?;
        Some((path_of(name), hex(id)))
    }
}

/// The build-id of the file at `path`, which is not kept.
pub(super) fn build_id_of(path: &Path) -> Option<String> {
    let mapping = Mapping::open(path).ok()?;
    let object = object::File::parse(&*mapping).ok()?;
    object.build_id().ok().flatten().map(hex)
}

fn path_of(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
