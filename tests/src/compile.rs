//! Compiles the programs of `targets/`, once for each content of their sources.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artifacts;

/// What can be told about a program's source before it is compiled.
#[derive(Debug)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Reads `targets/NAME`.
    pub fn read(name: &str) -> Source {
        let path = artifacts::source("targets").join(name);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Source { path, text }
    }

    /// The values of the head's `// KEY: VALUE` lines.
    pub fn head<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let comments = self.text.lines().take_while(|line| line.starts_with("// "));
        comments.filter_map(move |line| line[3..].strip_prefix(key)?.strip_prefix(": "))
    }

    /// The compiled program.
    pub fn program(&self) -> PathBuf {
        self.compile(&[])
    }

    /// The library that a head's `// library: NAME` names, compiled.
    pub fn library(&self) -> Option<PathBuf> {
        let name = self.head("library").next()?;
        Some(Source::read(&format!("libraries/{name}")).shared())
    }

    /// The source compiled as a shared library.
    pub fn shared(&self) -> PathBuf {
        self.compile(&["-shared", "-fPIC"])
    }

    fn compile(&self, more: &[&str]) -> PathBuf {
        let directory = artifacts::directory().join("leak-targets");
        fs::create_dir_all(&directory).expect("target/ can be written");
        let mut command = self.compiler();
        command.args(self.head("flags").flat_map(str::split_whitespace));
        command.args(more);
        let name = self.path.file_name().expect("a source has a name");
        let name = name.to_string_lossy().replace('.', "_");
        let output = directory.join(format!("{name}-{:016x}", self.key(&command)));
        if output.exists() {
            return output;
        }
        // Under a name of its own first: other test processes may compile the same source now.
        let building = tempfile::Builder::new()
            .prefix(&name)
            .tempdir_in(&directory)
            .expect("target/ can be written");
        let partial = building.path().join("output");
        let result = command
            .arg("-o")
            .arg(&partial)
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(
            result.status.success(),
            "{command:?}:\n{}",
            String::from_utf8_lossy(&result.stderr)
        );
        // The first one stays: it may run already, and a running file must not be replaced.
        match fs::hard_link(&partial, &output) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{error}"),
            _ => output,
        }
    }

    fn compiler(&self) -> Command {
        let (compiler, flags) = match self.path.extension().and_then(|text| text.to_str()) {
            Some("c") => ("gcc", "-g -O1 -fno-builtin -Wall -Wextra -Werror -pthread"),
            Some("cpp") => ("g++", "-g -O0 -Wall -Wextra -Werror -pthread"),
            Some("rs") => ("rustc", "-g --edition 2024 --cap-lints warn"),
            _ => panic!("{}: no compiler for it", self.path.display()),
        };
        let mut command = Command::new(compiler);
        command.args(flags.split(' ')).arg(&self.path);
        command
    }

    /// Differs where the program would: its text, the headers beside it, and the command.
    fn key(&self, command: &Command) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        for header in headers(self.path.parent().expect("a source lies in a directory")) {
            fs::read(header).unwrap_or_default().hash(&mut hasher);
        }
        format!("{command:?}").hash(&mut hasher);
        hasher.finish()
    }
}

/// The names of the programs in `targets/DIRECTORY`, sorted.
pub fn names(directory: &str) -> Vec<String> {
    let path = artifacts::source("targets").join(directory);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a directory can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn headers(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut headers: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "h"))
        .collect();
    headers.sort();
    headers
}
