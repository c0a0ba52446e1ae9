//! Options of `leak-analyze watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::report::Boundary;

/// `watch`.
#[derive(Args, Clone, Debug)]
pub struct WatchArguments {
    /// A process that is being recorded, or a trace (a copy, too)
    #[arg(value_name = "PID|TRACE", default_value = "trace.bin")]
    pub target: PathBuf,
    /// Print a block of text at each look (the default where there is no terminal)
    #[arg(long, conflicts_with = "json")]
    pub plain: bool,
    /// Print a line of JSON at each look
    #[arg(long)]
    pub json: bool,
    /// The time between two looks
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = interval)]
    pub every: Duration,
    /// What to compare with: start (of serving), now, or the last mark of a label
    #[arg(long, value_name = "start|now|MARK", default_value = "start")]
    pub since: String,
    /// Write figures for a collector of text files, at each look
    #[arg(long, value_name = "FILE")]
    pub openmetrics: Option<PathBuf>,
    /// What a request is
    #[arg(long, value_enum, default_value_t = Boundary::Auto)]
    pub boundary: Boundary,
    /// Fold the paths of labels that match, such as '/users/*', into one label; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub route: Vec<String>,
}

/// The shortest time between two looks: what is younger than a second is not written yet.
const SHORTEST: Duration = Duration::from_secs(1);

fn interval(text: &str) -> Result<Duration, String> {
    let time =
        humantime::parse_duration(text).map_err(|error| format!("{error}; such as 30s or 5m"))?;
    match time < SHORTEST {
        true => Err("1s is the shortest".to_owned()),
        false => Ok(time),
    }
}
