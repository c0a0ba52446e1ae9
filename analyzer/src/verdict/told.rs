//! Where memory waits for a runtime's collector: what has not been freed may be garbage, and only a collection of
//! everything tells. So a leak is judged as it stood when the last one began: what was kept until then, by requests that
//! had ended then, was in use, and so old. What came later is not judged, and where that is most of it, it can't be told
//! yet. (By then, what nobody used had been freed, and the lives of that are known: they include the wait for a
//! collection, which makes what is called mature older.)

use crate::sites::runtimes::Runtime;

/// The last collection of everything in a process that began before its last request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// So many requests had ended when it began.
    pub order: u64,
    /// So long before the end of the serving.
    pub ago: u64,
}

/// What a runtime's collector has to do with a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which runtime.
    pub runtime: Runtime,
    /// The group's requests that had ended when the last collection of everything began; `None`: there was none.
    pub requests: Option<u64>,
    /// They are what was judged.
    pub is_judged: bool,
}
