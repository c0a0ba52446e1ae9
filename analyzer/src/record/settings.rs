//! The `LEAK_*` variables: what each takes, checked once, at the start of a session.

use std::ffi::OsString;
use std::path::PathBuf;

use leak_wire::layout::{self, Geometry, headers};

/// What a session was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `LEAK_TRACE`, not expanded yet.
    pub(crate) trace: PathBuf,
    /// `LEAK_ONLY`: program names to trace, as globs; the target matches them.
    pub(crate) only: Option<String>,
    /// `LEAK_FOLLOW`.
    pub(crate) follow: bool,
    /// `LEAK_FULL` is `drop`.
    pub(crate) drop_when_full: bool,
    /// `LEAK_MEMORY`, bytes; `None`: as the address space allows.
    pub(crate) memory: Option<u64>,
    /// `LEAK_MAX_TRACE`, bytes; `None`: by free space.
    pub(crate) max_trace: Option<u64>,
    /// `LEAK_DEPTH`.
    pub(crate) depth: u32,
    /// `LEAK_SAMPLE`, mean bytes.
    pub(crate) sample: u64,
    /// `LEAK_KEEP` is `lasting`.
    pub(crate) keep_lasting: bool,
    /// `LEAK_PYTHON` is `auto`.
    pub(crate) python: bool,
    /// `LEAK_GC`: Python's collector is asked to run after so many requests; 0: never.
    pub(crate) gc_every: u32,
    /// `LEAK_HEADERS`: names of request headers, lower case.
    pub(crate) headers: Vec<String>,
    /// `LEAK_OWN_MALLOC` is `auto`: allocators that take libleak's calls are detoured.
    pub(crate) own_malloc: bool,
    /// `LEAK_TASKS` is `auto`: runtimes in executables tell which tasks they run, by detours.
    pub(crate) tasks: bool,
    /// `LEAK_QUIET`.
    pub(crate) quiet: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            trace: "trace.bin".into(),
            only: None,
            follow: true,
            drop_when_full: false,
            memory: None,
            max_trace: None,
            depth: 128,
            sample: 0,
            keep_lasting: false,
            python: true,
            gc_every: 0,
            headers: Vec::new(),
            own_malloc: true,
            tasks: true,
            quiet: false,
        }
    }
}

/// The names of all settings, those too that the target, its library or `run` read themselves.
pub(crate) const NAMES: [&str; 18] = [
    "LEAK_TRACE",
    "LEAK_ONLY",
    "LEAK_FOLLOW",
    "LEAK_FULL",
    "LEAK_MEMORY",
    "LEAK_MAX_TRACE",
    "LEAK_DEPTH",
    "LEAK_SAMPLE",
    "LEAK_KEEP",
    "LEAK_PYTHON",
    "LEAK_GC",
    "LEAK_HEADERS",
    "LEAK_OWN_MALLOC",
    "LEAK_TASKS",
    "LEAK_START",
    "LEAK_QUIET",
    "LEAK_ANALYZE",
    "LEAK_PRELOAD",
];

/// The smallest trace that is worth recording, bytes.
const MIN_TRACE: u64 = 1 << 20;
/// The most bytes from one sample to the next, on average.
const MAX_SAMPLE: u64 = 1 << 40;
/// The most frames of a backtrace.
const MAX_DEPTH: u64 = layout::MAX_DEPTH as u64;

