//! Bytes of the target as text.

/// Bytes of the target as text; what is no UTF-8 is replaced.
pub(super) fn text(bytes: leak_wire::Bytes<'_>) -> String {
    let bytes: Vec<u8> = bytes.iter().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
