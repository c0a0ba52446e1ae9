//! See `leak_analyze::fuzz::module`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leak_analyze::fuzz::module(bytes));
