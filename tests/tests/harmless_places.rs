//! Programs that are hard to be in: they say and end under libleak as they do without it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::process::Ended;
use leak_tests::report::{Report, sum};
use leak_tests::run::Place;
use leak_tests::stated::Stated;

fn out(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.out).into_owned()
}

/// Runs what `command` makes of a program, once with and once without the library that it is given.
fn both_ways(command: impl Fn(&Place, Option<&Path>) -> Command) -> Place {
    let (plain, traced) = (Place::new(), Place::new());
    let expected = plain.run(command(&plain, None));
    let found = traced.run(command(&traced, Some(&artifacts::libleak())));
    assert_eq!(out(&found), out(&expected), "{}", expected.err);
    assert_eq!(found.err, expected.err);
    assert_eq!(found.status, expected.status);
    traced
}

/// `targets/harmless/NAME` with `arguments`; the report.
fn same_program(name: &str, arguments: &[&str]) -> Report {
    let source = Source::read(&format!("harmless/{name}"));
    let (program, library) = (source.program(), source.library());
    let place = both_ways(|place, preload| {
        let mut command = place.plain(&program);
        command.args(arguments);
        command.envs(library.as_ref().map(|path| ("LIBRARY", path)));
        command.envs(preload.map(|path| ("LD_PRELOAD", path)));
        command
    });
    let report = place.report();
    assert_eq!(report.number("/trace/dropped_events"), 0);
    report
}

/// A bash script that starts what is to be traced with `LD_PRELOAD=$PRELOAD`, so that the recorder is
/// born where the program is.
fn same_script(program: &Path, script: &str) -> Place {
    both_ways(|place, preload| {
        let mut command = place.plain("bash");
        command.args(["-c", script]).env("PROGRAM", program);
        let preload = preload.map_or(PathBuf::new(), Path::to_path_buf);
        command.env("PRELOAD", preload);
        command
    })
}

#[test]
fn all_that_a_program_sees_of_itself() {
    same_program("seen.c", &[]).assert_complete();
}

#[test]
fn late_in_the_life_of_threads_and_programs() {
    same_program("late.cpp", &[]).assert_complete();
}

#[test]
fn children_of_every_kind() {
    let report = same_program("clones.c", &[]);
    assert_eq!(report.text("/processes/0/end"), "exit");
    report.assert_complete();
}

#[test]
fn closed_descriptors_and_daemons() {
    same_program("descriptors.c", &[]).assert_complete();
}

#[test]
fn another_root_and_no_rights() {
    let program = Source::read("harmless/rooted.c").program();
    let (plain, traced) = (Place::new(), Place::new());
    let expected = plain.run(plain.plain(&program));
    let found = traced.run(traced.traced(&program));
    assert_eq!(
        (out(&found), found.status),
        (out(&expected), expected.status)
    );
    // Its children are told of one by one, what they would run can't be traced.
    assert_eq!(found.err.lines().count(), 1, "{}", found.err);
    assert!(
        found
            .err
            .starts_with("libleak: libleak.so can't be read from here")
    );
    assert_eq!(traced.report().number("/trace/dropped_events"), 0);
}

#[test]
fn libraries_bound_alone_and_a_million_exceptions() {
    let report = same_program("binding.cpp", &[]);
    let warnings = report.list("/trace/warnings");
    let codes: Vec<_> = warnings.iter().map(|warning| &warning["code"]).collect();
    assert_eq!(codes, ["bypassed"; 2]);
    // The one in a namespace of its own is the same file.
    let names = warnings
        .iter()
        .filter_map(|warning| warning["text"].as_str());
    let mut names = names.filter_map(|text| text.split_once("bypass libleak: "));
    let (_, named) = names.next().expect("they are named");
    assert!(
        named.starts_with('/') && named.contains("plugin"),
        "{named}"
    );
    assert!(!named.contains(", "), "{named}");
}

/// Nothing but what an allocator needs is asked of the kernel there, wherever the stack is, and whatever is loaded.
#[test]
fn further_behind_a_filter_that_kills() {
    let report = same_program("confined_further.c", &[]);
    let warnings = report.list("/trace/warnings");
    assert!(warnings.iter().any(|warning| warning["code"] == "confined"));
    // The block of the other stack, and two of the library's.
    let kept = report.list("/sites").iter().filter(|site| {
        let bytes = site["live_bytes"].as_u64();
        bytes == Some(200) || bytes == Some(111)
    });
    assert!(kept.count() >= 3, "{:#?}", report.list("/sites"));
}

#[test]
fn behind_a_filter_that_kills() {
    for arguments in [&[][..], &["syscall"]] {
        let report = same_program("confined.c", arguments);
        assert!(report.number("/totals/allocations") >= 300_000);
        let warnings = report.list("/trace/warnings");
        assert!(warnings.iter().any(|warning| warning["code"] == "confined"));
    }
}

