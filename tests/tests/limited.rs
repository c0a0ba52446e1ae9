//! Programs under limits: of the address space, in which the memory shared with the recorder counts, of data, locked
//! memory, the stack and descriptors. They do under libleak what they do without, and are traced, or it is said that
//! they are not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::memory_group::MemoryGroup;
use leak_tests::process::Ended;
use leak_tests::report::sum;
use leak_tests::run::Place;
use leak_tests::stated::Stated;

/// Runs what `command` makes with a value for `LD_PRELOAD`: once none, once libleak. How the second ended.
fn both(place: &Place, command: impl Fn(&str) -> Command) -> Ended {
    let expected = place.run(command(""));
    let libleak = artifacts::libleak();
    let found = place.run(command(&libleak.to_string_lossy()));
    let [said, bare] = [&found, &expected].map(|ended| String::from_utf8_lossy(&ended.out));
    assert_eq!(said, bare, "{}", found.err);
    assert_eq!(found.status, expected.status, "{}", found.err);
    assert_eq!(expected.err, "");
    found
}

/// `program` started by a shell that is not traced, under a limit as `ulimit` sets it (in KiB where it is bytes),
/// which nobody may raise.
fn limited(place: &Place, limit: &str, program: &str) -> Ended {
    both(place, |preload| {
        let mut command = place.plain("setpriv");
        let script = format!("ulimit {limit}; LD_PRELOAD={preload} exec {program}");
        command.args(["--bounding-set=-sys_resource", "bash", "-c", &script]);
        command
    })
}

#[test]
fn limits_that_a_program_sets_itself() {
    let program = Source::read("harmless/limits.c").program();
    let place = Place::new();
    let ended = both(&place, |preload| {
        let mut command = place.plain(&program);
        command.env("LD_PRELOAD", preload);
        command
    });
    assert!(ended.status.success(), "{:?}", ended.out);
    assert_eq!(ended.err, "");
    let report = place.report();
    report.assert_complete();
    // Itself, its child, and what that became.
    assert_eq!(report.list("/processes").len(), 3);
}

/// What the kernel refuses is refused, also where the limit to set is another one.
#[test]
fn limits_that_nobody_gets() {
    let program = Source::read("harmless/refused.c").program();
    let program = program.display().to_string();
    let place = Place::new();
    assert_eq!(limited(&place, "-c 0", &program).err, "");
    place.report().assert_complete();
}

/// What is ours is not data of the program's.
#[test]
fn as_much_data_as_it_may_have() {
    let program = Source::read("harmless/little_data.c").program();
    let program = program.display().to_string();
    for limit in ["-d 4096", "-d 16384"] {
        let place = Place::new();
        assert_eq!(limited(&place, limit, &program).err, "", "{limit}");
        place.report().assert_complete();
    }
}

/// What is ours is not locked with what the program locks, nor does it count in what may be.
#[test]
fn locked_memory() {
    let program = Source::read("harmless/locked.c").program();
    let program = program.display().to_string();
    // So much as the program has, more, and too little; and with the right to any.
    for limit in ["-l 8192", "-l 5120", "-l 1024", "-l 0"] {
        for rights in ["-ipc_lock", "+ipc_lock"] {
            let place = Place::new();
            let ended = both(&place, |preload| {
                let mut command = place.plain("setpriv");
                let script = format!("ulimit {limit}; LD_PRELOAD={preload} exec {program}");
                command.arg(format!("--bounding-set={rights}"));
                command.args(["bash", "-c", &script]);
                command
            });
            assert_eq!(ended.err, "", "{limit} {rights}");
            place.report().assert_complete();
        }
    }
}

#[test]
fn a_shell_that_limits_its_children() {
    let place = Place::new();
    let ended = both(&place, |preload| {
        let mut command = place.plain("bash");
        let script = "ulimit -v 100000; ulimit -v; perl -e 'print length \"x\" x 1e6'; exit 3";
        command.args(["-c", script]).env("LD_PRELOAD", preload);
        command
    });
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(ended.err, "");
    let report = place.report();
    report.assert_complete();
    let images = report.list("/processes");
    assert!(images.iter().any(|image| {
        let executable = image["executable"].as_str().unwrap_or_default();
        executable.ends_with("/perl") && image["allocations"].as_u64() > Some(500)
    }));
}

