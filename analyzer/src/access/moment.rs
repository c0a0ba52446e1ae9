//! Moments as logs write them.

use std::time::UNIX_EPOCH;

/// A stretch of time that a moment stands for, as exact as it is written: nanoseconds since 1970, the end not in it.
pub(super) type Stretch = (u64, u64);

const SECOND: u64 = 1_000_000_000;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `10/Oct/2000:13:55:36 -0700`, or with a fraction after the seconds.
pub(super) fn common(text: &str) -> Option<Stretch> {
    let (moment, offset) = text.trim().split_once(' ')?;
    let (date, time) = moment.split_once(':')?;
    let mut date = date.split('/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    at(&format!("{year}-{month:02}-{day}"), time, offset)
}

/// `2000-10-10T13:55:36.123-07:00`, with a blank for the T or without a fraction.
pub(super) fn iso(text: &str) -> Option<Stretch> {
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, offset) = time.split_at(zone);
    at(date, time, offset)
}

/// Seconds since 1970, or milliseconds, microseconds or nanoseconds, as large as they are.
pub(super) fn number(text: &str) -> Option<Stretch> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: u64 = whole.parse().ok()?;
    // Of the years 2001 to 2286.
    let unit = match whole.len() {
        10 => SECOND,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    stretch(seconds.checked_mul(unit)?, fraction, unit)
}

fn at(date: &str, time: &str, offset: &str) -> Option<Stretch> {
    let (time, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let moment = humantime::parse_rfc3339(&format!("{date}T{time}Z")).ok()?;
    let seconds = moment.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let seconds = seconds.checked_add_signed(seconds_of(offset)?.checked_neg()?)?;
    stretch(seconds.checked_mul(SECOND)?, fraction, SECOND)
}

fn stretch(whole: u64, fraction: &str, unit: u64) -> Option<Stretch> {
    let digits = fraction.get(..fraction.len().min(9))?;
    let parts = match digits {
        "" => 0,
        digits => digits.parse::<u64>().ok()?,
    };
    let of = 10_u64.pow(digits.len() as u32);
    let part = (u128::from(unit) * u128::from(parts) / u128::from(of)) as u64;
    let from = whole.checked_add(part)?;
    Some((from, from.checked_add((unit / of).max(1))?))
}

/// `Z`, `+0200`, `-07:00`, in seconds.
fn seconds_of(offset: &str) -> Option<i64> {
    let sign = match offset.get(..1)? {
        "Z" | "z" if offset.len() == 1 => return Some(0),
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let digits = offset.get(1..)?.replace(':', "");
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i64>().ok();
    match digits.len() {
        4 if is_number => Some(sign * (number(0..2)? * 3600 + number(2..4)? * 60)),
        2 if is_number => Some(sign * number(0..2)? * 3600),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 971_211_336 * SECOND;

    #[test]
    fn moments() {
        let second = Some((AT, AT + SECOND));
        assert_eq!(common("10/Oct/2000:13:55:36 -0700"), second);
        assert_eq!(common("10/Oct/2000:20:55:36 +0000"), second);
        assert_eq!(iso("2000-10-10T13:55:36-07:00"), second);
        assert_eq!(iso("2000-10-10 20:55:36Z"), second);
        let milli = Some((AT + 123_000_000, AT + 124_000_000));
        assert_eq!(iso("2000-10-10T20:55:36.123Z"), milli);
        assert_eq!(iso("2000-10-10T20:55:36,123+00"), milli);
        assert_eq!(number("971211336"), None);
        assert_eq!(
            number("1700000000"),
            Some((1_700_000_000 * SECOND, 1_700_000_001 * SECOND))
        );
        let milli = 1_700_000_000_123 * 1_000_000;
        assert_eq!(number("1700000000.123"), Some((milli, milli + 1_000_000)));
        assert_eq!(number("1700000000123"), Some((milli, milli + 1_000_000)));
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "-",
            "10/Oct/2000",
            "10/Okt/2000:13:55:36 -0700",
            "10/Oct/2000:13:55:36 -7",
        ] {
            assert_eq!(common(text), None, "{text}");
        }
        for text in [
            "",
            "2000-10-10",
            "2000-10-10T13:55:36",
            "2000-13-10T13:55:36Z",
            "2000-10-10T13:55:36.xZ",
        ] {
            assert_eq!(iso(text), None, "{text}");
        }
        assert_eq!(number("-1700000000"), None);
        assert_eq!(number("99999999999999999999"), None);
    }
}
