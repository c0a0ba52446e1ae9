//! Reads a report, in which what an older or a newer version lacks is nothing.

use leak_tests::stated::Sum;
use serde_json::Value;

/// An endpoint's row, or null.
pub(crate) fn endpoint<'a>(report: &'a Value, label: &str) -> &'a Value {
    let mut rows = list(report, "endpoints").iter();
    let found = rows.find(|row| text(row, "label") == label);
    found.unwrap_or(&Value::Null)
}

/// The array in a field; empty where there is none.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The text in a field; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The number in a field; 0 where there is none.
pub(crate) fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

/// The sum in the fields `PREFIX_blocks` and `PREFIX_bytes`.
pub(crate) fn sum(value: &Value, prefix: &str) -> Sum {
    Sum {
        blocks: number(value, &format!("{prefix}_blocks")),
        bytes: number(value, &format!("{prefix}_bytes")),
    }
}

/// All of them together.
pub(crate) fn add(sums: impl IntoIterator<Item = Sum>) -> Sum {
    let both = |all: Sum, one: Sum| Sum {
        blocks: all.blocks + one.blocks,
        bytes: all.bytes + one.bytes,
    };
    sums.into_iter().fold(Sum::default(), both)
}
