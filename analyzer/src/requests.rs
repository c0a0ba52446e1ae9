//! Events → requests, and whose block it is: one state machine.
//!
//! A connection is cut as its **mode** says: `New` (nothing known) becomes `Framed` with the first head,
//! `Turns` with an upgrade; `Uncut` gives no requests. Its **queue** holds what was read and not yet
//! answered, oldest first; the first of the queue has begun. A thread has **answered** requests that end when it
//! waits or turns to something else, and serves at most one. What that proves of its blocks stands in `owner`.
//!
//! | event | turns (`New`, `Turns`) | heads (`Framed`) | ownership |
//! | --- | --- | --- | --- |
//! | `Accept` | connection `New`, held by the process | the same | – |
//! | `Transferred` read | queue empty: a turn begins. Else it belongs to the turn under way, unless another thread has entered a write: then that one is answered, and a turn begins | – | has read what it began; else touches the request of this connection that it serves already, else the first of the queue; not where a head follows, or another thread writes |
//! | `RequestBegun` | a turn begun by the same read is this request; mode `Framed` | queued, without label: nobody can work for it yet | as `Request` |
//! | `Request` | the same | completes the head without label, or is queued. Begins now, unless read together with one before it in the queue. Of messages, those of earlier reads are answered by it | has read it, once it has begun |
//! | `Enter` write | the thread is the queue's writer. If that begins an answer, the thread's answered requests end | the same | touches the first of the queue |
//! | `Transferred` of no bytes | the client is gone: what is queued knows it | the same | – |
//! | `Transferred` write | the turn that the write was entered for is answered | – | touches that one |
//! | `Answer` | – | the first of the queue are answered, as many as it counts: a request that stands for more is split. The next begins. Read together and answered together, with one label and status: one request that counts for all. Of others that were read together, the former's may have been worked for since the head was read: it has begun then, but where each was answered by itself | has answered it; has read the next, if it did |
//! | `Enter` read | the thread's answered requests end | the same | – |
//! | `Enter` accept, poll, lock | the thread's answered requests end | the same | its zone ends |
//! | `Enter` queue | the thread's answered requests end | the same | its zone ends |
//! | `Enter` notify | – | – | who is woken works for whom the thread works, until it waits again: a hint |
//! | `ThreadCreate`, `ThreadCreated` | – | – | the second's thread has the first's worker as its maker |
//! | `ThreadEnd` | the thread's answered requests end, its marks too | the same | its zone ends; if it lived for one request, all was for that |
//! | `Upgraded` | – | mode `Turns` | – |
//! | `Messages` | a turn that was read since the upgrade is none; mode `Framed` | – | – |
//! | `Unseen` | turns and incomplete heads are none; mode `Uncut` | complete heads wait for the close | blocks of what is none are outside |
//! | `Close` by the last holder | what is queued ends, without a status; a first turn is none where others to this port have heads | the same | – |
//! | process ends | what it has answered ends, as of its answer; what is in flight stays open for ever; it holds no connection any more | the same | zones end |
//! | fork | the child holds its parent's connections | the same | the child's threads serve none |
//! | `MarkBegin`, `MarkEnd` | a request begins, the innermost ends | the same | the innermost is served |
//! | `Task` | the thread is another worker from now on: the task, with what it serves and has allocated | the same | a task has the request of the one that made it |
//! | `Mark` | the process's interval ends, the next begins | the same | owns what threads without marks allocate |
//!
//! Answers with an informational status (but 101) are none. Of several labels read together and
//! answered together each is a request of its own with the right count. A request that another process answers
//! moves there. A thread whose lane just ends may have died with its process: it ended by itself if its process
//! goes on. With `--boundary connection` the request lasts from accept to close; with `mark` connections are
//! ignored.

pub mod asked;
pub mod connection;
mod head;
mod io;
pub mod label;
mod life;
pub mod machine;
mod mapped;
mod mark;
mod memory;
mod notice;
pub mod options;
pub mod owner;
pub mod record;
pub mod segments;
mod task;
mod text;
mod transfer;
mod wait;
