//! `leak-analyze mark`: a mark in a running program, from outside.

use crate::traced::Traced;

/// Ends the interval that the last mark of the process `pid` began, and begins one called `label`.
///
/// # Errors
/// One line: there is no such traced process, or its recorder doesn't answer.
pub fn mark(pid: u32, label: &str) -> Result<(), String> {
    let traced = Traced::find(pid)?;
    traced.ask(&[b"M", &pid.to_le_bytes(), label.as_bytes()])?;
    Ok(())
}
