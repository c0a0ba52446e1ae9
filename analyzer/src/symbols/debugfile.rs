//! Separate debug files: where they may lie, and which of them is the right one.

use std::path::{Path, PathBuf};

use super::elf::{self, Elf, Files};

/// The system's tree of debug files.
const SYSTEM: &str = "/usr/lib/debug";
/// Files of one `--debug-dir` that are looked into for a build-id, at most.
const MOST_FILES: usize = 4096;

/// What is known of the file whose debug file is wanted.
pub(super) struct Wanted<'m> {
    /// Path of the module, as the target's loader knew it.
    pub(super) path: &'m Path,
    /// Its build-id.
    pub(super) build_id: Option<&'m str>,
    /// Its `.gnu_debuglink`, where the file could be read.
    pub(super) link: Option<(PathBuf, u32)>,
}

/// The debug file of a module: by build-id in every tree, then by its link, then any file of a
/// `--debug-dir` with its build-id.
pub(super) fn find<'a>(files: &'a Files, wanted: &Wanted<'_>, dirs: &[PathBuf]) -> Option<Elf<'a>> {
    by_build_id(files, wanted.build_id, dirs)
        .or_else(|| by_name(files, wanted, dirs))
        .or_else(|| by_looking(files, wanted.build_id, dirs))
}

/// The supplementary file of `elf` (made by dwz), if it has one and it can be found.
pub(super) fn supplementary<'a>(
    files: &'a Files,
    elf: &Elf<'_>,
    dirs: &[PathBuf],
) -> Option<Elf<'a>> {
    let (name, id) = elf.alternative_link()?;
    let parent = elf.path.parent().unwrap_or(Path::new("/"));
    // A relative name is meant from where the debug file really lies, not from a link to it.
    let real = elf.path.canonicalize().ok();
    let real_parent = real.as_deref().and_then(Path::parent).unwrap_or(parent);
    let file_name = PathBuf::from(name.file_name().unwrap_or_default());
    let named = [real_parent.join(&name), parent.join(&name)]
        .into_iter()
        .chain(dirs.iter().flat_map(|dir| {
            [
                dir.join(&file_name),
                dir.join(".dwz").join(&file_name),
                dir.join(name.strip_prefix("/").unwrap_or(&name)),
            ]
        }))
        .filter_map(|path| Elf::open(files, &path))
        .find(|found| found.build_id().as_deref() == Some(id.as_str()));
    named.or_else(|| by_build_id(files, Some(&id), dirs))
}

fn by_build_id<'a>(files: &'a Files, id: Option<&str>, dirs: &[PathBuf]) -> Option<Elf<'a>> {
    let id = id?;
    let (first, rest) = id.split_at_checked(2)?;
    let system = Path::new(SYSTEM);
    dirs.iter()
        .map(PathBuf::as_path)
        .chain([system])
        .flat_map(|dir| {
            [
                dir.join(".build-id")
                    .join(first)
                    .join(format!("{rest}.debug")),
                dir.join(first).join(format!("{rest}.debug")),
                dir.join(id).join("debuginfo"),
            ]
        })
        .filter_map(|path| Elf::open(files, &path))
        .find(|elf| useful(elf) && elf.build_id().as_deref() == Some(id))
}

fn by_name<'a>(files: &'a Files, wanted: &Wanted<'_>, dirs: &[PathBuf]) -> Option<Elf<'a>> {
    let parent = wanted.path.parent().unwrap_or(Path::new("/"));
    let beneath = parent.strip_prefix("/").unwrap_or(parent);
    let own = wanted.path.file_name().map(|name| {
        let mut debug = name.to_owned();
        debug.push(".debug");
        (name, debug)
    });
    let mut paths = Vec::new();
    if let Some((name, _)) = &wanted.link {
        paths.extend([parent.join(name), parent.join(".debug").join(name)]);
        for dir in dirs.iter().map(PathBuf::as_path).chain([Path::new(SYSTEM)]) {
            paths.extend([dir.join(beneath).join(name), dir.join(name)]);
        }
    }
    for (dir, (own, debug)) in dirs.iter().zip(own.iter().cycle()) {
        paths.extend([dir.join(own), dir.join(debug)]);
    }
    paths
        .iter()
        .filter(|path| *path != wanted.path)
        .filter_map(|path| Elf::open(files, path))
        .find(|elf| useful(elf) && right(elf, wanted))
}

/// Plain files of the `--debug-dir`s, whatever their names.
fn by_looking<'a>(files: &'a Files, id: Option<&str>, dirs: &[PathBuf]) -> Option<Elf<'a>> {
    let id = id?;
    dirs.iter()
        .filter_map(|dir| dir.read_dir().ok())
        .flat_map(|entries| entries.flatten().take(MOST_FILES))
        .map(|entry| entry.path())
        // Looked into first: what is opened stays mapped.
        .filter(|path| elf::build_id_of(path).as_deref() == Some(id))
        .filter_map(|path| Elf::open(files, &path))
        .find(useful)
}

fn useful(elf: &Elf<'_>) -> bool {
    elf.has_dwarf() || elf.has_symbols()
}

/// By build-id where both have one, else by the CRC of the link.
fn right(elf: &Elf<'_>, wanted: &Wanted<'_>) -> bool {
    match (elf.build_id(), wanted.build_id, &wanted.link) {
        (Some(found), Some(id), _) => found == id,
        (_, _, Some((_, crc))) => crc32fast::hash(elf.bytes) == *crc,
        _ => false,
    }
}