impl Settings {
    /// The settings in these environment variables; an empty one counts as not set.
    ///
    /// # Errors
    /// One line that names the variable and says what it takes.
    pub(crate) fn from_variables(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Settings, String> {
        let mut settings = Settings::default();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with("LEAK_")) else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            if name == "LEAK_TRACE" {
                settings.trace = value.into();
                continue;
            }
            let text = value.to_string_lossy();
            settings
                .set(name, &text)
                .map_err(|takes| format!("{name}={text} can't be used: it takes {takes}"))?;
        }
        Ok(settings)
    }

    /// Sets one; the error says what it takes.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "LEAK_ONLY" => self.only = Some(value.to_owned()),
            "LEAK_FOLLOW" => self.follow = choice(value, &[("1", true), ("0", false)])?,
            "LEAK_FULL" => {
                self.drop_when_full = choice(value, &[("wait", false), ("drop", true)])?;
            }
            "LEAK_MEMORY" => {
                let range = Geometry::MIN_BUDGET..=Geometry::MAX_BUDGET;
                let size = bytes(value).filter(|bytes| range.contains(bytes));
                self.memory = Some(size.ok_or(
                    "a size between 4M and 64G, such as 256M (a number with K, M or G after it)",
                )?);
            }
            "LEAK_MAX_TRACE" => {
                let size = bytes(value).filter(|bytes| *bytes >= MIN_TRACE);
                self.max_trace = Some(size.ok_or("a size of at least 1M, such as 10G")?);
            }
            "LEAK_DEPTH" => {
                let depth = value.parse().ok();
                let depth = depth.filter(|depth| (1..=MAX_DEPTH).contains(depth));
                self.depth = depth.ok_or("a number of frames, 1 to 512")? as u32;
            }
            "LEAK_SAMPLE" => {
                let mean = bytes(value).filter(|bytes| *bytes <= MAX_SAMPLE);
                self.sample = mean.ok_or("a size up to 1T, such as 512K, or 0 for every event")?;
            }
            "LEAK_KEEP" => {
                self.keep_lasting = choice(value, &[("all", false), ("lasting", true)])?;
            }
            "LEAK_PYTHON" => self.python = choice(value, &[("auto", true), ("off", false)])?,
            "LEAK_GC" => self.gc_every = boundary(value).ok_or(GC_TAKES)?,
            "LEAK_HEADERS" => self.headers = header_names(value).ok_or(HEADERS_TAKES)?,
            "LEAK_OWN_MALLOC" => {
                self.own_malloc = choice(value, &[("auto", true), ("off", false)])?;
            }
            "LEAK_TASKS" => self.tasks = choice(value, &[("auto", true), ("off", false)])?,
            "LEAK_QUIET" => self.quiet = choice(value, &[("1", true), ("0", false)])?,
            _ => {}
        }
        Ok(())
    }
}

fn choice(value: &str, choices: &[(&str, bool)]) -> Result<bool, String> {
    let chosen = choices.iter().find(|(name, _)| *name == value);
    chosen.map(|(_, means)| *means).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        names.join(" or ")
    })
}

/// What `LEAK_GC` takes.
const GC_TAKES: &str =
    "off or boundary:N, such as boundary:50, N requests from one collection to the next";

/// `off`, or the N of `boundary:N`.
fn boundary(value: &str) -> Option<u32> {
    match value {
        "off" => Some(0),
        _ => value
            .strip_prefix("boundary:")
            .and_then(|number| number.parse().ok())
            .filter(|number| *number > 0),
    }
}

/// What `LEAK_HEADERS` takes.
const HEADERS_TAKES: &str = "names of at most 8 request headers, such as traceparent,x-request-id, of at most 64 letters, digits, - and _";

