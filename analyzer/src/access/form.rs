//! Which form a line of an access log has: common, combined, or a JSON object.

use super::line::Line;
use super::{common, fields};

/// Reads a line; `None`: in no form that is known.
pub(super) fn parse(text: &str) -> Option<Line> {
    let text = text.trim();
    match text.starts_with('{') {
        true => fields::parse(text),
        false => common::parse(text),
    }
}
