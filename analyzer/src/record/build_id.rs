//! Build-ids of mapped files, read while they are there.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use object::{Object, ReadCache};

use super::procfs;

/// Build-ids that were read, and what was told of each path.
#[derive(Debug, Default)]
pub(crate) struct BuildIds {
    files: HashMap<(u64, u64, i64), Option<String>>,
    told: HashMap<String, Option<String>>,
}

impl BuildIds {
    /// The build-id of `path` as the process `pid` sees it, if there is news: the path's first, or
    /// another one than last time.
    pub(crate) fn news(&mut self, pid: u32, path: &str) -> Option<Option<String>> {
        // `[vdso]` and the like are no files.
        let path_is_whole = path.starts_with('/');
        let file = path_is_whole
            .then(|| open(&format!("{}/root{path}", procfs::of(pid))).or_else(|| open(path)))
            .flatten();
        let build_id = file.and_then(|file| self.of(file));
        if self.told.get(path) == Some(&build_id) {
            return None;
        }
        self.told.insert(path.to_owned(), build_id.clone());
        Some(build_id)
    }

    fn of(&mut self, file: File) -> Option<String> {
        let metadata = file.metadata().ok()?;
        let key = (metadata.dev(), metadata.ino(), metadata.mtime());
        self.files.entry(key).or_insert_with(|| read(file)).clone()
    }
}

/// Opens a regular file and nothing else: paths come from the target.
fn open(path: &str) -> Option<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .ok()?;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file())
        .then_some(file)
}

fn read(file: File) -> Option<String> {
    let cache = ReadCache::new(file);
    let object = object::File::parse(&cache).ok()?;
    let id = object.build_id().ok()??;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_once() {
        let mut ids = BuildIds::default();
        let pid = std::process::id();
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        assert!(ids.news(pid, own).is_some());
        assert!(ids.news(pid, own).is_none());
        assert_eq!(ids.news(pid, "/nowhere"), Some(None));
        assert_eq!(ids.news(pid, "/proc/self/mem"), Some(None));
    }
}
