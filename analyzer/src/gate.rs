//! The gate of a CI job: which leaks of a trace are known and may stay, which are not, and how that is told to the
//! services that run such jobs. Sums are never touched by what is known: only the status is.

mod baseline;
mod github;
mod judge;
mod junit;
mod leaks;
mod suppressions;

pub use baseline::{Baseline, Entry};
pub use github::annotations;
pub use judge::judge;
pub use junit::junit;
pub use leaks::{Leak, Outcome, Wanted, leaks, overlooked};
pub use suppressions::Suppressions;

#[cfg(test)]
mod tests;
