//! What can happen in a target, as its hooks tell it. Facts only: what a request is, who owns a
//! block and what leaks is decided by the analyzer.
//!
//! One file on purpose: a list of all events, most of it their documentation.

use crate::Bytes;

/// One thing that happened on one thread of a target.
///
/// `site` and `id` are call-site tree nodes, numbered from 1 in each lane generation; 0 is the root
/// (no frame known). Native frames, Python frames and pairs of both share the numbers. `connection` is a number that is never reused within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A successful call returned a new block; recorded *after* the real call.
    Allocation {
        /// Where the block starts.
        address: u64,
        /// Bytes, as the program asked.
        size: u64,
        /// The innermost node of its backtrace, or a [`Event::Pair`].
        site: u32,
    },
    /// A block is about to be given back; recorded *before* the real call.
    Free {
        /// Where the block starts; an address never seen is legal.
        address: u64,
    },
    /// A realloc of a non-null block is about to happen; recorded *before* the real call.
    ReallocationBegin {
        /// The old block; 0 where the session samples and it is not in the sample.
        address: u64,
    },
    /// The realloc begun last on this lane succeeded; recorded *after* the real call.
    ReallocationEnd {
        /// The new block, maybe at the old address; 0 where the session samples and it is not in the sample.
        address: u64,
        /// Bytes, as the program asked.
        size: u64,
        /// The innermost node of its backtrace, or a [`Event::Pair`].
        site: u32,
    },
    /// The realloc begun last on this lane failed: the old block lives on.
    ReallocationFailed,
    /// The realloc begun last on this lane was to size 0 and freed the block.
    ReallocationFreed,
    /// A new node of the lane's call-site tree; comes before the first event that uses it.
    Frame {
        /// The node's number: one more than the last one's.
        id: u32,
        /// The next outer frame's node, 0 for the outermost.
        parent: u32,
        /// The return address. A frame that a signal interrupted is given as its pc plus one, so
        /// that `address - 1` always lies within the instruction that is meant.
        address: u64,
    },
    /// A new node of the lane's tree of Python stacks.
    PythonFrame {
        /// The node's number: one more than the last one's.
        id: u32,
        /// The next outer Python frame's node, 0 for the outermost.
        parent: u32,
        /// The code object, as an earlier `PythonCode` of the process numbers it.
        code: u32,
        /// Where in the code: bytes from its first instruction.
        instruction: u32,
    },
    /// A new pair of backtraces: of an allocation that Python code led to. Where the interpreter asked, there is one for
    /// each function that allocates below a Python node, whatever lies between.
    Pair {
        /// The pair's number: one more than the last node's.
        id: u32,
        /// The innermost native frame's node. Where the interpreter asked and Python code ran: of a block that the
        /// same function allocated at the same instruction, an example but for its innermost frame.
        native: u32,
        /// The innermost Python frame's node; 0: the interpreter asked, but no Python code ran.
        python: u32,
        /// Whose allocator was asked: such a block is counted as Python's or not.
        asked: Asked,
    },
    /// A Python code object, told once in a process and before the first frame that runs it.
    PythonCode {
        /// Its number; never reused within the process, and a forked child goes on from its parent's.
        code: u32,
        /// The line of its `def`.
        first_line: u32,
        /// The interpreter's version: major · 256 + minor; the line table's format follows from it.
        version: u32,
        /// File name, a NUL, qualified name; UTF-8.
        text: Bytes<'a>,
    },
    /// A piece of a code object's line table, as the interpreter holds it. Pieces follow their
    /// `PythonCode` in order.
    PythonLines {
        /// The code object.
        code: u32,
        /// Where the piece begins.
        offset: u32,
        /// The piece.
        bytes: Bytes<'a>,
    },
    /// From here on the thread runs this task: a Python coroutine that no other one awaits on the
    /// thread's stack, because an event loop drives it, or what a runtime polls. A fact, since another
    /// thread may run the task next, or another task may come to lie in its block.
    Task {
        /// Where the block of the coroutine object, or the task's own block, starts; 0: none runs.
        task: u64,
    },
    /// CPython's free lists are others than when this was told last: what came to them died since then, and what left
    /// them for its next use was taken since then, all by this thread as far as nothing else is told.
    FreeLists {
        /// Words of [`Change`](crate::free_list::Change), little-endian.
        changes: Bytes<'a>,
    },
    /// The lane's call-site tree starts anew: the next node is 1 again.
    TreeReset,
    /// A module was mapped, or was found mapped at the start.
    ModuleLoaded {
        /// Lowest mapped address.
        start: u64,
        /// Past the highest mapped address.
        end: u64,
        /// Runtime address minus file (virtual) address.
        bias: u64,
        /// Path of the file.
        path: Bytes<'a>,
    },
    /// The module that was mapped at `start` is gone.
    ModuleUnloaded {
        /// Its lowest mapped address.
        start: u64,
    },
    /// The program is about to replace its image; it ends here unless `ExecFailed` follows.
    Exec,
    /// The exec begun last on this lane failed.
    ExecFailed,
    /// The thread is about to create another one, which may fail.
    ThreadCreate {
        /// The new thread's number in its process, in bits 0 to 55: the address of its state. Given again once it
        /// has ended.
        thread: u64,
    },
    /// The thread is that one, which another has created. Comes before all else of it that is recorded.
    ThreadCreated {
        /// As in `ThreadCreate`.
        thread: u64,
    },
    /// The thread has created that one, whose stack the C library mapped; recorded *after* the real call, when the new
    /// thread may have ended.
    ThreadStack {
        /// As in `ThreadCreate`.
        thread: u64,
        /// Its `pthread_t`; given again once it is released.
        handle: u64,
        /// Bytes of the stack.
        size: u64,
        /// It was created detached: its stack is given back when it ends.
        detached: bool,
        /// The innermost node of the backtrace, or a [`Event::Pair`].
        site: u32,
    },
    /// The thread with this `pthread_t` was joined (recorded *after* that), or is about to be detached.
    ThreadReleased {
        /// As in `ThreadStack`.
        handle: u64,
        /// It has ended.
        joined: bool,
    },
    /// The program begins to end by itself: it calls `exit` or its like, returns from `main`, or its Python
    /// interpreter has begun to finalize. Nothing is taken apart yet. Once in a process.
    ExitBegins,
    /// The Python interpreter's collector of cyclic garbage has run so often since this was told last, by the
    /// youngest of its generations that it left alone: the numbers may all be 0 when they are told first. What a
    /// process's facts before this one told of had happened before these runs were over.
    Collected {
        /// Runs over the youngest generation alone.
        young: u32,
        /// Over the two younger ones.
        middle: u32,
        /// Over everything.
        full: u32,
    },
    /// The interpreter was asked to collect everything, at the next place where that is safe (`LEAK_GC`).
    CollectionAsked,
    /// The program mapped memory by itself, past any allocator that is traced; recorded *after* the real call. What
    /// was mapped there before is no more.
    Mapped {
        /// Where it starts.
        address: u64,
        /// Bytes.
        size: u64,
        /// What lies there.
        backing: Backing,
        /// The innermost node of its backtrace, or a [`Event::Pair`].
        site: u32,
    },
    /// What is mapped there is about to be no more; recorded *before* the real call.
    Unmapped {
        /// Where it starts.
        address: u64,
        /// Bytes.
        size: u64,
    },
    /// The call that the lane's last `Unmapped` told of failed: all that was mapped there lives on.
    UnmapFailed,
    /// The contents of what is mapped there were given up, its pages are the kernel's until they are touched again
    /// (`MADV_DONTNEED`, `MADV_FREE`).
    Discarded {
        /// Where it starts.
        address: u64,
        /// Bytes.
        size: u64,
    },
    /// The process ends by `exit` or `_exit` (not sent for a signal).
    Exit {
        /// The status as given, 0 to 255.
        code: u32,
    },
    /// A listening stream socket gave a connection.
    Accept {
        /// The connection's number.
        connection: u32,
        /// The local end: `tcp:PORT` or `unix:PATH`.
        local: Bytes<'a>,
    },
    /// The thread enters a call that may wait. Not repeated while nothing else is recorded, unless another thread has
    /// woken it meanwhile.
    Enter {
        /// What it would wait for.
        wait: Wait,
        /// The connection for `Wait::Read` and `Wait::Write`; for `Wait::Lock`, `Wait::Notify` and
        /// `Wait::NotifyAll` the [word](Wait::word) of what is waited for, 0 where there is none; else 0.
        connection: u32,
    },
    /// The thread read from or wrote to a connection; recorded after the call.
    Transferred {
        /// The connection.
        connection: u32,
        /// Which way.
        transfer: Transfer,
        /// Bytes that the program saw (plain text under TLS). 0: the client is gone, while a request waits for its
        /// answer; told once.
        bytes: u64,
    },
    /// The first byte of a request's head was read, and its head is not complete yet.
    RequestBegun {
        /// The connection.
        connection: u32,
    },
    /// The head of the next `Request` of this connection, which is one alone, has a header that is recorded
    /// (`LEAK_HEADERS`). In the order of their names.
    Header {
        /// The connection.
        connection: u32,
        /// Bytes of the value, which is cut where it has fewer.
        length: u32,
        /// The name, lower case, a NUL, the value.
        text: Bytes<'a>,
    },
    /// The heads of `count` equal requests (commands) were read.
    Request {
        /// The connection.
        connection: u32,
        /// How many, at least 1.
        count: u32,
        /// What the connection speaks.
        protocol: Protocol,
        /// `METHOD /path` without the query for http, else the verb; may be empty.
        label: Bytes<'a>,
    },
    /// The last byte of `count` answers was written.
    Answer {
        /// The connection.
        connection: u32,
        /// How many, at least 1.
        count: u32,
        /// The status code, 0 where the protocol has none.
        status: u32,
    },
    /// After an `Answer` of status 101 (or to CONNECT) the connection speaks something else; each message received is a turn.
    Upgraded {
        /// The connection.
        connection: u32,
    },
    /// What it speaks after an upgrade is WebSocket: messages are told as `Request`, and what was read since began none.
    Messages {
        /// The connection.
        connection: u32,
    },
    /// From here on, requests of this connection can't be told apart.
    Unseen {
        /// The connection.
        connection: u32,
        /// Why.
        reason: Unseen,
    },
    /// The process closed its last descriptor of the connection.
    Close {
        /// The connection.
        connection: u32,
    },
    /// `leak_begin`: a marked request begins on this thread.
    MarkBegin {
        /// The label.
        label: Bytes<'a>,
    },
    /// `leak_end`: the innermost marked request of this thread ends.
    MarkEnd,
    /// `leak_mark`: the process's interval ends and the next begins.
    Mark {
        /// The label.
        label: Bytes<'a>,
    },
    /// The thread ends: its destructors have run. One that the kernel ended, or that a raw system call ended,
    /// ends without it.
    ThreadEnd,
}

