//! Figures, for people.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// `15.6 MiB`: binary units, one digit after the point.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // 1023.95 would be printed as 1024.0.
    while value >= 1023.95 {
        match units.next() {
            Some(larger) => unit = Some(larger),
            None => break,
        }
        value /= 1024.0;
    }
    format!("{value:.1} {}", unit.unwrap_or(&"B"))
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 request`, `1,000 requests`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// `57 %` of the whole; `<1 %` for a little; nothing of nothing is `0 %`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    let percent = match whole {
        0 => 0.0,
        _ => part as f64 * 100.0 / whole as f64,
    };
    match percent {
        p if part > 0 && p < 1.0 => "<1 %".into(),
        // Never "all" while there is another part.
        p if p > 99.0 && part < whole => "99 %".into(),
        p => format!("{p:.0} %"),
    }
}

/// `1 h 02 min`, `3 min 07 s`, `12.3 s`, `45 ms`.
pub(crate) fn duration(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let mut out = String::new();
    let written = match seconds {
        3600.. => write!(out, "{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        60.. => write!(out, "{} min {:02} s", seconds / 60, seconds % 60),
        1.. => write!(out, "{:.1} s", ns as f64 / 1e9),
        0 => write!(out, "{} ms", ns / 1_000_000),
    };
    debug_assert!(written.is_ok());
    out
}

/// `2023-11-14T22:13:20Z`, of nanoseconds since 1970; parts of a second where there are any.
pub(crate) fn moment(ns: u64) -> String {
    let moment = UNIX_EPOCH + Duration::from_nanos(ns);
    humantime::format_rfc3339(moment).to_string()
}

/// `SIGKILL`, or `signal 99`.
pub(crate) fn signal(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_units() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(16_384_000), "15.6 MiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn groups_of_three() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "request"), "1 request");
    }

    #[test]
    fn shares() {
        assert_eq!(share(0, 0), "0 %");
        assert_eq!(share(1, 1000), "<1 %");
        assert_eq!(share(999, 1000), "99 %");
        assert_eq!(share(1000, 1000), "100 %");
        assert_eq!(share(57, 100), "57 %");
    }

    #[test]
    fn durations() {
        assert_eq!(duration(45_999_999), "45 ms");
        assert_eq!(duration(12_340_000_000), "12.3 s");
        assert_eq!(duration(187_000_000_000), "3 min 07 s");
        assert_eq!(duration(3_720_000_000_000), "1 h 02 min");
    }

    #[test]
    fn moments() {
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(951_827_696_000_000_000), "2000-02-29T12:34:56Z");
        assert_eq!(moment(1_500_000_000), "1970-01-01T00:00:01.500000000Z");
        assert_eq!(moment(u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn signals() {
        assert_eq!(signal(9), "SIGKILL");
        assert_eq!(signal(99), "signal 99");
    }
}
