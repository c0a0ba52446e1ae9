//! What rows of several kinds have in common.

use super::super::schema;
use crate::analysis::{Analysis, TypeRow};
use crate::sample::Amount;

pub(crate) fn label(analysis: &Analysis, endpoint: u32) -> &str {
    let endpoint = analysis.endpoints.get(endpoint as usize);
    endpoint.map_or("", |endpoint| endpoint.label.as_str())
}

pub(super) fn whose(retained: Amount, associated: Amount) -> schema::Whose {
    schema::Whose {
        proved_blocks: retained.blocks.saturating_sub(associated.blocks),
        proved_bytes: retained.bytes.saturating_sub(associated.bytes),
        associated_blocks: associated.blocks,
        associated_bytes: associated.bytes,
        inferred_blocks: associated.blocks,
    }
}

pub(super) fn confidence(is_sure: bool) -> &'static str {
    if is_sure { "high" } else { "low" }
}

pub(super) fn before_exit(amount: Option<Amount>) -> schema::BeforeExit {
    schema::BeforeExit {
        before_exit_blocks: amount.map(|amount| amount.blocks),
        before_exit_bytes: amount.map(|amount| amount.bytes),
    }
}

pub(crate) fn types(rows: &[TypeRow]) -> Vec<schema::Type<'_>> {
    rows.iter()
        .map(|row| schema::Type {
            name: &row.name,
            blocks: row.blocks,
            bytes: row.bytes,
        })
        .collect()
}
