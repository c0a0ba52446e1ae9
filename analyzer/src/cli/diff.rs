//! Options of `leak-analyze diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::report::{Boundary, Scope};

/// `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArguments {
    /// The trace to compare with
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The trace to judge
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// What to print
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub format: DiffFormat,
    /// Where to print it, instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 23 if an endpoint or a call site has one of these states, with 3 if the traces can't tell
    #[arg(long, value_name = "STATE,...", value_enum, value_delimiter = ',')]
    pub fail_on: Vec<FailOnState>,
    /// What a request is, in both traces
    #[arg(long, value_enum, default_value_t = Boundary::Auto)]
    pub boundary: Boundary,
    /// Whose a block is, in both traces
    #[arg(long, value_enum, default_value_t = Scope::Auto)]
    pub scope: Scope,
    /// Fold the paths of labels that match, such as '/users/*', into one label; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub route: Vec<String>,
    /// A place to look for debug files, a build-id tree or plain files; may be repeated
    #[arg(long, value_name = "DIR")]
    pub debug_dir: Vec<PathBuf>,
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people
    Text,
    /// For programs: one object, schema 1 of diffs
    Json,
    /// To look at and to hand on: one page that needs no network
    Html,
    /// For pull requests
    Markdown,
}

/// A state that fails a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOnState {
    /// It leaks, and did not
    New,
    /// It leaks more
    Worse,
}
