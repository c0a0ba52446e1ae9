//! Programs that state the sum which they leave live: libleak, valgrind and the statement agree.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use leak_tests::compile::{self, Source};
use leak_tests::report::{Report, sum, text};
use leak_tests::run::{LIMIT, Place};
use leak_tests::stated::{End, Stated, Sum, Valgrind};
use leak_tests::valgrind;
use serde_json::Value;

/// One test for each program, so that each failure has its name.
macro_rules! programs {
    ($($name:ident . $extension:ident)*) => {
        const LISTED: &[&str] = &[$(concat!(stringify!($name), ".", stringify!($extension))),*];
        $(mod $name {
            mod $extension {
                #[test]
                fn leaves_what_it_states() {
                    crate::check(concat!(stringify!($name), ".", stringify!($extension)));
                }
            }
        })*
    };
}

programs! {
abort.c
aligned_alloc.c
boxes.rs
calloc_overflow.c
catch_unwind.rs
closefrom.c
constructor.c
containers.cpp
coroutine.cpp
deep_stack.c
directory.c
dlopen.c
double_fork.c
environment.c
exception_kept.cpp
exceptions.cpp
exec_bare_environment.c
exec_fails.c
exec_self.c
exit_forked.c
exit_handlers.c
exit_in_handler.c
exit_in_thread.c
exit_twice.c
fork_in_threads.c
fork_inherits.c
fork_many.c
fork_without_handlers.c
free_null.c
getline.c
hashmap.rs
huge_lazy.c
iconv.c
kill_self.c
malloc_plain.c
malloc_zero.c
memalign.c
memstream.c
new_aligned.cpp
new_array.cpp
new_delete.cpp
new_fails.cpp
popen.c
posix_memalign.c
posix_spawn.c
pthread_exit_main.c
pvalloc.c
quick_exit.c
random_walk.c
rc_cycle.rs
realloc_chains.c
realloc_fails.c
realloc_of_null.c
realloc_to_zero.c
reallocarray.c
rlimits.c
segfault.c
setlocale.c
shared_ptr.cpp
sigaltstack.c
siglongjmp.c
signal_handler.c
static_destructors.cpp
std_thread.cpp
stdio_buffers.c
string.rs
strings.c
swapcontext.c
system.c
thread.rs
thread_keys.c
thread_local.cpp
threads_10000.c
threads_64.c
threads_cross_free.c
threads_detach.c
threads_join.c
threads_tiny_stack.c
underscore_exit.c
usable_size.c
valloc.c
vec.rs
vfork_exec.c
vfork_mallocs.c}

#[test]
fn every_program_is_listed() {
    let found = compile::names("exact");
    assert_eq!(found, LISTED);
    assert!(found.len() >= 40);
}

fn check(name: &str) {
    let source = Source::read(&format!("exact/{name}"));
    let stated = Stated::of(&source);
    let program = source.program();
    let library = source.library();

    let place = Place::new();
    let mut command = place.plain(&program);
    command.envs(library.as_ref().map(|path| ("LIBRARY", path)));
    let plain = place.run(command);
    assert_eq!(end(plain.status), stated.end, "without libleak");

    let mut command = place.traced(&program);
    command.envs(library.as_ref().map(|path| ("LIBRARY", path)));
    let mut group = place.start(command);
    let traced = group.wait(LIMIT);
    assert_eq!(end(traced.status), stated.end, "{}", traced.err);
    assert_eq!(traced.out, plain.out);
    assert_eq!(traced.err, plain.err);
    if stated.processes > 1 {
        group.assert_nothing_left(LIMIT); // an orphan may run on, and its trace be still recording
    }
    let report = place.report();
    group.assert_nothing_left(LIMIT);

    check_images(&report, &stated);
    check_before_exit(&report, &stated);
    check_frames(&report);
    check_valgrind(&report, &stated, &program, library.as_deref());
}

fn end(status: ExitStatus) -> End {
    match status.signal() {
        Some(signal) => End::Signal(signal),
        None => End::Exit(status.code().expect("exited or signalled")),
    }
}

