//! Nobody else comes in: sockets, files and names of a session, and programs with more rights than their user.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::process::Group;
use leak_tests::run::{LIMIT, Place};

const NOBODY: &str = "65534";

/// A traced program that waits, and its session's name.
fn waiting(place: &Place) -> (Group, String) {
    let mut command = place.traced("sleep");
    command.arg("100");
    let mut group = place.start(command);
    loop {
        assert!(group.runs(), "{}", group.err());
        let maps = fs::read_to_string(format!("/proc/{}/maps", group.pid()));
        let maps = maps.unwrap_or_default();
        let name = maps.split_once("/memfd:").map(|(_, rest)| rest);
        if let Some(name) = name.and_then(|rest| rest.split_whitespace().next()) {
            return (group, name.to_owned());
        }
        std::thread::yield_now();
    }
}

fn end(group: &mut Group) {
    group.signal(libc::SIGTERM);
    group.wait(LIMIT);
    group.assert_nothing_left(LIMIT);
}

#[test]
fn the_socket_takes_its_own_user_alone() {
    let place = Place::new();
    let (mut group, name) = waiting(&place);
    let intruder = Source::read("harmless/intruder.c").program();
    let ask = |user: &str| {
        let mut command = place.plain(&intruder);
        let ended = place.run({
            command.args([&name, user]);
            command
        });
        assert!(ended.status.success(), "{}", ended.status);
        String::from_utf8_lossy(&ended.out).into_owned()
    };
    assert_eq!(ask(NOBODY), "turned away\n");
    assert_eq!(ask("0"), "answered\n");
    let copy = place.path("leak-analyze");
    fs::copy(artifacts::leak_analyze(), &copy).expect("the test's directory can be written");
    let mut command = place.plain("setpriv");
    command
        .args(["--reuid", NOBODY, "--clear-groups"])
        .arg(&copy);
    command.args(["mark", &group.pid().to_string(), "intruder"]);
    let ended = place.run(command);
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    end(&mut group);
    let report = place.report();
    assert_eq!(report.list("/requests").len(), 0);
}

/// Who only carries the session's name is none of its processes. That is said, by the first of them, and in the trace.
#[test]
fn a_program_of_another_user_that_nothing_proves() {
    let place = Place::new();
    let (mut group, name) = waiting(&place);
    let here = |from: PathBuf, file: &str| {
        fs::copy(from, place.path(file)).expect("the test's directory can be written");
        set_mode(&place.path(file), 0o755);
        place.path(file)
    };
    let program = here(Source::read("harmless/user.c").program(), "user");
    let library = here(artifacts::libleak(), "libleak.so");
    here(artifacts::leak_analyze(), "leak-analyze");
    let mut command = place.plain("setpriv");
    command.args(["--reuid", NOBODY, "--clear-groups", "env"]);
    command.arg(format!("LD_PRELOAD={}", library.display()));
    command.arg(format!("LEAK_SESSION={name}:0000000001"));
    command.args(["sh", "-c", "$0; $0; exit 7"]).arg(&program);
    let ended = place.run(command);
    assert_eq!(ended.status.code(), Some(7));
    assert_eq!(ended.out, b"user 65534\nuser 65534\n", "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.contains("another user than its recorder"));
    end(&mut group);
    let report = place.report();
    assert_eq!(report.list("/processes").len(), 1);
    let warnings = report.list("/trace/warnings");
    let codes: Vec<_> = warnings.iter().map(|warning| &warning["code"]).collect();
    assert_eq!(codes, ["other_user"]);
}

/// The shared memory has no name but in /proc, where it is the user's alone.
#[test]
fn the_shared_memory_belongs_to_the_user() {
    let place = Place::new();
    let (mut group, name) = waiting(&place);
    let recorder = group.member("leak-recorder").expect("a recorder");
    let entries = fs::read_dir(format!("/proc/{recorder}/fd")).expect("it is ours");
    let mut files = entries.map(|entry| entry.expect("it is ours").path());
    let shared = files.find(|file| {
        let target = fs::read_link(file).unwrap_or_default();
        target
            .to_string_lossy()
            .starts_with(&format!("/memfd:{name}"))
    });
    let shared = fs::metadata(shared.expect("the recorder made it")).expect("it is ours");
    assert_eq!(shared.permissions().mode() & 0o7777, 0o600);
    // SAFETY: geteuid has no preconditions.
    assert_eq!(shared.uid(), unsafe { libc::geteuid() });
    end(&mut group);
}

#[test]
fn names_are_not_used_twice_and_not_in_common_places() {
    let everywhere = || {
        let places = ["/tmp", "/var/tmp", "/dev/shm", "/run"];
        let names = places.iter().flat_map(|place| {
            let entries = fs::read_dir(place).into_iter().flatten().flatten();
            entries.map(|entry| entry.path())
        });
        let ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // Those of the tests' own places.
            name.contains("leak") && !name.starts_with("leak-tests.")
        };
        let mut names: Vec<PathBuf> = names.filter(ours).collect();
        names.sort();
        names
    };
    let before = everywhere();
    let (one, other) = (Place::new(), Place::new());
    let ((mut first, name), (mut second, another)) = (waiting(&one), waiting(&other));
    let digits = name.strip_prefix("libleak-").expect("the session's prefix");
    assert_eq!(digits.len(), 32);
    assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(name, another);
    // A unit test beside this one may come and go; what is new and stays is ours.
    let new: Vec<PathBuf> = everywhere()
        .into_iter()
        .filter(|path| !before.contains(path) && path.to_string_lossy().contains(digits))
        .collect();
    assert_eq!(new, [] as [PathBuf; 0]);
    end(&mut first);
    end(&mut second);
}

