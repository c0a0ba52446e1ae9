//! What the black-box tests share: they see libleak as its users do, as `libleak.so` and `leak-analyze`,
//! and everything else about a program from outside.
//!
//! A missing compiler, server or valgrind fails a test; nothing is skipped.

pub mod artifacts;
pub mod browser;
pub mod cargo;
pub mod compile;
pub mod conformance;
pub mod count;
pub mod frames;
pub mod http;
pub mod memory_group;
pub mod process;
pub mod python;
pub mod real;
pub mod report;
pub mod run;
pub mod schema;
pub mod stated;
pub mod story;
pub mod valgrind;
