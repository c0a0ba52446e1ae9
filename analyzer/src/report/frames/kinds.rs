//! Tells the frames of the program itself from those of runtimes, libraries and allocators, by their names and files.

pub(super) fn last(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(" (deleted)").unwrap_or(name)
}

/// Source paths of the Rust library without the compiler's build directory.
pub(super) fn source(file: &str) -> &str {
    let rust = file
        .strip_prefix("/rustc/")
        .and_then(|rest| rest.split_once('/'));
    rust.map_or(file, |(_hash, rest)| rest)
}

/// Python's own library, and installed packages.
pub(super) fn is_installed(file: &str) -> bool {
    const PARTS: [&str; 2] = ["/site-packages/", "/dist-packages/"];
    file.starts_with("<frozen")
        || PARTS.iter().any(|part| file.contains(part))
        || ["/lib/python3.", "/lib64/python3."]
            .iter()
            .filter_map(|part| file.split_once(part))
            .any(|(_, rest)| {
                let minor = rest.split_once('/').map_or("", |(minor, _)| minor);
                !minor.is_empty()
                    && minor
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || byte == b't')
            })
}

pub(super) fn is_system_path(path: &str) -> bool {
    const SYSTEM: [&str; 7] = [
        "/lib/",
        "/lib64/",
        "/usr/lib/",
        "/usr/lib64/",
        "/usr/local/lib/",
        "/usr/libexec/",
        "/nix/store/",
    ];
    SYSTEM.iter().any(|prefix| path.starts_with(prefix)) || !path.starts_with('/')
}

pub(super) fn is_runtime_module(file_name: &str) -> bool {
    const RUNTIMES: [&str; 12] = [
        "libc.so",
        "libc-2",
        "libc.musl",
        "ld-",
        "libpthread",
        "libm.so",
        "libdl.so",
        "librt.so",
        "libstdc++",
        "libgcc_s",
        "libc++",
        "linux-vdso",
    ];
    RUNTIMES.iter().any(|prefix| file_name.starts_with(prefix))
}

/// The language's own functions that were compiled into the program.
pub(super) fn is_runtime_function(function: &str, file: &str) -> bool {
    const NAMES: [&str; 12] = [
        "std::",
        "core::",
        "alloc::",
        "<std::",
        "<core::",
        "<alloc::",
        "hashbrown::",
        "__gnu_cxx::",
        "__rust_",
        "__rustc",
        "__rdl_",
        "operator new",
    ];
    const FILES: [&str; 3] = ["/rustc/", "/usr/include/c++/", "/rust/deps/"];
    function == "_start"
        || NAMES.iter().any(|prefix| function.starts_with(prefix))
        || returns_std(function)
        || FILES.iter().any(|prefix| file.starts_with(prefix))
}

/// A C++ template's name begins with what it returns: `void std::vector<...>::f()`.
fn returns_std(function: &str) -> bool {
    let rest = function.split_once(' ').map(|(_, rest)| rest);
    let word = function.split([' ', '<', '(']).next().unwrap_or_default();
    matches!(word, "void" | "bool" | "int" | "char*")
        && rest.is_some_and(|rest| rest.starts_with("std::") || rest.starts_with("__gnu_cxx::"))
}

/// `xmalloc`, `zmalloc_usable`, `ngx_palloc`, `PyMem_Realloc`, `my_strdup`, ...
pub(super) fn is_wrapper(function: &str) -> bool {
    const PARTS: [&str; 3] = ["malloc", "calloc", "realloc"];
    const ENDS: [&str; 5] = ["alloc", "alloc0", "strdup", "strndup", "memdup"];
    let name = function.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part)) || ENDS.iter().any(|end| name.ends_with(end))
}
