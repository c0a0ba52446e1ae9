//! The command line. Only this room knows clap.

pub mod report;
