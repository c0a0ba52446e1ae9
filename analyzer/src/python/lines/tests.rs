//! Compared with what interpreters say of their own code.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// Prints, for all code of many modules: version, first line, table, and the line of each instruction.
const PROGRAM: &str = r#"
import sys, types
version = sys.version_info[0] << 8 | sys.version_info[1]
def walk(code):
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from walk(const)
def lines(code):
    if hasattr(code, "co_lines"):
        return [(start, end, -1 if line is None else line) for start, end, line in code.co_lines() if end > start]
    import dis
    starts = list(dis.findlinestarts(code))
    ends = [start for start, _ in starts[1:]] + [len(code.co_code)]
    return [(start, end, line) for (start, line), end in zip(starts, ends)]
odd = "def odd(x):\n" + "\n" * 300 + "  a = [\n x,\n" + "\n" * 5000 + "x,\n  x ]\n  try:\n    return a\n  finally:\n    x()\n"
odd += "lambda: (\n yield\n)\n" + "x = 1" + " + x" * 300 + "\n"
sources = [("odd", odd)]
for name in ["argparse", "asyncio.base_events", "typing", "dataclasses", "inspect", "tarfile", "ast"]:
    module = __import__(name, fromlist=["x"])
    sources.append((module.__file__, open(module.__file__, encoding="utf-8").read()))
for name, source in sources:
    for code in walk(compile(source, name, "exec")):
        table = code.co_linetable if version >= 0x30a else code.co_lnotab
        rows = ",".join("%d:%d:%d" % row for row in lines(code))
        print(version, code.co_firstlineno, table.hex() or "-", rows)
"#;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
        .collect()
}

/// The interpreters of this machine: the system's, and pyenv's where it is used.
fn interpreters() -> Vec<PathBuf> {
    let named = (8..=14).map(|minor| format!("/usr/bin/python3.{minor}").into());
    let mut found: Vec<PathBuf> = named.collect();
    let home = std::env::var_os("HOME").unwrap_or_default();
    let versions = std::fs::read_dir(Path::new(&home).join(".pyenv/versions"));
    for version in versions.into_iter().flatten().flatten() {
        found.extend((8..=14).map(|minor| version.path().join(format!("bin/python3.{minor}"))));
    }
    found.retain(|path| path.exists());
    found
}

/// How many instructions were compared.
fn compare(python: &Path) -> usize {
    let output = Command::new(python).args(["-E", "-c", PROGRAM]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{python:?}: {output:?}");
    let mut compared = 0;
    for row in String::from_utf8(output.stdout).unwrap().lines() {
        let mut fields = row.split(' ');
        let mut number = || fields.next().unwrap().parse().unwrap();
        let (version, first_line): (u32, u32) = (number(), number());
        let table = bytes(fields.next().unwrap().trim_matches('-'));
        let layout = decode(version, &table, first_line);
        for run in fields.next().unwrap().split(',') {
            let numbers: Vec<i64> = run.split(':').map(|text| text.parse().unwrap()).collect();
            for offset in (numbers[0] as u32..numbers[1] as u32).step_by(2) {
                let line = u32::try_from(numbers[2]).ok();
                assert_eq!(layout.line(offset), line, "{python:?} {offset} of {row}");
                compared += 1;
            }
        }
        assert_eq!(layout.line(BEFORE_FIRST), Some(first_line));
    }
    compared
}

#[test]
fn lines_are_what_the_interpreter_says() {
    let compared: usize = interpreters().iter().map(|path| compare(path)).sum();
    assert!(compared > 50_000, "only {compared} instructions");
}

#[test]
fn each_format_by_hand() {
    let lines = |layout: Layout| [0, 2, 4, 6, 8].map(|offset| layout.line(offset));
    let old = decode(0x309, &[2, 1, 2, 255, 0, 3], 10);
    assert_eq!(lines(old), [10, 11, 13, 13, 13].map(Some));
    let middle = decode(0x30a, &[2, 1, 2, 128, 2, 2, 0, 5], 10);
    assert_eq!(lines(middle), [Some(11), None, Some(13), None, None]);
    let new = decode(
        0x30b,
        &[0x80 | 15 << 3, 0x80 | 13 << 3, 3, 0x80 | 11 << 3 | 1, 0, 0],
        10,
    );
    assert_eq!(lines(new), [None, Some(9), Some(10), Some(10), None]);
}

#[test]
fn no_bytes_panic() {
    let mut state = 7_u64;
    for _ in 0..20_000 {
        let table: Vec<u8> = (0..24)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        for version in [0x308, 0x30a, 0x30b, 0x30e] {
            let _ = decode(version, &table, u32::MAX).line(table[0].into());
        }
    }
}