#[test]
fn the_first_process_of_a_namespace() {
    let program = Source::read("harmless/reaper.c").program();
    let script = "unshare -p -f --mount-proc env LD_PRELOAD=$PRELOAD $PROGRAM";
    let report = same_script(&program, script).report();
    // The kernel kills all others of the namespace with it, the recorder too: the trace ends before that.
    report.assert_complete();
    let images = report.list("/processes").iter();
    let own = images.filter(|row| row["executable"].to_string().contains("reaper"));
    let allocations = own
        .filter_map(|row| row["allocations"].as_u64())
        .sum::<u64>();
    assert!(allocations >= 2, "{:#?}", report.at("/processes"));
    let mut images = report.list("/processes").iter();
    let first = images.find(|row| row["pid"] == 1 && row["end"] != "exec");
    let first = first.expect("the first process");
    assert_eq!(
        (&first["end"], &first["exit_code"]),
        (&"exit".into(), &3.into())
    );
}

/// A pid namespace whose /proc is that of the outer one, which calls processes by other numbers, or that has none.
#[test]
fn a_proc_of_another_namespace_or_none() {
    let source = Source::read("harmless/silent.c");
    let program = source.program();
    let foreign = "unshare -p -f env LD_PRELOAD=$PRELOAD $PROGRAM";
    let none = "unshare -m -p -f bash -c 'umount -l /proc; LD_PRELOAD=$PRELOAD exec $PROGRAM'";
    let [foreign, none] = [foreign, none].map(|script| same_script(&program, script).report());
    let warned = |report: &Report| {
        let mut warnings = report.list("/trace/warnings").iter();
        warnings.any(|warning| warning["code"] == "no_proc")
    };
    assert!(!warned(&foreign) && warned(&none));
    for report in [&foreign, &none] {
        report.assert_complete();
        let mut images = report.list("/processes").iter();
        let last = images
            .rfind(|image| image["end"] == "exit")
            .expect("it ended");
        assert_eq!((&last["pid"], &last["exit_code"]), (&1.into(), &0.into()));
        assert!(last["allocations"].as_u64() >= Some(12 * 1001), "{last}");
        let sites = report.list("/sites").iter().map(|site| sum(site, "live"));
        let own = sites.filter(|live| live.bytes == live.blocks * 1000);
        let blocks: u64 = own.map(|live| live.blocks).sum();
        assert_eq!(blocks, Stated::of(&source).live.blocks);
    }
    let name = foreign
        .list("/processes")
        .last()
        .map(|image| image["executable"].to_string());
    assert!(name.is_some_and(|name| name.contains("silent")));
}

/// What it leaves running is killed with it, and both rows say how they ended.
#[test]
fn what_the_first_process_of_a_namespace_leaves_running() {
    let program = Source::read("harmless/reaper.c").program();
    // 230 is clock_nanosleep: it has attached.
    let script = "unshare -p -f --mount-proc env LD_PRELOAD=$PRELOAD bash -c '
        sleep 60 & until grep -q ^230 /proc/$!/syscall; do :; done; exit 3'; echo $?";
    let report = same_script(&program, script).report();
    assert_eq!(report.at("/trace/complete"), true);
    let end = |name: &str| {
        let mut images = report.list("/processes").iter();
        let of = |row: &&serde_json::Value| {
            row["executable"].to_string().contains(name) && row["end"] != "exec"
        };
        let row = images.find(of).unwrap_or_else(|| panic!("{name} ran"));
        (
            row["end"].clone(),
            row["exit_code"].clone(),
            row["signal"].clone(),
        )
    };
    let null = serde_json::Value::Null;
    assert_eq!(end("bash"), ("exit".into(), 3.into(), null.clone()));
    assert_eq!(end("sleep"), ("killed".into(), null, 9.into()));
}

#[test]
fn a_subreaper() {
    let program = Source::read("harmless/reaper.c").program();
    same_script(&program, "$PROGRAM subreaper")
        .report()
        .assert_complete();
}

#[test]
fn a_read_only_root_without_shared_memory() {
    let program = Source::read("harmless/clones.c").program();
    let place = same_script(
        &program,
        "unshare -m bash -c '
           umount -l /dev/shm 2>/dev/null; mount --bind . . && cd $PWD && mount --bind / /
           mount -o remount,ro,bind / ; touch /nowhere 2>/dev/null; echo $?
           LD_PRELOAD=$PRELOAD exec $PROGRAM'",
    );
    assert_eq!(place.report().text("/processes/0/end"), "exit");
}