/// Whose allocator gave a block that Python code led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Asked {
    /// The interpreter's object or memory domain: the block is Python's.
    Interpreter = 0,
    /// malloc or its family: a native block, of an extension module or a library.
    Native = 1,
}

/// What lies in mapped memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Backing {
    /// Memory of the process's own.
    Private = 0,
    /// Memory that processes may share.
    Shared = 1,
    /// A file's contents.
    File = 2,
    /// Nothing: addresses are reserved, which nobody may touch (`PROT_NONE`).
    Reserved = 3,
    /// Memory of the process's own where addresses are reserved, and nothing new elsewhere (`mprotect`).
    Committed = 4,
    /// What lay there, or in what the lane's last `Unmapped` told of, in a new size (`mremap`).
    Remapped = 5,
}

/// What a thread may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Wait {
    /// A new connection.
    Accept = 0,
    /// Bytes of a watched connection.
    Read = 1,
    /// Readiness: poll, select, epoll.
    Poll = 2,
    /// Another thread: condition variable, semaphore, futex.
    Lock = 3,
    /// Room in a watched connection: a write is entered. Ends no request, but tells that the
    /// answer begins before the client can see it.
    Write = 4,
    /// The lock of a queue: a mutex that a thread of this process has waited with on a condition variable. Or the read
    /// of a channel: a pipe, an eventfd, a pair of sockets, a timer or signals that this program has made.
    /// Ends no request and is no idle wait, but tells a worker's last job from its next.
    Queue = 5,
    /// None: a few bytes are about to be written to what is no watched connection, which wakes another thread by a pipe
    /// or an eventfd. A worker may tell so that its job is done, and go on with the next one.
    Wake = 6,
    /// None: a thread that waits for another one (`Wait::Lock`) with this word is about to be woken, as one is that is
    /// given a job. Not told where nobody waits, nor where the thread gives back a semaphore that it has taken before,
    /// as a lock is.
    Notify = 7,
    /// The same of all that wait with the word.
    NotifyAll = 8,
}

