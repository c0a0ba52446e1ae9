//! Figures of a watch in words: differences have a sign.

use crate::figures;
use crate::watch::standing::Change;

/// `+10,000`, `-3`, `0`.
pub(super) fn count(number: i64) -> String {
    format!("{}{}", sign(number), figures::count(number.unsigned_abs()))
}

/// `+1.5 MiB`, `-3 B`, `0 B`.
pub(super) fn bytes(number: i64) -> String {
    format!("{}{}", sign(number), figures::bytes(number.unsigned_abs()))
}

fn sign(number: i64) -> &'static str {
    match number {
        ..0 => "-",
        0 => "",
        1.. => "+",
    }
}

/// Bytes and blocks of a change, a dash where there is none.
pub(super) fn change(change: Change) -> String {
    match change.is_none() {
        true => "–".to_owned(),
        false => bytes(change.bytes),
    }
}

/// `12.4`, `1,240`.
pub(super) fn rate(rate: f64) -> String {
    match rate < 100.0 {
        true => format!("{rate:.1}"),
        false => figures::count(rate as u64),
    }
}

/// A share without its sign, rounded; nothing of nothing is 0.
pub(super) fn percent(part: i64, whole: i64) -> String {
    let share = part.max(0) as f64 * 100.0 / whole.max(1) as f64;
    format!("{share:.0}")
}