#[test]
fn started_with_little() {
    let source = Source::read("own_malloc/plain.c");
    let program = source.program().display().to_string();
    // A recorder that is not optimised takes more.
    let stack = match artifacts::directory().ends_with("debug") {
        true => "-s 1024",
        false => "-s 256",
    };
    for limit in ["-v 250000", "-v 1000000", "-d 65536", stack, "-n 16"] {
        let place = Place::new();
        assert_eq!(limited(&place, limit, &program).err, "", "{limit}");
        let report = place.report();
        report.assert_complete();
        assert_eq!(
            sum(report.at("/totals"), "live"),
            Stated::of(&source).live,
            "{limit}"
        );
    }
    let place = Place::new();
    let ended = limited(&place, "-v 40000", "sh -c '/bin/echo out; exit 3'");
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(3), ""));
    place.report().assert_complete();
}

/// The recorder is left fewer descriptors than there are processes, and has no right to more: those whose end
/// nobody tells it are recorded as whole as the others.
#[test]
fn more_processes_than_descriptors() {
    let program = Source::read("harmless/many.c").program();
    let place = Place::new();
    let ended = limited(&place, "-n 40", &program.display().to_string());
    assert_eq!(
        (ended.out.as_slice(), ended.err.as_str()),
        (&b"60\n"[..], "")
    );
    let report = place.report();
    report.assert_complete();
    let (_, children) = report
        .list("/processes")
        .split_first()
        .expect("there is a first one");
    assert_eq!(children.len(), 60);
    for child in children {
        let counts = ["allocations", "frees"].map(|name| child[name].as_u64());
        assert_eq!(counts, [Some(2000); 2], "{child}");
        assert_eq!(
            (&child["end"], &child["exit_code"]),
            (&"exit".into(), &0.into())
        );
    }
}

/// The recorder and its lanes are in the target's group.
#[test]
fn little_memory() {
    let program = Source::read("exact/malloc_plain.c").program();
    let (Some(small), Some(smallest)) = (MemoryGroup::of(64 << 20), MemoryGroup::of(15 << 20))
    else {
        eprintln!("no groups of processes can be made here: not tested");
        return;
    };
    let place = Place::new();
    let ended = small.run(&place, &program);
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
    let report = place.report();
    report.assert_complete();
    let warnings = report.list("/trace/warnings");
    let codes: Vec<_> = warnings.iter().map(|warning| &warning["code"]).collect();
    assert_eq!(codes, ["little_memory"]);
    let peak = small.peak().expect("the kernel tells");
    assert!(peak < 16 << 20, "{peak}");
    let place = Place::new();
    let ended = smallest.run(&place, &program);
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.contains("its memory is limited") && ended.err.contains("not traced"));
    assert!(!place.trace().exists());
}

#[test]
fn started_with_too_little() {
    for limit in ["-v 16000", "-s 32", "-n 4", "-n 8", "-n 9"] {
        let place = Place::new();
        let ended = limited(&place, limit, "sh -c '/bin/echo out; exit 3'");
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(
            ended.err.starts_with("libleak: ") && ended.err.contains("not traced"),
            "{}",
            ended.err
        );
        assert!(!place.trace().exists());
    }
}

/// A recorder is a process of two threads of its user's: where that is another user than the program's, it takes none of
/// the processes that the program may have, else two.
#[test]
fn few_processes() {
    const MOST: u32 = 20;
    let place = Place::new();
    let copy = |from: &Path, name: &str| {
        let to = place.path(name);
        fs::copy(from, &to).expect("the test's directory can be written");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        to
    };
    let preload = copy(&artifacts::libleak(), "libleak.so");
    copy(&artifacts::leak_analyze(), "leak-analyze");
    let program = copy(&Source::read("harmless/processes.c").program(), "processes");
    // Nobody else has these numbers.
    let mut user = 0x4000_0000 + 3 * std::process::id();
    let mut started = |outer: Option<&Path>, inner: Option<&Path>| {
        user += 1;
        let mut command = place.plain("setpriv");
        command.args(["--reuid", &user.to_string(), "--clear-groups", "prlimit"]);
        command.arg(format!("--nproc={MOST}")).arg("env");
        command.args(inner.map(|path| format!("LD_PRELOAD={}", path.display())));
        command
            .arg(&program)
            .envs(outer.map(|path| ("LD_PRELOAD", path)));
        let ended = place.run(command);
        assert!(ended.status.success(), "{:?}: {}", ended.status, ended.err);
        assert_eq!(ended.err, "");
        let out = String::from_utf8(ended.out).expect("text");
        out.trim().parse::<u32>().expect("a number")
    };
    assert_eq!(started(None, None), MOST - 1);
    assert_eq!(started(None, Some(&preload)), MOST - 3);
    assert_eq!(started(Some(&preload), None), MOST - 1);
    place.report().assert_complete();
}
