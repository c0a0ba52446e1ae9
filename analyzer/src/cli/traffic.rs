//! Options of `leak-analyze run` for a server that has to be driven.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::Signal;

use crate::run::{Ready, Stop, Traffic};

/// `run --traffic` and what goes with it.
#[derive(Args, Clone, Debug)]
pub struct TrafficOptions {
    /// A shell's command that sends requests, such as 'k6 run smoke.js': once the program is ready; it is stopped after
    #[arg(long, value_name = "COMMAND")]
    pub traffic: Option<OsString>,
    /// When it is ready: listen (any socket of its processes), a TCP port, or a URL that is answered
    #[arg(long, value_name = "WHEN", default_value = "listen", value_parser = ready, requires = "traffic")]
    pub ready: Ready,
    /// How long that may take
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub ready_within: Duration,
    /// A command that sends requests first which are not judged
    #[arg(long, value_name = "COMMAND", requires = "traffic")]
    pub warm_up: Option<OsString>,
    /// How long the program is left in peace before it is stopped
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub settle: Duration,
    /// How it is stopped: TERM, INT or another signal, or a shell's command
    #[arg(long, value_name = "HOW", default_value = "TERM", value_parser = stop, requires = "traffic")]
    pub stop: Stop,
    /// How long that may take until it is killed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub stop_within: Duration,
}

impl TrafficOptions {
    /// How to drive it, if that is to be.
    pub fn traffic(&self) -> Option<Traffic> {
        Some(Traffic {
            command: self.traffic.clone()?,
            ready: self.ready.clone(),
            within: self.ready_within,
            warm_up: self.warm_up.clone(),
            settle: self.settle,
            stop: self.stop.clone(),
            stop_within: self.stop_within,
        })
    }
}

fn ready(text: &str) -> Result<Ready, String> {
    if text == "listen" {
        return Ok(Ready::Listens);
    }
    if let Ok(port) = text.parse() {
        return Ok(Ready::Port(port));
    }
    let wrong = "takes listen, a TCP port, or an address that begins with http://";
    let rest = text.strip_prefix("http://").ok_or(wrong)?;
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, "/".into()),
    };
    let host = match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        _ => format!("{host}:80"),
    };
    match path.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Ready::Url(host, path)),
        false => Err(wrong.into()),
    }
}

fn stop(text: &str) -> Result<Stop, String> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    if let Ok(signal) = format!("SIG{name}").parse::<Signal>() {
        return Ok(Stop::Signal(signal));
    }
    match text.trim().is_empty() {
        true => Err("takes a signal's name or a command".into()),
        false => Ok(Stop::Command(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_signals() {
        assert_eq!(ready("listen"), Ok(Ready::Listens));
        assert_eq!(ready("8080"), Ok(Ready::Port(8080)));
        let url = |host: &str, path: &str| Ok(Ready::Url(host.into(), path.into()));
        assert_eq!(
            ready("http://localhost:8080/health"),
            url("localhost:8080", "/health")
        );
        assert_eq!(ready("http://host"), url("host:80", "/"));
        assert!(ready("https://host/").is_err() && ready("70000").is_err());
        assert!(ready("http://host/a b\r\nX: y").is_err());
        assert_eq!(stop("INT"), Ok(Stop::Signal(Signal::SIGINT)));
        assert_eq!(stop("SIGQUIT"), Ok(Stop::Signal(Signal::SIGQUIT)));
        assert_eq!(
            stop("nginx -s quit"),
            Ok(Stop::Command("nginx -s quit".into()))
        );
    }
}
