//! What a file, and its debug file on this machine, could tell of its functions.

use std::path::{Path, PathBuf};

use super::debugfile::{self, Wanted};
use super::elf::{Elf, Files};

/// What is known of a file's functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its build-id, lower-case hex.
    pub(crate) build_id: Option<String>,
    /// It has a full symbol table, or its debug file has one.
    pub(crate) functions: bool,
    /// It has lines, or its debug file has.
    pub(crate) lines: bool,
    /// Its debug file.
    pub(crate) debug_file: Option<PathBuf>,
    /// It has the rules by which its frames are walked.
    pub(crate) unwind_rules: bool,
}

/// What is known of the file at `path`, which the system knows as `name`; `None`: it is no ELF file that can be read.
pub(crate) fn known(path: &Path, name: &Path) -> Option<Known> {
    let files = Files::default();
    let own = Elf::open(&files, path)?;
    let build_id = own.build_id();
    let wanted = Wanted {
        path: name,
        build_id: build_id.as_deref(),
        link: own.debug_link(),
    };
    let separate = match own.has_dwarf() {
        true => None,
        false => debugfile::find(&files, &wanted, &[]),
    };
    let all = || std::iter::once(&own).chain(&separate);
    Some(Known {
        functions: all().any(Elf::has_symbols),
        lines: all().any(Elf::has_dwarf),
        debug_file: separate.as_ref().map(|file| file.path.clone()),
        unwind_rules: own.section_address(".eh_frame").is_some(),
        build_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_knows_its_functions() {
        let own = std::env::current_exe().unwrap();
        let known = known(&own, &own).unwrap();
        assert!(known.functions && known.unwind_rules, "{known:?}");
        assert_eq!(
            super::known(Path::new("/etc/passwd"), Path::new("/etc/passwd")),
            None
        );
    }
}
