//! Everything outside the target: the recorder that writes a trace, and the analysis that reads one.
//!
//! The rooms, in the order in which data passes through them:
//! `record` (lanes → trace.bin) · `trace` (the file) · `sites` (backtraces over modules) · `types` (names of types) ·
//! `replay` (events → live blocks) · `requests` (io facts and marks → requests, and what is proved of owners) ·
//! `association` (blocks without proof → labels, by likelihood) ·
//! `verdict` (survivors over time → verdict) · `analysis` (the result, data only) ·
//! `symbols` (addresses → functions) · `report` (the result, printed) · `gate` (which leaks are known) · `show` (all of it in one go).
//! `watch` follows a trace that is still being written.
//! Only `cli` knows clap, only `report`, `watch` and `progress` print, and `replay`, `requests`, `association`, `sites` and `verdict` do no I/O
//! at all.

pub mod access;
mod addresses;
pub mod analysis;
pub mod analyze;
pub mod asked;
pub mod association;
pub mod cli;
pub mod doctor;
pub mod dump;
mod escape;
pub(crate) mod figures;
pub mod folding;
#[doc(hidden)]
pub mod fuzz;
pub mod gate;
pub mod ledger;
pub mod mapping;
pub mod mark;
pub mod notice;
pub mod progress;
pub mod python;
pub mod record;
pub mod replay;
pub mod report;
pub mod requests;
pub mod run;
pub mod sample;
pub mod seldom;
pub mod show;
pub mod sites;
pub mod symbols;
pub mod trace;
mod traced;
pub mod types;
pub mod verdict;
pub mod warm_up;
pub mod watch;
pub mod window;
