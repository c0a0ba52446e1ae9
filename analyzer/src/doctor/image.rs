//! What the files of a program tell: whose allocator it has, which names are known, what of it is out of sight.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::{Object, ObjectSymbol};

use super::finding::Findings;
use super::python;
use super::surroundings::{Variables, value};
use super::tasks;
use crate::mapping::Mapping;
use crate::record::preflight::{self, Reach};
use crate::symbols::{Known, known};

/// Sanitizers that replace malloc: what they define, and their libraries.
const SANITIZERS: [(&str, &str, &str); 3] = [
    ("AddressSanitizer", "__asan_init", "libasan.so"),
    ("ThreadSanitizer", "__tsan_init", "libtsan.so"),
    ("MemorySanitizer", "__msan_init", "libmsan.so"),
];
/// Parts of names of libraries that are allocators.
const ALLOCATORS: [&str; 3] = ["jemalloc", "tcmalloc", "mimalloc"];
/// What TLS is read by.
const TLS_READ: &str = "SSL_read";
/// Where Go's linker says what it made.
const GO: &str = ".go.buildinfo";

/// A program: its file as it can be read here, the path that it is known by, its libraries, and its variables.
pub(super) struct Image<'a> {
    pub(super) file: &'a Path,
    pub(super) name: &'a Path,
    pub(super) libraries: &'a [PathBuf],
    pub(super) variables: &'a Variables,
}

/// Looks at all of it.
pub(super) fn look_at(image: &Image<'_>, findings: &mut Findings) {
    let bytes = Mapping::open(image.file).ok();
    let parsed = bytes
        .as_ref()
        .and_then(|bytes| object::File::parse(&**bytes).ok());
    if let Some(file) = &parsed {
        sanitizer(file, image, findings);
        go(file, findings);
        tls(file, image, findings);
    }
    allocator(image, findings);
    let is_off = |name| value(image.variables, name).is_some_and(|value| value == "off");
    let begins_at_once = value(image.variables, "LEAK_START").is_none_or(|value| value == "on");
    let is_untraced = match preflight::allocator(image.file) {
        Reach::None => false,
        Reach::Detoured(_) => is_off("LEAK_OWN_MALLOC"),
        Reach::Refused(_) => true,
    };
    let asked = match begins_at_once {
        _ if is_off("LEAK_TASKS") => tasks::Asked::Off,
        _ if is_untraced => tasks::Asked::Unseen,
        true => tasks::Asked::FromStart,
        false => tasks::Asked::Later,
    };
    tasks::look_at(image.file, asked, findings);
    python::look_at(image.file, image.libraries, is_off("LEAK_PYTHON"), findings);
    symbols(image, findings);
}

fn defines(file: &object::File<'_>, name: &str) -> bool {
    let mut symbols = file.dynamic_symbols().chain(file.symbols());
    symbols.any(|symbol| symbol.is_definition() && symbol.name() == Ok(name))
}

/// The first of the libraries whose name has one of these parts.
fn library<'a>(image: &'a Image<'_>, parts: &[&str]) -> Option<&'a Path> {
    let mut libraries = image.libraries.iter();
    let found = libraries.find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        parts.iter().any(|part| name.contains(part))
    });
    found.map(PathBuf::as_path)
}

fn sanitizer(file: &object::File<'_>, image: &Image<'_>, findings: &mut Findings) {
    for (name, symbol, linked) in SANITIZERS {
        if defines(file, symbol) || library(image, &[linked]).is_some() {
            let text = format!("it is built with {name}, which replaces malloc itself");
            findings.cant("allocator", text, "build it without");
        }
    }
}

fn go(file: &object::File<'_>, findings: &mut Findings) {
    if file.section_by_name(GO).is_some() {
        findings.note(
            "runtime",
            "it is a Go program, whose own heap does not come from malloc: only what its C code allocates is seen",
            "use Go's own heap profiles for the rest",
        );
    }
}

