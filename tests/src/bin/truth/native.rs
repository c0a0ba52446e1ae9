//! The servers in C, C++ and Rust.

use crate::shape::Shape;

/// Numbers of connections that keep a server from waiting.
const BUSY: &[usize] = &[8, 32];
/// Where 32 at once leave too little to tell: see tests/truth/NOTES.md.
const SOME: &[usize] = &[2, 8];

/// All of them.
pub(crate) fn all() -> Vec<Shape> {
    let mut shapes = loops();
    shapes.extend(threads());
    shapes.extend(pools());
    shapes.extend(handed_on());
    shapes.extend(batches());
    shapes.extend(processes());
    shapes.extend(runtimes());
    shapes
}

fn loops() -> Vec<Shape> {
    let made = |name, options, what| Shape::native(name, "loop.c", options, what);
    vec![
        made("loop", "", "one thread, one epoll loop")
            .proved()
            .quick(BUSY),
        made(
            "loop-timer",
            "timer",
            "the same; a timer of the loop keeps blocks, too",
        )
        .quick(BUSY),
        made(
            "loop-tail",
            "tail",
            "the same, blocks kept after the answer",
        )
        .proved()
        .cut_off(1)
        .quick(BUSY),
        made("loop-return", "return", "the same, main returns on SIGTERM").proved(),
        made("loop-exit", "exit", "the same, main calls exit on SIGTERM")
            .proved()
            .quick(BUSY),
        Shape::native(
            "broadcast",
            "broadcast.c",
            "",
            "a loop; /publish answers, keeps its blocks, then writes to 100 streams",
        )
        .proved()
        .published(100)
        .cut_off(1)
        .quick(BUSY),
    ]
}

fn threads() -> Vec<Shape> {
    vec![
        Shape::native("threads", "threads.c", "", "a thread for each connection")
            .proved()
            .quick(BUSY),
        Shape::native(
            "threads-once",
            "threads.c",
            "once",
            "the same, a connection for each request",
        )
        .proved()
        .once()
        .quick(BUSY),
        Shape::native(
            "threads-rust",
            "threads.rs",
            "",
            "a thread for each connection, Rust's standard library",
        )
        .proved()
        .quick(BUSY),
    ]
}

fn pools() -> Vec<Shape> {
    let made = |name, options, what| Shape::native(name, "pool.c", options, what).proved();
    vec![
        made("pool-1", "1", "a reader, a condition variable, 1 worker").quick(BUSY),
        made("pool-2", "2", "the same with 2 workers"),
        made("pool-4", "4", "the same with 4 workers").quick(BUSY),
        made("pool-ring", "4 ring", "4 workers, jobs are not allocated").quick(BUSY),
        made(
            "pool-tail",
            "4 tail",
            "4 workers, blocks kept after the answer",
        )
        .cut_off(4)
        .quick(BUSY),
        made(
            "pool-foreign",
            "4 foreign",
            "4 workers, jobs of no request in their queue",
        )
        .quick(BUSY),
        made(
            "pool-return",
            "4 return",
            "4 workers, main returns on SIGTERM",
        ),
        made(
            "pool-exit",
            "4 exit",
            "4 workers, main calls exit on SIGTERM",
        ),
    ]
}

/// Servers whose workers touch no socket, or wait where nothing tells what for.
fn handed_on() -> Vec<Shape> {
    vec![
        Shape::native(
            "pool-futex",
            "pool_futex.c",
            "",
            "4 workers behind a bare futex",
        )
        .quick(BUSY),
        Shape::native(
            "pool-eventfd",
            "pool_counted.c",
            "",
            "4 workers behind an eventfd",
        )
        .quick(BUSY),
        Shape::native(
            "pool-semaphore",
            "pool_counted.c",
            "semaphore",
            "4 workers behind a semaphore",
        ),
        Shape::native(
            "pipeline",
            "pipeline.c",
            "",
            "a reader, 2 workers that touch no socket, a writer",
        )
        .quick(SOME),
        Shape::native(
            "single-worker",
            "single_worker.c",
            "",
            "a thread for each connection, which waits for one worker",
        )
        .quick(SOME),
    ]
}

fn batches() -> Vec<Shape> {
    let made = |name, options, what| Shape::native(name, "batch.c", options, what);
    vec![
        made(
            "batch",
            "",
            "one loop, a backend that replies to many at once",
        )
        .quick(BUSY),
        made("batch-bulk", "bulk", "the same, all replies read at once"),
        made(
            "batch-twice",
            "twice",
            "the same, two replies for each request",
        ),
    ]
}

fn processes() -> Vec<Shape> {
    let made = |name, options, what| Shape::native(name, "prefork.c", options, what).once();
    vec![
        made("prefork", "", "4 forked workers").proved().quick(BUSY),
        made(
            "prefork-recycle-exit",
            "recycle-exit",
            "4 forked workers, replaced after 50 requests by exit",
        )
        .proved()
        .short_lived(),
        made(
            "prefork-recycle-_exit",
            "recycle-_exit",
            "4 forked workers, replaced after 50 requests by _exit",
        )
        .proved()
        .short_lived(),
        Shape::native(
            "forking",
            "forking.c",
            "",
            "a child for each connection; the parent keeps a block for each child",
        )
        .keeps_nothing()
        .once()
        .quick(BUSY),
    ]
}

/// Servers whose requests go from thread to thread between two steps of their own.
fn runtimes() -> Vec<Shape> {
    let axum = |name, options, what| Shape::cargo(name, "axum", options, what);
    vec![
        Shape::native(
            "beast",
            "beast.cpp",
            "",
            "Boost.Asio's coroutines and Beast on 2 threads",
        )
        .needs("libboost-dev"),
        axum("axum-1", "1", "axum on 1 worker of tokio"),
        axum("axum-2", "2", "axum on 2 workers of tokio"),
        axum(
            "axum-blocking",
            "2 blocking",
            "the same, blocks kept by spawn_blocking",
        ),
        axum(
            "axum-detached",
            "2 detached",
            "the same, blocks kept by a task that nobody waits for",
        )
        .cut_off(32),
    ]
}