/// What lies where the trace goes is moved aside, never followed; and what is written is the user's alone.
#[test]
fn a_link_where_the_trace_goes() {
    let place = Place::new();
    let victim = place.path("victim");
    fs::write(&victim, "precious").expect("the test's directory can be written");
    symlink(&victim, place.trace()).expect("the test's directory can be written");
    let ended = place.run(place.traced("/bin/true"));
    assert!(ended.status.success());
    assert_eq!(fs::read(&victim).expect("it is there"), b"precious");
    let trace = fs::symlink_metadata(place.trace()).expect("a trace");
    assert!(trace.is_file());
    assert_eq!(trace.permissions().mode() & 0o777, 0o600);
    place.report().assert_complete();
}

#[test]
fn a_program_with_more_rights_than_its_user() {
    let source = Source::read("harmless/linked.c");
    let place = Place::new();
    // Where any user may read it, and by an absolute path, which a loader trusts.
    let copy = |from: PathBuf, name: &str| {
        fs::copy(from, place.path(name)).expect("the test's directory can be written");
        place.path(name)
    };
    let library = copy(artifacts::libleak(), "libleak.so");
    copy(artifacts::leak_analyze(), "leak-analyze");
    let program = place.path("linked");
    let mut compiler = Command::new("gcc");
    compiler.arg("-o").arg(&program).arg(&source.path);
    compiler.arg("-Wl,--no-as-needed").arg(&library);
    assert!(compiler.status().expect("gcc runs").success());
    let run = |mode: u32| {
        set_mode(&program, mode);
        let _ = fs::remove_file(place.trace());
        let mut command = place.plain("setpriv");
        command
            .args(["--reuid", NOBODY, "--clear-groups"])
            .arg(&program);
        let ended = place.run(command);
        assert_eq!(ended.out, b"linked\n", "{}", ended.err);
        assert_eq!(ended.err, "");
        place.trace().exists()
    };
    assert!(run(0o755), "without more rights it is traced");
    assert!(!run(0o4755), "with more rights it is not");
}

fn set_mode(path: &Path, mode: u32) {
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).expect("the file is ours");
}
