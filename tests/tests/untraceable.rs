//! Programs into which nothing can be preloaded: `leak-analyze run` says so before it starts them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::process::Ended;
use leak_tests::run::Place;

fn run(place: &Place, program: &Path) -> Ended {
    let mut command = place.plain(artifacts::leak_analyze());
    command.args(["run", "--"]).arg(program);
    place.run(command)
}

/// A program for i386 that says `started` on stderr and exits with 7.
fn for_i386() -> Vec<u8> {
    let (base, headers) = (0x0804_8000_u32, 52 + 32);
    let text = b"started\n";
    let mut code = vec![0xb8, 4, 0, 0, 0, 0xbb, 2, 0, 0, 0, 0xb9]; // write(2, text, 8)
    let after = headers + 34;
    code.extend((base + after).to_le_bytes());
    code.extend([0xba, 8, 0, 0, 0, 0xcd, 0x80]);
    code.extend([0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80]); // exit(7)
    assert_eq!(code.len(), 34);
    let size = after + text.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC, EM_386.
    file.extend([2, 0, 3, 0]);
    for word in [1, base + headers, 52, 0, 0, 32 << 16 | 52, 1, 0] {
        file.extend(word.to_le_bytes());
    }
    // PT_LOAD, read and execute.
    for word in [1, 0, base, base, size, size, 5, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file.extend(text);
    file
}

#[test]
fn a_32_bit_program() {
    let place = Place::new();
    let program = place.path("small");
    fs::write(&program, for_i386()).expect("the test's directory can be written");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&program, mode).expect("the file is ours");
    let ended = run(&place, &program);
    let mut lines = ended.err.lines();
    let first = lines.next().unwrap_or_default();
    assert!(first.contains("it is a 32-bit program"), "{}", ended.err);
    // A kernel without such programs can't start it, which is said, too.
    match ended.status.code() {
        Some(7) => assert_eq!(lines.next(), Some("started")),
        status => assert_eq!(status, Some(126), "{}", ended.err),
    }
    assert!(!place.trace().exists());
}

#[test]
fn a_static_program() {
    let place = Place::new();
    let program = Source::read("harmless/statically.c").program();
    let plain = place.run(place.plain(&program));
    let ended = run(&place, &program);
    assert_eq!((ended.status, &ended.out), (plain.status, &plain.out));
    let first = ended.err.lines().next().unwrap_or_default();
    assert!(first.contains("it is linked statically"), "{}", ended.err);
    assert!(!place.trace().exists());
}

#[test]
fn a_program_for_musl() {
    let place = Place::new();
    let program = Source::read("harmless/for_musl.c").program();
    let plain = place.run(place.plain(&program));
    let ended = run(&place, &program);
    assert_eq!((ended.status, &ended.out), (plain.status, &plain.out));
    assert_eq!(ended.status.code(), Some(5));
    let first = ended.err.lines().next().unwrap_or_default();
    assert!(
        first.contains("it runs with musl's C library"),
        "{}",
        ended.err
    );
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(!place.trace().exists());
}
