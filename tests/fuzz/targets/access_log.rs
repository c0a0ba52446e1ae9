//! See `leak_analyze::fuzz::access_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leak_analyze::fuzz::access_log(bytes));
