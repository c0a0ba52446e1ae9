//! Gives the hooks of functions that the C library has in several versions those versions. The nodes stand in a script
//! beside the compiler's own, which names none: Rust's linker (lld, the default since 1.90) takes two, GNU ld does not.

fn main() {
    println!("cargo::rerun-if-changed=versions.map");
    let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo tells it");
    println!("cargo::rustc-cdylib-link-arg=-Wl,--version-script={directory}/versions.map");
}