fn check_images(report: &Report, stated: &Stated) {
    let ended = report.text("/trace/ended");
    let killed = matches!(stated.end, End::Signal(_));
    assert_eq!(ended, if killed { "killed" } else { "complete" });
    assert_eq!(report.number("/trace/dropped_events"), 0);
    let rows = report.list("/processes");
    assert_eq!(rows.len(), stated.processes, "images: {rows:#?}");
    let (mut own, mut of_any) = (Sum::default(), Sum::default());
    for (number, row) in rows.iter().enumerate() {
        let live = sum(row, "live");
        own.blocks += live.blocks;
        own.bytes += live.bytes;
        match stated.images.get(number) {
            Some(Some(image)) => {
                assert_eq!(live, image.own, "own, of image {number}: {row:#}");
                let inherited = sum(row, "inherited_live");
                assert_eq!(inherited, image.inherited, "inherited, of image {number}");
            }
            Some(None) => of_any = live,
            None => {}
        }
    }
    assert_eq!(own.blocks - of_any.blocks, stated.live.blocks);
    assert_eq!(own.bytes - of_any.bytes, stated.live.bytes);
    assert_eq!(sum(report.at("/totals"), "live"), own);
}

/// What was live before the images took themselves apart, over all of them and at their call sites.
fn check_before_exit(report: &Report, stated: &Stated) {
    if stated.before_exit.is_empty() {
        return;
    }
    let rows = report.list("/processes");
    let told: Vec<Option<Sum>> = rows.iter().map(before_exit).collect();
    assert_eq!(told, stated.before_exit, "before exit: {rows:#?}");
    let total = before_exit(report.at("/totals"));
    // Of allocators: mappings and stacks are in no such sum.
    let allocated = |site: &&Value| matches!(text(&site["kind"], "kind"), "malloc" | "python");
    let of_sites = report
        .list("/sites")
        .iter()
        .filter(allocated)
        .map(before_exit);
    let of_sites: Vec<Option<Sum>> = of_sites.collect();
    if told.iter().all(Option::is_none) {
        assert_eq!(total, None);
        assert_eq!(of_sites.iter().flatten().next(), None);
        return;
    }
    let mut all = Sum::default();
    for (row, before) in rows.iter().zip(told) {
        // One that did not end by itself has all of its blocks yet.
        let before = before.unwrap_or_else(|| sum(row, "live"));
        all.blocks += before.blocks;
        all.bytes += before.bytes;
    }
    assert_eq!(total, Some(all));
    let mut sites = Sum::default();
    for site in of_sites {
        let site = site.expect("a sum");
        sites.blocks += site.blocks;
        sites.bytes += site.bytes;
    }
    assert_eq!(sites, all, "at call sites");
}

/// Backtraces are the program's: the functions around `main` and those of threads are not in them.
fn check_frames(report: &Report) {
    for site in report.list("/sites") {
        for frame in site["frames"].as_array().expect("frames") {
            let module = frame["module"].as_str().unwrap_or_default();
            assert!(!module.ends_with("libleak.so"), "{site:#}");
        }
    }
}

/// What a row says of the time before the exit; both figures or none.
fn before_exit(row: &serde_json::Value) -> Option<Sum> {
    match (&row["before_exit_blocks"], &row["before_exit_bytes"]) {
        (serde_json::Value::Null, serde_json::Value::Null) => {
            assert!(row.get("before_exit_bytes").is_some(), "no such field");
            None
        }
        _ => Some(sum(row, "before_exit")),
    }
}

fn check_valgrind(
    report: &Report,
    stated: &Stated,
    program: &std::path::Path,
    library: Option<&std::path::Path>,
) {
    if stated.valgrind == Valgrind::No {
        return;
    }
    let theirs = valgrind::in_use(program, library);
    let mut ours: Vec<Sum> = report.list("/processes").iter().map(in_process).collect();
    if stated.valgrind == Valgrind::First {
        assert_eq!(ours[0], theirs[0], "the first process, and valgrind's");
        return;
    }
    ours[1..].sort();
    assert_eq!(ours, theirs, "by process, and valgrind's");
}

/// What valgrind calls in use: a process's own blocks and those that it inherited.
fn in_process(row: &serde_json::Value) -> Sum {
    let (own, inherited) = (sum(row, "live"), sum(row, "inherited_live"));
    Sum {
        blocks: own.blocks + inherited.blocks,
        bytes: own.bytes + inherited.bytes,
    }
}
