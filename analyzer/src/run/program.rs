//! The program to run: where it is, and whether libleak.so can be loaded into it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};

use crate::mapping::Mapping;

/// Scripts that name scripts are followed so far, as the kernel does.
const MAX_INTERPRETERS: usize = 4;

/// The file that `name` stands for, as `execvp` finds it.
pub(super) fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Why libleak.so can't be loaded into the program at `path`, if it can't, and what to do.
pub(super) fn untraceable(path: &Path) -> Option<&'static str> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_INTERPRETERS {
        match interpreter(&path) {
            Some(interpreter) => path = interpreter,
            None => break,
        }
    }
    let mode = std::fs::metadata(&path).ok()?.permissions().mode();
    if mode & 0o6000 != 0 && !nix::unistd::geteuid().is_root() {
        return Some("it is setuid, so nothing can be preloaded; run it as its owner");
    }
    let file = Mapping::open(&path).ok()?;
    let ident = file.get(..5)?;
    if !ident.starts_with(&elf::ELFMAG) {
        return None;
    }
    if ident.last() != Some(&elf::ELFCLASS64) {
        return Some("it is a 32-bit program, and libleak.so a 64-bit library; run a 64-bit build");
    }
    let program: ElfFile64 = ElfFile64::parse(&*file).ok()?;
    let endian = program.endian();
    if program.elf_header().e_machine(endian) != elf::EM_X86_64 {
        return Some("it is for another processor; run an x86_64 build");
    }
    let mut segments = program.elf_program_headers().iter();
    let has_loader = segments.any(|segment| segment.p_type(endian) == elf::PT_INTERP);
    match has_loader {
        true => None,
        false => Some("it is linked statically, so nothing can be preloaded; link it dynamically"),
    }
}

/// The interpreter that a script names in its first line.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut start = [0; 256];
    let mut file = File::open(path).ok()?;
    let size = file.read(&mut start).ok()?;
    let line = start.get(..size)?.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    let path = Path::new(OsStr::from_bytes(words.next()?));
    match path.file_name() == Some(OsStr::new("env")) {
        true => find(OsStr::from_bytes(words.next()?)),
        false => Some(path.to_path_buf()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_programs_and_scripts_can_be_traced() {
        let shell = find(OsStr::new("sh")).unwrap();
        assert_eq!(untraceable(&shell), None);
        let folder = std::env::temp_dir().join(format!("leak-program-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let script = folder.join("script");
        std::fs::write(&script, "#!/usr/bin/env sh\nexit\n").unwrap();
        assert_eq!(interpreter(&script), Some(shell));
        assert_eq!(untraceable(&script), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn others_are_named() {
        let folder = std::env::temp_dir().join(format!("leak-static-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("program");
        let mut header = [0_u8; 64];
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header[16] = 2;
        header[18] = elf::EM_X86_64 as u8;
        header[20] = 1;
        header[52] = 64;
        header[54] = 56;
        std::fs::write(&path, header).unwrap();
        assert!(untraceable(&path).unwrap().contains("statically"));
        header[4] = elf::ELFCLASS32;
        std::fs::write(&path, header).unwrap();
        assert!(untraceable(&path).unwrap().contains("32-bit"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
