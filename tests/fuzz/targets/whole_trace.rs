//! See `leak_analyze::fuzz::whole_trace`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leak_analyze::fuzz::whole_trace(bytes));
