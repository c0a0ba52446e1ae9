//! `leak-analyze doctor`: what it says of a program before anything is traced is what then happens.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use leak_tests::compile::Source;
use leak_tests::run::Place;
use leak_tests::{artifacts, python};
use serde_json::Value;

/// How a program ended, and what it said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(place: &Place, command: Command) -> Said {
    let ended = place.run(command);
    Said {
        code: ended.status.code(),
        out: String::from_utf8(ended.out).expect("text"),
        err: ended.err,
    }
}

/// A process, ended with the value.
struct Sleeper(Child);

impl Sleeper {
    /// One that makes calls all the while, by which recording begins; it has begun to when this returns.
    fn start(mut command: Command) -> Sleeper {
        let script =
            "import time; print(1)\nwhile True: time.sleep(0.01); open('/dev/null').close()";
        command
            .args(["-uSc", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let out = child.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(line, "1\n");
        Sleeper(child)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What it says of a program, with these variables more.
fn told(place: &Place, variables: &[(&str, &str)], command: &[&OsStr]) -> Said {
    let mut doctor = place.plain(artifacts::leak_analyze());
    doctor.args(["doctor", "--"]).args(command);
    doctor.envs(variables.iter().copied());
    run(place, doctor)
}

/// Says that the program can't be traced, first of all for what `subject` and the words say.
fn assert_cant(told: &Said, subject: &str, words: &str) {
    assert_eq!(told.code, Some(1), "{}{}", told.out, told.err);
    let first = told.out.lines().next().expect("a line");
    assert!(
        first.starts_with(&format!("can't  {subject:<11} ")),
        "{first}"
    );
    assert!(first.contains(words), "{first}");
    // What to do.
    assert!(first.contains("; "), "{first}");
    assert!(!told.out.contains("\nok     start"), "{}", told.out);
}

/// The line about `subject`, of a program that can be traced.
fn line<'a>(told: &'a Said, subject: &str) -> &'a str {
    assert_eq!(told.code, Some(0), "{}{}", told.out, told.err);
    let about = |line: &&str| line.get(7..).is_some_and(|rest| rest.starts_with(subject));
    let found = told.out.lines().find(about);
    found.unwrap_or_else(|| panic!("nothing about {subject}: {}", told.out))
}

fn executable(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).expect("the directory can be written");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).expect("the file is ours");
}

fn ordinary() -> PathBuf {
    Source::read("exact/malloc_plain.c").program()
}

/// The program runs as without libleak, and nothing is recorded.
fn assert_untraced(place: &Place, program: &Path) {
    run(place, place.traced(program));
    assert!(!place.trace().exists());
}

#[test]
fn programs_that_cant_be_traced() {
    let place = Place::new();
    let fixed = Source::read("harmless/statically.c").program();
    assert_cant(
        &told(&place, &[], &[fixed.as_os_str()]),
        "program",
        "linked statically",
    );
    assert_untraced(&place, &fixed);

    let other = Source::read("harmless/for_musl.c").program();
    assert_cant(
        &told(&place, &[], &[other.as_os_str()]),
        "program",
        "it runs with musl's C library",
    );

    let sanitized = Source::read("harmless/sanitized.c").program();
    assert_cant(
        &told(&place, &[], &[sanitized.as_os_str()]),
        "allocator",
        "AddressSanitizer",
    );
    assert_untraced(&place, &sanitized);

    let borrowed = place.path("borrowed");
    executable(&borrowed, fs::read(ordinary()).expect("it was compiled"));
    chown(&borrowed, Some(65_534), None).expect("tests run as root");
    let mode = fs::Permissions::from_mode(0o4755);
    fs::set_permissions(&borrowed, mode).expect("the file is ours");
    assert_cant(
        &told(&place, &[], &[borrowed.as_os_str()]),
        "program",
        "it is setuid",
    );
    assert_untraced(&place, &borrowed);
}

#[test]
fn loaders_that_cant_load_it() {
    let place = Place::new();
    let glibc = b"/lib64/ld-linux-x86-64.so.2\0";
    let bytes = fs::read(ordinary()).expect("it was compiled");
    let at = bytes.windows(glibc.len()).position(|part| part == glibc);
    let at = at.expect("a program names its loader");
    for (loader, subject, words) in [
        (&b"/lib/ld-musl-x86_64.so.1\0"[..], "program", "musl"),
        (
            &b"/lib64/no-such-loader.so.2\0"[..],
            "loader",
            "is not there",
        ),
    ] {
        let mut changed = bytes.clone();
        changed[at..at + glibc.len()].fill(0);
        changed[at..at + loader.len()].copy_from_slice(loader);
        let path = place.path("changed");
        executable(&path, changed);
        assert_cant(&told(&place, &[], &[path.as_os_str()]), subject, words);
    }
}

