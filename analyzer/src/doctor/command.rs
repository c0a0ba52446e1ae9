//! A program that is to be started.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use leak_wire::settings::matches_any;

use super::finding::Findings;
use super::image::{self, Image};
use super::surroundings::{self, Variables};
use super::{fit, loader};
use crate::mapping::Mapping;
use crate::run::program::{self, Obstacle};
use crate::run::{self, TracePlace};

/// Shells: a script of theirs starts what matters.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ksh", "zsh", "busybox"];

/// Looks at the program that `command` names, and at all that a session of its would meet.
pub(super) fn look_at(command: &[OsString], preload: Option<&Path>, findings: &mut Findings) {
    let library = match run::preload(preload) {
        Ok(library) => Some(library),
        Err(why) => {
            findings.cant(
                "libleak",
                why,
                "name libleak.so by --preload or LEAK_PRELOAD",
            );
            None
        }
    };
    let variables: Variables = std::env::vars_os().collect();
    let name = command.first().map(OsString::as_os_str).unwrap_or_default();
    let found = find(name, findings);
    if let Some(path) = &found {
        program(path, library.as_deref(), &variables, findings);
        is_meant(name, path, &variables, findings);
    }
    let must_name = library
        .as_deref()
        .is_some_and(|library| fit::look_at(library, findings));
    surroundings::settings(&variables, findings);
    let pattern = surroundings::value(&variables, "LEAK_TRACE").map(OsStr::to_os_string);
    if let Ok(place) = TracePlace::new(pattern, found.as_deref()) {
        let limit = surroundings::value(&variables, "LEAK_MAX_TRACE");
        surroundings::trace(&place.of(std::process::id()), limit, findings);
    }
    let set = surroundings::value(&variables, "LEAK_MEMORY");
    surroundings::memory(std::process::id(), set, findings);
    surroundings::files(findings);
    surroundings::kernel(findings);
    if let Some(library) = library.filter(|_| findings.can_be_traced()) {
        start(command, &library, must_name, findings);
    }
}

/// The file that is executed.
fn find(name: &OsStr, findings: &mut Findings) -> Option<PathBuf> {
    let shown = name.display();
    let Some(path) = program::find(name) else {
        findings.cant(
            "program",
            format!("{shown} is not on PATH"),
            "install it, or give its path",
        );
        return None;
    };
    if !path.is_file() {
        findings.cant(
            "program",
            format!("there is no file {shown}"),
            "give the program's path",
        );
        return None;
    }
    if !program::is_executable(&path) {
        findings.cant(
            "program",
            format!("{shown} may not be executed"),
            "chmod +x it, or run it as who may",
        );
        return None;
    }
    Some(path)
}

/// Looks at the program that runs in the end.
fn program(path: &Path, library: Option<&Path>, variables: &Variables, findings: &mut Findings) {
    let chain = program::chain(path);
    let Some(program) = chain.last() else {
        return;
    };
    let shown: Vec<String> = chain
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let shown = shown.join(" → ");
    if !program::is_executable(program) {
        let text = format!("{shown}: its interpreter is not there, or may not be executed");
        return findings.cant(
            "program",
            text,
            "mend the script's first line (is there a carriage return at its end?)",
        );
    }
    if let Some(obstacle) = program::obstacle(program) {
        let (what, todo) = obstacle.parts();
        let todo = match obstacle {
            Obstacle::NoProgram => {
                "give it a first line such as #!/bin/sh, or name the program that runs it"
            }
            _ => todo,
        };
        return findings.cant("program", format!("{shown}: {what}"), todo);
    }
    let base = program.file_name().unwrap_or_default().to_string_lossy();
    let libraries = libraries(program, library, findings);
    if chain.len() > 1 && SHELLS.contains(&base.as_ref()) {
        return findings.ready(
            "program",
            format!("{shown}: the shell is traced, and the programs that it starts"),
            "name the program itself to have it looked at",
        );
    }
    findings.ok(
        "program",
        format!("{shown}: x86_64, dynamically linked, glibc's loader"),
    );
    let image = Image {
        file: program,
        name: program,
        libraries: &libraries,
        variables,
    };
    image::look_at(&image, findings);
}

/// The libraries that are loaded with it; says which are not there, and whether libleak.so can be.
fn libraries(program: &Path, library: Option<&Path>, findings: &mut Findings) -> Vec<PathBuf> {
    let Some(path) = Mapping::open(program)
        .ok()
        .and_then(|file| program::loader(&file))
    else {
        return Vec::new();
    };
    if !path.is_file() {
        let text = format!("its loader, {}, is not there", path.display());
        findings.cant("loader", text, "install what it was built for");
        return Vec::new();
    }
    let preloaded = library.map(run::with_others);
    let Some(loaded) = loader::ask(&path, program, preloaded.as_deref()) else {
        return Vec::new();
    };
    if !loaded.missing.is_empty() {
        let text = format!("it can't start: {} not found", loaded.missing.join(", "));
        findings.cant("loader", text, "install them, or set LD_LIBRARY_PATH");
    }
    for trouble in &loaded.troubles {
        match trouble.contains("libleak") {
            true => findings.cant(
                "loader",
                format!("libleak.so can't be loaded: {trouble}"),
                "glibc 2.35 or later is needed; make libleak.so readable for who runs the program",
            ),
            false => findings.note(
                "loader",
                trouble,
                "mend LD_PRELOAD, or install what it names",
            ),
        }
    }
    loaded.libraries
}

/// Looks at whether `LEAK_ONLY` names the program.
fn is_meant(name: &OsStr, path: &Path, variables: &Variables, findings: &mut Findings) {
    let Some(only) = surroundings::value(variables, "LEAK_ONLY") else {
        return;
    };
    let chain = program::chain(path);
    let real = chain
        .last()
        .and_then(|path| std::fs::canonicalize(path).ok());
    let names = [Some(Path::new(name)), real.as_deref()];
    let mut names = names.into_iter().flatten().filter_map(Path::file_name);
    if !names.any(|name| matches_any(only.as_bytes(), name.as_bytes())) {
        let text = format!(
            "LEAK_ONLY={} does not name it: it runs untouched",
            only.display()
        );
        findings.note(
            "settings",
            text,
            "add its name, unless a program that it starts is meant",
        );
    }
}

/// Says how it is started.
fn start(command: &[OsString], library: &Path, must_name: bool, findings: &mut Findings) {
    let preloaded = run::with_others(library);
    let mut line = format!("LD_PRELOAD={}", quoted(&preloaded));
    if must_name && let Ok(own) = std::env::current_exe() {
        line.push_str(&format!(" LEAK_ANALYZE={}", quoted(own.as_os_str())));
    }
    for word in command {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    findings.ready("start", "it can be traced", format!("write: {line}"));
}

/// As a shell takes it for one word.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+=:,@%".contains(letter);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, expected) in [
            ("/usr/bin/x", "/usr/bin/x"),
            ("daemon off;", "'daemon off;'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), expected);
        }
    }
}
