//! Valgrind's "in use at exit", the runtime's own blocks included; remembered for each compiled program.

use std::fs;
use std::path::Path;

use crate::artifacts;
use crate::run::Place;
use crate::stated::Sum;

/// The sums of the program's processes, the first process's own first, the others sorted.
pub fn in_use(program: &Path, library: Option<&Path>) -> Vec<Sum> {
    // The file name carries a hash of the source, so an answer holds for ever.
    let name = program.file_name().expect("a program has a name");
    let remembered = artifacts::directory().join("leak-targets").join(name);
    let remembered = remembered.with_extension("valgrind");
    if let Ok(text) = fs::read_to_string(&remembered) {
        return text.lines().map(line).collect();
    }
    let sums = run(program, library);
    let text: String = sums
        .iter()
        .map(|sum| format!("{} {}\n", sum.blocks, sum.bytes))
        .collect();
    let building = remembered.with_extension(format!("valgrind.{}", std::process::id()));
    fs::write(&building, text).expect("target/ can be written");
    fs::rename(&building, &remembered).expect("a rename in one directory");
    sums
}

fn line(text: &str) -> Sum {
    let (blocks, bytes) = text.split_once(' ').expect("two numbers");
    Sum {
        blocks: blocks.parse().expect("a number"),
        bytes: bytes.parse().expect("a number"),
    }
}

fn run(program: &Path, library: Option<&Path>) -> Vec<Sum> {
    let place = Place::new();
    let mut command = place.plain("valgrind");
    let log = format!("--log-file={}", place.path("valgrind.%p").display());
    command
        // Only what is in use is asked for, not what still points to it: a search of gigabytes for some.
        .arg("--leak-check=no")
        .args(["--run-libc-freeres=no", "--run-cxx-freeres=no", &log])
        .arg(program);
    if let Some(library) = library {
        command.env("LIBRARY", library);
    }
    let mut group = place.start(command);
    let first = group.pid();
    group.wait(crate::run::LIMIT);
    let sum_of = |path: &Path| -> Option<Sum> { in_log(&fs::read_to_string(path).ok()?) };
    let first = place.path(format!("valgrind.{first}"));
    let mut sums = vec![
        sum_of(&first).unwrap_or_else(|| panic!("valgrind said nothing of {}", program.display())),
    ];
    let logs = fs::read_dir(place.path("")).expect("our directory");
    let others = logs
        .map(|entry| entry.expect("our directory").path())
        .filter(|path| *path != first)
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("valgrind."))
        });
    let mut others: Vec<Sum> = others.filter_map(|path| sum_of(&path)).collect();
    others.sort();
    sums.append(&mut others);
    sums
}

/// `in use at exit: 1,234 bytes in 3 blocks`.
fn in_log(text: &str) -> Option<Sum> {
    let (_, rest) = text.split_once("in use at exit: ")?;
    let number = |text: &str| text.replace(',', "").parse().ok();
    let (bytes, rest) = rest.split_once(" bytes in ")?;
    let (blocks, _) = rest.split_once(" blocks")?;
    Some(Sum {
        blocks: number(blocks)?,
        bytes: number(bytes)?,
    })
}
