//! See `leak_framer::hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leak_framer::hostile(bytes));
