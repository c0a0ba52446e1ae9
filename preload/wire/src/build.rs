//! Which build this is.

use core::ffi::CStr;

/// What this crate was built from: a library and a recorder of which it is the same fit together. It changes by itself
/// with every change of this crate.
pub const BUILD: u32 = match u32::from_str_radix(BUILD_TEXT, 16) {
    Ok(build) => build,
    Err(_) => panic!("build.rs writes eight hexadecimal digits"),
};

/// The same in eight hexadecimal digits.
pub const BUILD_TEXT: &str = env!("WIRE_BUILD");

/// The same as a C string: a target tells its recorder.
pub const BUILD_C: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("WIRE_BUILD"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("build.rs writes no zero byte"),
    };