/// Comma-separated names, lower case, each once.
fn header_names(value: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for name in value.split(',') {
        let name = name.trim().to_ascii_lowercase();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = (1..=headers::NAME).contains(&name.len());
        if !fits || !name.bytes().all(is_name) {
            return None;
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (names.len() <= headers::MOST).then_some(names)
}

/// `4096`, `64K`, `256M`, `256MiB`, `1.5G`, `2T`, in powers of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let unit = unit
        .strip_suffix("IB")
        .or(unit.strip_suffix('B'))
        .unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let number: f64 = number.parse().ok()?;
    let bytes = number * (1_u64 << shift) as f64;
    (bytes.is_finite() && bytes < 1e18).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let pairs = pairs.iter();
        Settings::from_variables(pairs.map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn every_variable_is_understood() {
        assert_eq!(from(&[]), Ok(Settings::default()));
        assert_eq!(
            from(&[("LEAK_DEPTH", ""), ("PATH", "x")]),
            Ok(Settings::default())
        );
        let all = from(&[
            ("LEAK_TRACE", "/tmp/%e.bin"),
            ("LEAK_ONLY", "nginx,php*"),
            ("LEAK_FOLLOW", "0"),
            ("LEAK_FULL", "drop"),
            ("LEAK_MEMORY", "64M"),
            ("LEAK_MAX_TRACE", "1.5G"),
            ("LEAK_DEPTH", "20"),
            ("LEAK_SAMPLE", "512K"),
            ("LEAK_KEEP", "lasting"),
            ("LEAK_PYTHON", "off"),
            ("LEAK_GC", "boundary:50"),
            ("LEAK_HEADERS", "traceparent, X-Request-Id,traceparent"),
            ("LEAK_OWN_MALLOC", "off"),
            ("LEAK_TASKS", "off"),
            ("LEAK_QUIET", "1"),
        ]);
        let expected = Settings {
            trace: "/tmp/%e.bin".into(),
            only: Some("nginx,php*".into()),
            follow: false,
            drop_when_full: true,
            memory: Some(64 << 20),
            max_trace: Some(3 << 29),
            depth: 20,
            sample: 512 << 10,
            keep_lasting: true,
            python: false,
            gc_every: 50,
            headers: vec!["traceparent".into(), "x-request-id".into()],
            own_malloc: false,
            tasks: false,
            quiet: true,
        };
        assert_eq!(all, Ok(expected));
    }

    #[test]
    fn names_are_all_there() {
        let names = include_str!("settings.rs").split('"');
        let is_name = |text: &&str| {
            let rest = text.strip_prefix("LEAK_");
            rest.is_some_and(|rest| {
                !rest.is_empty()
                    && rest
                        .bytes()
                        .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            })
        };
        for name in names.filter(is_name) {
            assert!(NAMES.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_cant_be_used_is_named_with_what_it_takes() {
        for (name, value, takes) in [
            ("LEAK_FOLLOW", "yes", "1 or 0"),
            ("LEAK_FULL", "WAIT", "wait or drop"),
            ("LEAK_MEMORY", "1M", "a size between 4M and 64G"),
            ("LEAK_MEMORY", "lots", "a size between 4M and 64G"),
            ("LEAK_MAX_TRACE", "-1", "a size of at least 1M"),
            (
                "LEAK_MAX_TRACE",
                "99999999999999999999G",
                "a size of at least 1M",
            ),
            ("LEAK_DEPTH", "0", "a number of frames, 1 to 512"),
            ("LEAK_DEPTH", "513", "a number of frames, 1 to 512"),
            ("LEAK_SAMPLE", "many", "a size up to 1T, such as 512K"),
            ("LEAK_SAMPLE", "2T", "a size up to 1T"),
            ("LEAK_KEEP", "some", "all or lasting"),
            ("LEAK_PYTHON", "on", "auto or off"),
            ("LEAK_GC", "on", "off or boundary:N"),
            ("LEAK_HEADERS", "a b", "names of at most 8 request headers"),
            ("LEAK_HEADERS", "a,,b", "names of at most 8 request headers"),
            ("LEAK_HEADERS", "a,b,c,d,e,f,g,h,i", "names of at most 8"),
            ("LEAK_GC", "boundary:0", "off or boundary:N"),
            ("LEAK_GC", "boundary:many", "off or boundary:N"),
            ("LEAK_QUIET", "2", "1 or 0"),
        ] {
            let error = from(&[(name, value)]).unwrap_err();
            let expected = format!("{name}={value} can't be used: it takes {takes}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn sizes_take_units() {
        for (text, size) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("64K", Some(64 << 10)),
            ("256m", Some(256 << 20)),
            ("256MiB", Some(256 << 20)),
            ("1.5G", Some(3 << 29)),
            ("2 T", Some(2 << 40)),
            ("", None),
            (".", None),
            ("5X", None),
            ("1e9", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
    }
}
