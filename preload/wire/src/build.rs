//! Which build this is.

/// What this crate was built from: a library and a recorder of which it is the same fit together. It changes by itself
/// with every change of this crate.
pub const BUILD: u32 = match u32::from_str_radix(BUILD_TEXT, 16) {
    Ok(build) => build,
    Err(_) => panic!("build.rs writes eight hexadecimal digits"),
};

/// The same in eight hexadecimal digits.
pub const BUILD_TEXT: &str = env!("WIRE_BUILD");