fn tls(file: &object::File<'_>, image: &Image<'_>, findings: &mut Findings) {
    if defines(file, TLS_READ) {
        findings.note(
            "tls",
            "OpenSSL is linked into the program: what comes over TLS can't be cut into requests",
            "have TLS end before it (a proxy), or link it with a shared libssl",
        );
    } else if let Some(library) = library(image, &["libssl.so"]) {
        findings.ok(
            "tls",
            format!("requests over TLS are seen, by {}", library.display()),
        );
    }
}

fn allocator(image: &Image<'_>, findings: &mut Findings) {
    let is_off = value(image.variables, "LEAK_OWN_MALLOC").is_some_and(|value| value == "off");
    match preflight::allocator(image.file) {
        Reach::None => {}
        _ if is_off => findings.note(
            "allocator",
            "it brings its own malloc, and LEAK_OWN_MALLOC=off: that memory is not traced",
            "unset it to have it traced by detours",
        ),
        Reach::Detoured(entries) => findings.ready(
            "allocator",
            format!("it brings its own malloc, of whose entries {entries} are detoured and traced"),
            "calls that the compiler has inlined are not seen: build with the C library's malloc if sums must be exact",
        ),
        Reach::Refused(why) => findings.note(
            "allocator",
            format!("it brings its own malloc, and detours don't reach it ({why}): that memory is not traced"),
            "build it with the C library's malloc, or with its allocator as a shared library",
        ),
    }
    let Some(shared) = library(image, &ALLOCATORS) else {
        return;
    };
    match preflight::allocator(shared) {
        // Only where C++ operators don't call its malloc does that matter.
        Reach::Refused(why) => findings.note(
            "allocator",
            format!(
                "{}: what its C++ operators give is not traced ({why})",
                shared.display()
            ),
            "run it without that library to trace what C++ code allocates",
        ),
        _ => findings.ok(
            "allocator",
            format!("{} lies behind libleak and is traced", shared.display()),
        ),
    }
}

fn symbols(image: &Image<'_>, findings: &mut Findings) {
    let Some(known) = known(image.file, image.name) else {
        return;
    };
    if !known.unwind_rules {
        findings.note(
            "stacks",
            "it has no .eh_frame: call stacks end where they come into it, unless it keeps frame pointers",
            "build it with -fasynchronous-unwind-tables",
        );
    }
    if known.functions && known.lines {
        let whence = known.debug_file.as_ref();
        let whence = whence.map_or(String::new(), |path| format!(", from {}", path.display()));
        return findings.ok("symbols", format!("functions and lines are known{whence}"));
    }
    let id = match &known.build_id {
        Some(id) => format!("build-id {id}"),
        None => "no build-id".to_owned(),
    };
    let what = match known.functions {
        true => "functions are known, lines are not",
        false => "neither its functions nor its lines are known, but for those that it exports",
    };
    findings.note("symbols", format!("{what} ({id})"), remedy(image, &known));
}

/// How one comes to names.
fn remedy(image: &Image<'_>, known: &Known) -> String {
    if let Some(package) = package_of(image.name) {
        return format!(
            "install {package}-dbgsym (of Debian's debug archive), before the report or on another machine"
        );
    }
    match &known.build_id {
        Some(id) => format!(
            "build it with -g, or give its debug file (debuginfod-find debuginfo {id}) to the report by --debug-dir"
        ),
        None => "build it with -g, and with -Wl,--build-id".to_owned(),
    }
}

/// The package of Debian's that the file comes from.
fn package_of(path: &Path) -> Option<String> {
    let real = std::fs::canonicalize(path).ok()?;
    // What lies in /usr/bin by now may be listed in /bin.
    let listed = real
        .strip_prefix("/usr")
        .map(|rest| Path::new("/").join(rest));
    let paths = [Some(real.clone()), listed.ok()];
    paths.into_iter().flatten().find_map(|path| {
        let mut ask = Command::new("dpkg-query");
        ask.arg("-S")
            .arg(path)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let said = String::from_utf8(ask.output().ok()?.stdout).ok()?;
        let package = said.lines().next()?.split([':', ',']).next()?;
        (!package.is_empty()).then(|| package.to_owned())
    })
}
