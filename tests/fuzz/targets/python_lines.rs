//! See `leak_analyze::fuzz::python_lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leak_analyze::fuzz::python_lines(bytes));
