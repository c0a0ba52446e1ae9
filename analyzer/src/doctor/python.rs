//! Which Python a program is, told by its files.

use std::path::{Path, PathBuf};

use memchr::memmem;
use object::{Object, ObjectSegment, ObjectSymbol};

use super::finding::Findings;
use crate::mapping::Mapping;
use crate::record::preflight::knows_python;

/// Looks at whether there is an interpreter in the program or in its libraries, and which; `is_off`: by `LEAK_PYTHON`.
pub(super) fn look_at(
    program: &Path,
    libraries: &[PathBuf],
    is_off: bool,
    findings: &mut Findings,
) {
    let libraries = libraries.iter().map(PathBuf::as_path);
    let named = libraries.filter(|path| name_of(path).starts_with("libpython3"));
    let Some(found) = std::iter::once(program).chain(named).find_map(found_in) else {
        return;
    };
    let version =
        found
            .version
            .map_or("Python of a version that can't be told".to_owned(), |hex| {
                let [major, minor, micro, _] = hex.to_be_bytes();
                match found.has_micro {
                    true => format!("Python {major}.{minor}.{micro}"),
                    false => format!("Python {major}.{minor}"),
                }
            });
    let only = "only what it asks of the C library is traced";
    if found.is_free_threaded {
        let text = format!("{version} without the GIL: {only}, with native stacks");
        return findings.note(
            "python",
            text,
            "run a build with the GIL to see its objects and lines",
        );
    }
    if is_off {
        let text = format!("{version}, and LEAK_PYTHON=off: {only}");
        return findings.note("python", text, "unset it to see its objects");
    }
    match found.version.map(knows_python) {
        Some(true) => findings.ok(
            "python",
            format!("{version}: its objects, types and lines are read"),
        ),
        Some(false) => findings.note(
            "python",
            format!("{version}, whose memory libleak can't read: {only}, with native stacks"),
            "run one of 3.8 to 3.14",
        ),
        None => findings.note(
            "python",
            format!("{version}: if it is none of 3.8 to 3.14, {only}"),
            "look at the report's first lines",
        ),
    }
}

/// An interpreter.
struct Found {
    /// `PY_VERSION_HEX`, if it can be told.
    version: Option<u32>,
    /// Not only its first two numbers.
    has_micro: bool,
    is_free_threaded: bool,
}

fn found_in(path: &Path) -> Option<Found> {
    let bytes = Mapping::open(path).ok()?;
    let file = object::File::parse(&*bytes).ok()?;
    let defined = |name: &str| {
        let mut symbols = file.dynamic_symbols().chain(file.symbols());
        symbols.find(|symbol| symbol.is_definition() && symbol.name() == Ok(name))
    };
    defined("_PyRuntime")?;
    // The variable came with 3.11.
    let told = defined("Py_Version").and_then(|symbol| {
        let at = symbol.address();
        let mut segments = file.segments();
        let word = segments.find_map(|segment| segment.data_range(at, 4).ok().flatten())?;
        Some(u32::from_le_bytes(*word.first_chunk()?))
    });
    let real = std::fs::canonicalize(path).ok();
    Some(Found {
        has_micro: told.is_some(),
        version: told.or_else(|| version_in(&name_of(real.as_deref().unwrap_or(path)))),
        is_free_threaded: memmem::find(&bytes, b"free-threading build (%").is_some(),
    })
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// `PY_VERSION_HEX` of the first two numbers in `python3.9` or `libpython3.9.so.1.0`.
fn version_in(name: &str) -> Option<u32> {
    let (_, numbers) = name.split_once("python3.")?;
    let digits = numbers.bytes().take_while(u8::is_ascii_digit).count();
    let minor: u8 = numbers.get(..digits)?.parse().ok()?;
    Some(3 << 24 | u32::from(minor) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_in_the_name() {
        assert_eq!(version_in("python3.9"), Some(0x0309_0000));
        assert_eq!(version_in("libpython3.14t.so.1.0"), Some(0x030e_0000));
        assert_eq!(version_in("python3"), None);
        assert_eq!(version_in("python3."), None);
    }
}
