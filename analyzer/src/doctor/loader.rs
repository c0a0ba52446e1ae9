//! What the loader would load into a program, asked of it. It maps files and runs nothing of them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// The libraries, in order, without what is preloaded.
    pub(super) libraries: Vec<PathBuf>,
    /// Names of those that are not there.
    pub(super) missing: Vec<String>,
    /// Lines that say why `preload` or a library can't be loaded.
    pub(super) troubles: Vec<String>,
}

/// What `loader` would load into `program`, `preloaded` before all (a value of `LD_PRELOAD`). `None`: it can't be asked.
pub(super) fn ask(loader: &Path, program: &Path, preloaded: Option<&OsStr>) -> Option<Loaded> {
    let mut command = Command::new(loader);
    command.arg("--list").arg(program);
    command.env_remove("LD_PRELOAD").stdin(Stdio::null());
    if let Some(preloaded) = preloaded {
        command.env("LD_PRELOAD", preloaded);
    }
    let said = command.output().ok()?;
    let out = String::from_utf8_lossy(&said.stdout);
    let err = String::from_utf8_lossy(&said.stderr);
    Some(read(&out, &err))
}

fn read(out: &str, err: &str) -> Loaded {
    let mut loaded = Loaded::default();
    for line in out.lines() {
        match line.trim().split_once(" => ") {
            Some((name, "not found")) => loaded.missing.push(name.to_owned()),
            Some((_, path)) => {
                let path = path.rsplit_once(" (0x").map_or(path, |(path, _)| path);
                loaded.libraries.push(path.into());
            }
            None if is_trouble(line) => loaded.troubles.push(line.trim().to_owned()),
            None => {}
        }
    }
    let troubles = err.lines().filter(|line| is_trouble(line));
    loaded
        .troubles
        .extend(troubles.map(|line| line.trim().to_owned()));
    loaded
}

fn is_trouble(line: &str) -> bool {
    line.contains("cannot be preloaded") || line.contains("version `") && line.contains("not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_loader_says() {
        let out = "\tlinux-vdso.so.1 (0x00007fa2ec03f000)\n\
                   \t/tmp/libleak.so (0x00007fa2ec041000)\n\
                   \tlibssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x00007fa2ebd5a000)\n\
                   \tlibmine.so.1 => not found\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007fa2ec041000)\n";
        let old = "./a: /lib/libc.so.6: version `GLIBC_2.38' not found (required by ./libleak.so)";
        let refused =
            "ERROR: ld.so: object 'x.so' from LD_PRELOAD cannot be preloaded (...): ignored.";
        let expected = Loaded {
            libraries: vec!["/lib/x86_64-linux-gnu/libssl.so.3".into()],
            missing: vec!["libmine.so.1".to_owned()],
            troubles: vec![old.to_owned(), refused.to_owned()],
        };
        assert_eq!(read(out, &format!("{old}\n{refused}\n")), expected);
    }
}