#[test]
fn a_setuid_program() {
    let program = Source::read("harmless/descriptors.c").program();
    let place = same_script(
        &program,
        "cp $PROGRAM own; chmod u+s own; setpriv --reuid 65534 --clear-groups env LD_PRELOAD=$PRELOAD ./own",
    );
    let trace = place.trace();
    if trace.exists() {
        // Of env's own start, which has no rights to drop.
        let report = place.report();
        let rows = report.list("/processes");
        let own = |row: &&serde_json::Value| row["executable"].to_string().contains("/own");
        assert_eq!(rows.iter().filter(own).count(), 0);
    }
}

/// One that replaces malloc and what comes with it can't be traced.
#[test]
fn a_program_with_a_sanitizer() {
    for (name, sanitizer) in [
        ("sanitized.c", "AddressSanitizer"),
        ("sanitized_threads.c", "ThreadSanitizer"),
    ] {
        let program = Source::read(&format!("harmless/{name}")).program();
        let place = Place::new();
        let ended = place.run(place.traced(program));
        assert_eq!(
            (out(&ended).as_str(), ended.status.code()),
            ("sane\n", Some(3))
        );
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(ended.err.contains(sanitizer), "{}", ended.err);
        assert!(!place.trace().exists());
    }
    same_program("sanitized_leaks.c", &[]).assert_complete();
}

/// Preloaded before libleak and after it.
#[test]
fn a_library_that_handles_crashes() {
    let program = Source::read("exact/segfault.c").program();
    let library = Source::read("libraries/crash.c").shared();
    for first in [true, false] {
        let place = both_ways(|place, preload| {
            let mut libraries = vec![library.as_path()];
            libraries.extend(preload);
            if first {
                libraries.reverse();
            }
            let libraries: Vec<_> = libraries
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let mut command = place.plain(&program);
            command.env("LD_PRELOAD", libraries.join(":"));
            command
        });
        let report = place.report();
        assert_eq!(report.text("/trace/ended"), "killed");
        assert_eq!(report.number("/processes/0/signal"), libc::SIGSEGV as u64);
    }
}

#[test]
fn a_static_program() {
    let program = Source::read("harmless/statically.c").program();
    let program = program.display().to_string();
    let place = same_script(Path::new(&program), "LD_PRELOAD=$PRELOAD $PROGRAM");
    drop(place);
    let place = Place::new();
    let mut command = place.plain(artifacts::leak_analyze());
    command.args(["run", "--", &program]);
    let ended = place.run(command);
    assert_eq!(ended.status.code(), Some(4), "{}", ended.err);
    assert!(ended.err.contains("static"), "{}", ended.err);
}

#[test]
fn a_constructor_before_all_others() {
    let library = Source::read("libraries/first.c").path;
    let directory = Place::new();
    let built = directory.path("first.so");
    let mut compiler = Command::new("gcc");
    compiler.args(["-shared", "-fPIC", "-Wl,-z,initfirst", "-o"]);
    let status = compiler.arg(&built).arg(library).status();
    assert!(status.expect("gcc runs").success());
    let place = both_ways(|place, preload| {
        let mut command = place.plain("sh");
        let preload = preload.map(|path| format!("{}:", path.display()));
        let preload = preload.unwrap_or_default() + &built.display().to_string();
        command
            .args(["-c", "echo first | cat"])
            .env("LD_PRELOAD", preload);
        command
    });
    place.report().assert_complete();
}

/// Allocators as shared libraries after libleak are traced (from C++: shared_malloc.rs; before it:
/// own_malloc.rs).
#[test]
fn other_allocators() {
    let program = Source::read("lost/storm.c").program();
    let directory = Path::new("/usr/lib/x86_64-linux-gnu");
    for name in [
        "libjemalloc.so.2",
        "libtcmalloc_minimal.so.4",
        "libmimalloc.so.2.0",
    ] {
        let allocator = directory.join(name);
        assert!(allocator.exists(), "{name} is missing: run scripts/setup");
        let run = |libraries: String| {
            let place = Place::new();
            let mut command = place.plain(&program);
            command.args(["4", "50000"]).env("LD_PRELOAD", libraries);
            command.env("COUNTS", place.path("counts"));
            let ended = place.run(command);
            assert_eq!(ended.status.code(), Some(5), "{name}: {}", ended.err);
            assert_eq!(out(&ended), "stormed\n", "{name}");
            (place, ended)
        };
        let (libleak, allocator) = (artifacts::libleak(), allocator.display());
        let (place, ended) = run(format!("{}:{allocator}", libleak.display()));
        // Nothing is left out: not its C++ operators either.
        assert_eq!(ended.err, "", "{name}");
        let report = place.report();
        assert!(report.number("/totals/allocations") > 50_000, "{name}");
        assert!(report.list("/trace/warnings").is_empty(), "{name}");
    }
}

/// What is written belongs to the user alone.
#[test]
fn modes() {
    let place = Place::new();
    place.run(place.traced("/bin/true"));
    let mode = fs::metadata(place.trace())
        .expect("a trace")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
