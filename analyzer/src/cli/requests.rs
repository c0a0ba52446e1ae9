//! Options of `leak-analyze requests`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::report::{Boundary, Scope};

/// `requests`.
#[derive(Args, Clone, Debug)]
pub struct RequestsArguments {
    /// The trace
    #[arg(value_name = "TRACE", default_value = "trace.bin")]
    pub trace: PathBuf,
    /// Only those that retained blocks at a call site that leaks
    #[arg(long)]
    pub leaking: bool,
    /// Only those whose labels match
    #[arg(long, value_name = "GLOB")]
    pub label: Option<String>,
    /// The server's access log, for what it knows of each request: common, combined or JSON lines
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t = ListFormat::Ndjson)]
    pub format: ListFormat,
    /// Where urls and curl lead, instead of to http://localhost and the port that the server listened on
    #[arg(long, value_name = "URL")]
    pub base: Option<String>,
    /// Where to print it, instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What a request is
    #[arg(long, value_enum, default_value_t = Boundary::Auto)]
    pub boundary: Boundary,
    /// Whose a block is
    #[arg(long, value_enum, default_value_t = Scope::Auto)]
    pub scope: Scope,
    /// Fold the paths of labels that match, such as '/users/*', into one label; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub route: Vec<String>,
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// The addresses of GET requests, one a line
    Urls,
    /// A curl command for each HTTP request
    Curl,
    /// An object for each request
    Ndjson,
}
