//! See `leak_analyze::fuzz::types`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leak_analyze::fuzz::types(bytes));
