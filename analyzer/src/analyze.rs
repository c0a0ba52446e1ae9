//! From a trace to its analysis.
