//! The program to run: where it is, what the kernel runs for it in the end, and whether libleak.so can be loaded into
//! that.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getgid, getuid};
use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};

use crate::mapping::Mapping;
use crate::record::has_capabilities;

/// Scripts that name scripts are followed so far, as the kernel does.
const MAX_INTERPRETERS: usize = 4;
/// The kernel reads so much of a script's first line.
const FIRST_LINE: usize = 256;

/// The file that `name` stands for, as `execvp` finds it.
pub(crate) fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path))
}

/// Whether we may execute the file at `path`.
pub(crate) fn is_executable(path: &Path) -> bool {
    let is_file = std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
    is_file && access(path, AccessFlags::X_OK).is_ok()
}

/// The files that lead from `path` to the program that runs: a script, its interpreter, and so on; `path` itself, if it
/// is no script.
pub(crate) fn chain(path: &Path) -> Vec<PathBuf> {
    let mut chain = vec![path.to_path_buf()];
    for _ in 0..MAX_INTERPRETERS {
        match chain.last().and_then(|last| interpreter(last)) {
            Some(next) => chain.push(next),
            None => break,
        }
    }
    chain
}

/// Why libleak.so can't be loaded into a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It runs with rights that are not its user's.
    Rights,
    /// It has 32 bits.
    Small,
    /// It is for another processor.
    Processor,
    /// It is linked statically.
    Static,
    /// It runs with musl.
    Musl,
    /// It is no program.
    NoProgram,
}

impl Obstacle {
    /// What is the matter with the program, and what to do.
    pub(crate) fn parts(self) -> (&'static str, &'static str) {
        match self {
            Obstacle::Rights => (
                "it is setuid (or setgid, or has file capabilities), so nothing can be preloaded",
                "run it as its owner, or a copy without these rights",
            ),
            Obstacle::Small => (
                "it is a 32-bit program, and libleak.so a 64-bit library",
                "run a 64-bit build",
            ),
            Obstacle::Processor => ("it is for another processor", "run an x86_64 build"),
            Obstacle::Static => (
                "it is linked statically, so nothing can be preloaded",
                "link it dynamically",
            ),
            Obstacle::Musl => (
                "it runs with musl's C library, which libleak.so can't be loaded into",
                "run a build for glibc",
            ),
            Obstacle::NoProgram => (
                "it is neither a program nor a script that names its interpreter",
                "name the program that runs it",
            ),
        }
    }

    /// The same in one line.
    pub(super) fn line(self) -> String {
        let (what, todo) = self.parts();
        format!("{what}; {todo}")
    }
}

/// Why libleak.so can't be loaded into the program at `path`, if it can't.
pub(crate) fn obstacle(path: &Path) -> Option<Obstacle> {
    let metadata = std::fs::metadata(path).ok()?;
    if has_other_rights(path, &metadata) {
        return Some(Obstacle::Rights);
    }
    obstacle_in(&Mapping::open(path).ok()?)
}

/// The same of a file's bytes alone.
pub(crate) fn obstacle_in(file: &[u8]) -> Option<Obstacle> {
    let Some(ident) = file
        .get(..5)
        .filter(|ident| ident.starts_with(&elf::ELFMAG))
    else {
        return Some(Obstacle::NoProgram);
    };
    if ident.last() != Some(&elf::ELFCLASS64) {
        return Some(Obstacle::Small);
    }
    let Ok(program) = ElfFile64::<object::Endianness>::parse(file) else {
        return Some(Obstacle::NoProgram);
    };
    let endian = program.endian();
    if program.elf_header().e_machine(endian) != elf::EM_X86_64 {
        return Some(Obstacle::Processor);
    }
    match loader(file) {
        None => Some(Obstacle::Static),
        Some(loader) => is_musl(&loader).then_some(Obstacle::Musl),
    }
}

/// The loader that a program's file names.
pub(crate) fn loader(file: &[u8]) -> Option<PathBuf> {
    let program = ElfFile64::<object::Endianness>::parse(file).ok()?;
    let endian = program.endian();
    let segments = program.elf_program_headers().iter();
    let path = segments
        .filter_map(|segment| segment.interpreter(endian, file).ok().flatten())
        .next()?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

fn is_musl(loader: &Path) -> bool {
    let name = loader.file_name().unwrap_or_default();
    name.as_bytes().starts_with(b"ld-musl")
}

/// Whether the program runs with another user's or group's rights than ours, or with more than we have: the loader then
/// heeds no `LD_PRELOAD`.
fn has_other_rights(path: &Path, file: &Metadata) -> bool {
    let mode = file.permissions().mode();
    let user = mode & 0o4000 != 0 && file.uid() != getuid().as_raw();
    // Without the right of the group to execute, the bit means something else.
    let group = mode & 0o2010 == 0o2010 && file.gid() != getgid().as_raw();
    let more = !getuid().is_root() && has_capabilities(path);
    user || group || more
}

/// The interpreter that a script names in its first line.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut start = [0; FIRST_LINE];
    let mut file = File::open(path).ok()?;
    let size = file.read(&mut start).ok()?;
    let line = start.get(..size)?.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    let path = Path::new(OsStr::from_bytes(words.next()?));
    match path.file_name() == Some(OsStr::new("env")) {
        true => {
            // Its options, and variables that it sets.
            let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
            let name = OsStr::from_bytes(name);
            Some(find(name).unwrap_or_else(|| name.into()))
        }
        false => Some(path.to_path_buf()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_programs_and_scripts_can_be_traced() {
        let shell = find(OsStr::new("sh")).unwrap();
        assert_eq!(obstacle(&shell), None);
        assert_eq!(chain(&shell), [shell.as_path()]);
        let folder = std::env::temp_dir().join(format!("leak-program-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (script, outer) = (folder.join("script"), folder.join("outer"));
        for first in ["#!/usr/bin/env sh", "#!/usr/bin/env -S A=1 sh -e", "#! sh"] {
            std::fs::write(&script, format!("{first}\nexit\n")).unwrap();
            let expected = if first == "#! sh" {
                "sh".into()
            } else {
                shell.clone()
            };
            assert_eq!(chain(&script), [script.clone(), expected], "{first}");
        }
        std::fs::write(&script, "#!/usr/bin/env sh\n").unwrap();
        std::fs::write(&outer, format!("#!{}\n", script.display())).unwrap();
        assert_eq!(chain(&outer), [outer.clone(), script.clone(), shell]);
        assert_eq!(obstacle(&script), Some(Obstacle::NoProgram));
        // One that leads to itself ends where the kernel ends it.
        std::fs::write(&script, format!("#!{}\n", script.display())).unwrap();
        assert_eq!(chain(&script).len(), 1 + MAX_INTERPRETERS);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn others_are_named() {
        let mut header = [0_u8; 64];
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header[16] = 2;
        header[18] = elf::EM_X86_64 as u8;
        header[20] = 1;
        header[52] = 64;
        header[54] = 56;
        assert_eq!(obstacle_in(&header), Some(Obstacle::Static));
        header[18] = elf::EM_AARCH64 as u8;
        assert_eq!(obstacle_in(&header), Some(Obstacle::Processor));
        header[4] = elf::ELFCLASS32;
        assert_eq!(obstacle_in(&header), Some(Obstacle::Small));
        assert_eq!(obstacle_in(b"exit 3\n"), Some(Obstacle::NoProgram));
        assert!(is_musl(Path::new("/lib/ld-musl-x86_64.so.1")));
        assert!(!is_musl(Path::new("/lib64/ld-linux-x86-64.so.2")));
    }
}
