//! The settings that the target reads itself, `LEAK_START` and `LEAK_ONLY`: what they take, for whoever asks.

/// What `LEAK_START` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At once.
    On,
    /// When somebody says so.
    Off,
    /// The same, and when the resident set is larger than this.
    Resident(Amount),
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Bytes.
    Bytes(u64),
    /// Hundredths of what the process may have.
    Percent(u64),
}

/// What `LEAK_START` takes.
pub const START_TAKES: &str = "on, off, or a condition: rss>70% (of the memory limit, else of the machine's memory) or rss>800M";

impl Start {
    /// The setting of this value; `None`: it can't be used.
    pub fn parse(value: &[u8]) -> Option<Start> {
        match value {
            b"" | b"on" => return Some(Start::On),
            b"off" => return Some(Start::Off),
            _ => {}
        }
        let amount = value.strip_prefix(b"rss>")?.trim_ascii();
        let digits = amount.iter().take_while(|byte| byte.is_ascii_digit());
        let (number, unit) = amount.split_at_checked(digits.count())?;
        let number: u64 = core::str::from_utf8(number).ok()?.parse().ok()?;
        if number == 0 {
            return None;
        }
        let shift = match unit {
            b"%" if number < 100 => return Some(Start::Resident(Amount::Percent(number))),
            b"K" | b"k" => 10,
            b"M" | b"m" => 20,
            b"G" | b"g" => 30,
            b"T" | b"t" => 40,
            _ => return None,
        };
        let bytes = number.checked_mul(1 << shift)?;
        Some(Start::Resident(Amount::Bytes(bytes)))
    }
}

/// Whether one of the comma-separated globs in `patterns` matches `name`.
pub fn matches_any(patterns: &[u8], name: &[u8]) -> bool {
    patterns
        .split(|byte| *byte == b',')
        .any(|pattern| matches(pattern.trim_ascii(), name))
}

/// Whether the glob `pattern` (`*`, `?`) matches all of `name`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_pattern) = (0, 0);
    // Where the last star stood, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(byte) if *byte == b'?' || name.get(at) == Some(byte) => {
                at += 1;
                in_pattern += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                at = taken + 1;
                in_pattern = star_at + 1;
            }
        }
    }
    pattern.iter().skip(in_pattern).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leak_start_takes() {
        let resident = |amount| Some(Start::Resident(amount));
        for (value, expected) in [
            ("", Some(Start::On)),
            ("on", Some(Start::On)),
            ("off", Some(Start::Off)),
            ("rss>70%", resident(Amount::Percent(70))),
            ("rss>800M", resident(Amount::Bytes(800 << 20))),
            ("rss> 2g", resident(Amount::Bytes(2 << 30))),
            ("rss>100%", None),
            ("rss>0%", None),
            ("rss>70", None),
            ("rss>", None),
            ("rss>99999999999999999999T", None),
            ("rss>70%x", None),
            ("rss<70%", None),
            ("1", None),
            ("OFF", None),
        ] {
            assert_eq!(Start::parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn globs() {
        for (patterns, name, expected) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx2", false),
            ("ng*", "nginx", true),
            ("*x", "nginx", true),
            ("n*i*x", "nginx", true),
            ("n*a*x", "nginx", false),
            ("redis-*, python3.??", "python3.11", true),
            ("redis-*,python3.?", "python3.11", false),
            ("", "nginx", false),
            ("*", "", true),
            ("", "", true),
        ] {
            assert_eq!(
                matches_any(patterns.as_bytes(), name.as_bytes()),
                expected,
                "{patterns} {name}"
            );
        }
    }
}