impl Wait {
    /// Whether the thread may be idle in there: what it had to do is done.
    pub fn may_be_idle(self) -> bool {
        !matches!(
            self,
            Wait::Write | Wait::Queue | Wait::Wake | Wait::Notify | Wait::NotifyAll
        )
    }

    /// What stands for the semaphore, condition variable or futex at this address: two at once rarely have the same.
    pub fn word(address: u64) -> u32 {
        (address >> 2) as u32
    }
}

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Transfer {
    /// From the client.
    Read = 0,
    /// To the client.
    Write = 1,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1: requests have heads, answers have statuses.
    Http = 0,
    /// Redis: each command is a request.
    Redis = 1,
    /// memcached, text or binary: each command is a request.
    Memcached = 2,
    /// PostgreSQL frontend messages: each query or execute is a request.
    Postgres = 3,
    /// WebSocket after an upgrade: each message of the client is a request.
    Websocket = 4,
}

/// Why requests of a connection can't be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Unseen {
    /// Ciphertext, and the program does not call a shared libssl on this socket.
    Tls = 0,
    /// HTTP/2.
    Http2 = 1,
    /// A head longer than the framer's buffer, or bytes that are no HTTP after all.
    Unframed = 2,
    /// Two threads read (or wrote) the connection at once.
    Concurrent = 3,
    /// Read or written by calls that can't be seen (stdio, io_uring, raw system calls).
    Bypassed = 4,
}

macro_rules! from_u8 {
    ($type:ident: $($variant:ident),+) => {
        impl $type {
            /// The value that `code` stands for on the wire, if any.
            pub fn from_code(code: u8) -> Option<Self> {
                [$($type::$variant),+].into_iter().find(|value| *value as u8 == code)
            }
        }
    };
}
from_u8!(Asked: Interpreter, Native);
from_u8!(Backing: Private, Shared, File, Reserved, Committed, Remapped);
from_u8!(Wait: Accept, Read, Poll, Lock, Write, Queue, Wake, Notify, NotifyAll);
from_u8!(Transfer: Read, Write);
from_u8!(Protocol: Http, Redis, Memcached, Postgres, Websocket);
from_u8!(Unseen: Tls, Http2, Unframed, Concurrent, Bypassed);