#[test]
fn scripts_and_what_is_none() {
    let place = Place::new();
    assert_cant(
        &told(&place, &[], &["no-such-program".as_ref()]),
        "program",
        "is not on PATH",
    );
    assert_cant(
        &told(&place, &[], &["./none".as_ref()]),
        "program",
        "there is no file ./none",
    );
    let path = place.path("script");
    let script = |first: &str| {
        executable(&path, format!("{first}\nexit 0\n"));
        told(&place, &[], &[path.as_os_str()])
    };
    assert_cant(&script("echo"), "program", "neither a program nor a script");
    assert_cant(
        &script("#!/bin/sh\r"),
        "program",
        "interpreter is not there",
    );
    let shell = script("#!/bin/sh");
    assert!(
        line(&shell, "program").contains("script → /bin/sh: the shell is traced"),
        "{}",
        shell.out
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("the file is ours");
    assert_cant(
        &told(&place, &[], &[path.as_os_str()]),
        "program",
        "may not be executed",
    );
    // The interpreter at the end is what is looked at, through another script and env.
    let python = python::interpreters().pop().expect("an interpreter");
    let inner = place.path("inner");
    executable(
        &inner,
        format!("#!/usr/bin/env -S {} -E\n", python.display()),
    );
    let outer = script(&format!("#!{}", inner.display()));
    let chain = format!(
        "script → {} → {}: x86_64",
        inner.display(),
        python.display()
    );
    assert!(line(&outer, "program").contains(&chain), "{}", outer.out);
    assert!(
        line(&outer, "python").contains("objects, types and lines are read"),
        "{}",
        outer.out
    );
}

#[test]
fn each_python_by_its_version() {
    let place = Place::new();
    for interpreter in python::interpreters() {
        let mut ask = place.plain(&interpreter);
        ask.args(["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]);
        let version = run(&place, ask).out;
        let version = version.trim_end();
        let told = told(&place, &[], &[interpreter.as_os_str()]);
        let python = line(&told, "python");
        // Before 3.11 a file tells no more than its name.
        let short = version.rsplit_once('.').expect("three numbers").0;
        let is_said = [version, short].iter().any(|version| {
            python.starts_with(&format!("ok     python      Python {version}: its objects"))
        });
        assert!(is_said, "{}: {version}, {python}", interpreter.display());
    }
    for interpreter in python::free_threaded() {
        let told = told(&place, &[], &[interpreter.as_os_str()]);
        let python = line(&told, "python");
        assert!(
            python.starts_with("note") && python.contains("without the GIL"),
            "{python}"
        );
    }
}

#[test]
fn allocators_are_told_as_they_are_met() {
    for (name, said, met) in [
        (
            "jemalloc",
            "are detoured and traced",
            "its entries are detoured",
        ),
        (
            "refused",
            "detours don't reach it",
            "its memory is not traced",
        ),
    ] {
        let place = Place::new();
        let program = Source::read(&format!("own_malloc/{name}.c")).program();
        let doctor = told(&place, &[], &[program.as_os_str()]);
        let allocator = line(&doctor, "allocator");
        assert!(allocator.contains(said), "{allocator}");
        let ended = run(&place, place.traced(&program));
        assert!(ended.err.contains(met), "{}", ended.err);
        // The reason is the same.
        if let Some((_, why)) = allocator.split_once("don't reach it (") {
            let why = why.split(')').next().expect("it ends");
            assert!(ended.err.contains(why), "{why}: {}", ended.err);
        }
    }
}

#[test]
fn the_line_that_it_writes_traces_the_program() {
    let place = Place::new();
    let interpreter = python::interpreters().pop().expect("an interpreter");
    let words = ["-c", "print('it''s', \"$HOME\")"].map(OsStr::new);
    let doctor = told(&place, &[], &[interpreter.as_os_str(), words[0], words[1]]);
    let start = line(&doctor, "start");
    let (_, written) = start.split_once("write: ").expect("a line to write");
    let mut shell = place.plain("/bin/sh");
    shell.args(["-c", written]);
    let ended = run(&place, shell);
    assert_eq!(
        (ended.out.as_str(), ended.err.as_str()),
        ("its $HOME\n", "")
    );
    assert_eq!(ended.code, Some(0));
    assert!(place.report().number("/totals/allocations") > 1000);
}

#[test]
fn settings_and_the_place_of_the_trace() {
    let place = Place::new();
    let program = ordinary();
    let with = |name: &str, value: &str| told(&place, &[(name, value)], &[program.as_os_str()]);
    for (name, value, words) in [
        (
            "LEAK_DEPTH",
            "0",
            "LEAK_DEPTH=0 can't be used: it takes a number of frames",
        ),
        (
            "LEAK_START",
            "maybe",
            "LEAK_START=maybe can't be used: it takes on, off",
        ),
        (
            "LEAK_KEEP",
            "some",
            "LEAK_KEEP=some can't be used: it takes all or",
        ),
    ] {
        assert_cant(&with(name, value), "settings", words);
        let mut traced = place.traced(&program);
        traced.env(name, value);
        let ended = run(&place, traced);
        // What the program says then is the same.
        assert!(ended.err.contains(words), "{}", ended.err);
        assert!(!place.trace().exists());
    }
    let misspelt = with("LEAK_MAXTRACE", "1G");
    assert!(
        line(&misspelt, "settings").contains("LEAK_MAX_TRACE is one: rename it"),
        "{}",
        misspelt.out
    );
    let others = with("LEAK_ONLY", "nginx,redis*");
    assert!(
        line(&others, "settings").contains("does not name it: it runs untouched"),
        "{}",
        others.out
    );
    assert_cant(
        &with("LEAK_TRACE", "/nonexistent/t.bin"),
        "trace",
        "can't write /nonexistent/t.bin",
    );
    assert_cant(
        &with("LEAK_ANALYZE", "/nonexistent/x"),
        "libleak",
        "no program that can be run",
    );
}

#[test]
fn processes_in_each_state() {
    let place = Place::new();
    let sleeper = |variables: &[(&str, &str)], preload: bool| {
        let program = python::interpreters().pop().expect("an interpreter");
        let mut command = match preload {
            true => place.traced(program),
            false => place.plain(program),
        };
        command.envs(variables.iter().copied());
        Sleeper::start(command)
    };
    let tool = |what: &str, process: &Sleeper| {
        let mut command = place.plain(artifacts::leak_analyze());
        command.arg(what).arg(process.pid());
        run(&place, command)
    };
    let look = |process: &Sleeper| tool("doctor", process);
    let done = |what: &str, process: &Sleeper| {
        let said = tool(what, process);
        assert_eq!(said.code, Some(0), "{what}: {}", said.err);
    };

    let bare = sleeper(&[], false);
    assert_cant(&look(&bare), "recording", "libleak.so is not in it");

    let only = sleeper(&[("LEAK_ONLY", "nginx")], true);
    assert_cant(
        &look(&only),
        "recording",
        "LEAK_ONLY=nginx does not name it",
    );

    let refused = sleeper(&[("LEAK_DEPTH", "0")], true);
    assert_cant(&look(&refused), "recording", "LEAK_DEPTH=0 can't be used");

    let off = sleeper(&[("LEAK_START", "off")], true);
    let told = look(&off);
    let start = format!("(LEAK_START=off); leak-analyze start {} begins", off.pid());
    assert!(line(&told, "recording").ends_with(&start), "{}", told.out);
    done("start", &off);
    let told = look(&off);
    let trace = format!("UTC, to {}, ", place.trace().display());
    assert!(line(&told, "recording").contains(&trace), "{}", told.out);
    done("stop", &off);
    let told = look(&off);
    let begins = format!("leak-analyze start {} begins", off.pid());
    assert!(line(&told, "recording").contains(&begins), "{}", told.out);
}

#[test]
fn processes_elsewhere() {
    let place = Place::new();
    // In a network of its own, where no recorder of its own could be asked from here.
    let mut apart = place.plain("unshare");
    apart.arg("--net").arg(python::SYSTEM);
    let apart = Sleeper::start(apart);
    let mut look = place.plain(artifacts::leak_analyze());
    look.arg("doctor").arg(apart.pid());
    let said = run(&place, look);
    assert_cant(&said, "recording", "libleak.so is not in it");
    let note = "note   container   it runs in namespaces of its own (net); run leak-analyze in";
    assert!(said.out.contains(note), "{}", said.out);

    // Another user's: nothing is known of it, and so nothing is said.
    let copy = place.path("leak-analyze");
    fs::copy(artifacts::leak_analyze(), &copy).expect("the directory can be written");
    let mut stranger = place.plain("setpriv");
    stranger
        .args(["--reuid=65534", "--clear-groups"])
        .arg(&copy);
    stranger.arg("doctor").arg(apart.pid());
    let said = run(&place, stranger);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("is another user's"), "{}", said.err);
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
}

#[test]
fn what_is_of_another_build_is_said_and_untraced() {
    let place = Place::new();
    let version = run(&place, {
        let mut command = place.plain(artifacts::leak_analyze());
        command.arg("--version");
        command
    });
    let (_, version) = version
        .out
        .trim_end()
        .rsplit_once("(build ")
        .expect("it says its build");
    let version = version.trim_end_matches(')');
    let build = u32::from_str_radix(version, 16).expect("a number");
    let mut library = fs::read(artifacts::libleak()).expect("it was built");
    let [was, other] = [build, !build].map(u32::to_le_bytes);
    replace(&mut library, &was, &other);
    let path = place.path("libleak.so");
    executable(&path, library);

    let preload = path.to_str().expect("a plain path");
    let doctor = told(
        &place,
        &[("LEAK_PRELOAD", preload)],
        &[ordinary().as_os_str()],
    );
    assert_cant(
        &doctor,
        "libleak",
        &format!(
            "is of build {:08x}, and this leak-analyze of {build:08x}",
            !build
        ),
    );

    // Whichever of the two finds it.
    let mixed = || {
        let mut command = place.plain(ordinary());
        command.env("LD_PRELOAD", &path);
        command.env("LEAK_ANALYZE", artifacts::leak_analyze());
        run(&place, command)
    };
    let found = "and the leak-analyze that it found are of different builds";
    assert_refused(&place, &mixed(), &format!("libleak: {preload} {found}"));
    let mut library = fs::read(&path).expect("it was written");
    replace(&mut library, version.as_bytes(), b"00c0ffee");
    executable(&path, library);
    assert_refused(
        &place,
        &mixed(),
        "libleak: libleak.so is of build 00c0ffee, and ",
    );
}

/// The program ran as without libleak; one line says why.
fn assert_refused(place: &Place, mixed: &Said, line: &str) {
    let plain = run(place, place.plain(ordinary()));
    assert_eq!((mixed.code, &mixed.out), (plain.code, &plain.out));
    assert!(mixed.err.starts_with(line), "{}", mixed.err);
    let lines = [&mixed.err, &plain.err].map(|err| err.lines().count());
    assert_eq!(lines[0], 1 + lines[1], "{}", mixed.err);
    assert!(!place.trace().exists());
}

/// Replaces all that is `from`, of which there is some.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let found = bytes.windows(from.len()).enumerate();
    let found = found.filter(|(_, part)| *part == from);
    let places: Vec<usize> = found.map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

#[test]
fn for_programs_and_bad_usage() {
    let place = Place::new();
    let doctor = |arguments: &[&str]| {
        let mut command: Command = place.plain(artifacts::leak_analyze());
        command.arg("doctor").args(arguments);
        run(&place, command)
    };
    let told = doctor(&["--json", "--", "no-such-program", "x"]);
    assert_eq!(told.code, Some(1));
    let json: Value = serde_json::from_str(&told.out).expect("one object");
    assert_eq!(json["command"][1], "x");
    assert_eq!(
        (&json["can_be_traced"], &json["pid"]),
        (&Value::Bool(false), &Value::Null)
    );
    let first = &json["findings"][0];
    assert_eq!(
        (&first["level"], &first["subject"]),
        (&"cant".into(), &"program".into())
    );
    for arguments in [
        &[][..],
        &["nginx"],
        &["0"],
        &["1", "--", "nginx"],
        &["4194305"],
    ] {
        let told = doctor(arguments);
        assert_eq!(told.code, Some(2), "{arguments:?}: {}", told.out);
        assert_eq!(told.out, "");
    }
}
