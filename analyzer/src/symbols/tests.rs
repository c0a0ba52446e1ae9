//! Against programs that the system's compiler builds, in every form that debug information takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSymbol};

use super::*;

/// `leaky` is inlined into `outer`; `middle` has no debug information of its own in a stripped file.
const PROGRAM: &str = r#"
#include <stdlib.h>
static inline __attribute__((always_inline)) void *leaky(int n) {
    return malloc(n);
}
__attribute__((noinline)) void *outer(int n) {
    void *block = leaky(n);
    *(volatile char *)block = 1;
    return block;
}
int main(int argc, char **argv) {
    return outer(argc + 10) == 0;
}
"#;

struct Fixture {
    dir: PathBuf,
    program: PathBuf,
    module: Module,
    /// An address within `outer`, past its first instruction.
    address: u64,
}

fn run(dir: &Path, command: &str) {
    let status = Command::new("sh")
        .args(["-ec", command])
        .current_dir(dir)
        .status();
    assert!(status.unwrap().success(), "{command}");
}

/// Builds the program in a directory of its own; `then` is run there afterwards.
fn fixture(name: &str, then: &str) -> Fixture {
    let dir = std::env::temp_dir().join(format!("leak-symbols-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("program.c"), PROGRAM).unwrap();
    run(&dir, "cc -g -O1 -Wl,--build-id=sha1 -o program program.c");
    let program = dir.join("program");
    let bytes = std::fs::read(&program).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let outer = object.symbols().find(|symbol| symbol.name() == Ok("outer"));
    let outer = outer.unwrap();
    // Past the call of malloc, that is in the inlined function.
    let address = call_within(&bytes, &object, outer.address(), outer.size());
    let id = object.build_id().unwrap().unwrap();
    let build_id = id.iter().map(|byte| format!("{byte:02x}")).collect();
    run(&dir, then);
    Fixture {
        module: Module {
            path: program.to_str().unwrap().into(),
            build_id: Some(build_id),
        },
        dir,
        program,
        address,
    }
}

/// The return address of the first near call (`e8`) in a function.
fn call_within(bytes: &[u8], object: &object::File<'_>, start: u64, size: u64) -> u64 {
    use object::ObjectSection;
    let text = object.section_by_name(".text").unwrap();
    let offset = text.file_range().unwrap().0 + start - text.address();
    let code = &bytes[offset as usize..(offset + size) as usize];
    let at = code.iter().position(|byte| *byte == 0xe8).unwrap();
    start + at as u64 + 5
}

impl Fixture {
    fn symbols(&self, debug_dirs: &[PathBuf]) -> (Vec<Symbol>, Vec<Warning>) {
        let files = Files::default();
        let options = SymbolOptions {
            debug_dirs: debug_dirs.to_vec(),
            recorded_until: None,
        };
        let mut symbolizer = Symbolizer::new(&files, std::slice::from_ref(&self.module), options);
        let symbols = symbolizer.symbols(Frame {
            module: 0,
            file_address: self.address,
        });
        (symbols.to_vec(), symbolizer.warnings())
    }

    fn assert_full(&self, debug_dirs: &[PathBuf]) {
        let (symbols, warnings) = self.symbols(debug_dirs);
        assert_eq!(warnings, []);
        assert_eq!(symbols.len(), 2, "{symbols:?}");
        assert_eq!(symbols[0].function.as_deref(), Some("leaky"));
        assert_eq!(symbols[0].line, Some(4));
        assert!(symbols[0].inlined);
        assert!(symbols[0].file.as_deref().unwrap().ends_with("program.c"));
        assert_eq!(symbols[1].function.as_deref(), Some("outer"));
        assert_eq!(symbols[1].line, Some(7));
        assert!(!symbols[1].inlined);
    }

    fn assert_name_only(&self) {
        let expected = Symbol {
            function: Some("outer".into()),
            short: Some("outer".into()),
            ..Symbol::default()
        };
        assert_eq!(self.symbols(&[]).0, [expected]);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn debug_information_in_the_file() {
    fixture("own", "true").assert_full(&[]);
}

#[test]
fn compressed_sections() {
    fixture("packed", "objcopy --compress-debug-sections=zlib program").assert_full(&[]);
    fixture("gnu", "objcopy --compress-debug-sections=zlib-gnu program").assert_full(&[]);
}

#[test]
fn debug_link_beside_the_file() {
    let split = "objcopy --only-keep-debug program program.debug
        strip program
        objcopy --add-gnu-debuglink=program.debug program";
    fixture("link", split).assert_full(&[]);
    let moved = format!("{split}\nmkdir .debug\nmv program.debug .debug/");
    fixture("hidden", &moved).assert_full(&[]);
}

#[test]
fn debug_dir_by_build_id_and_by_file() {
    let split = "mkdir debug
        objcopy --only-keep-debug program debug/any-name
        strip program";
    let plain = fixture("dir", split);
    plain.assert_full(&[plain.dir.join("debug")]);
    let tree = fixture("tree", split);
    let (first, rest) = tree.module.build_id.as_deref().unwrap().split_at(2);
    let tree_dir = tree.dir.join("debug/.build-id").join(first);
    std::fs::create_dir_all(&tree_dir).unwrap();
    let named = tree_dir.join(format!("{rest}.debug"));
    std::fs::rename(tree.dir.join("debug/any-name"), named).unwrap();
    tree.assert_full(&[tree.dir.join("debug")]);
    // The debug file is enough: the program itself may be gone.
    std::fs::remove_file(&tree.program).unwrap();
    tree.assert_full(&[tree.dir.join("debug")]);
}

#[test]
fn a_debug_file_of_another_build_is_not_believed() {
    // No build-id on either side, so that the CRC alone tells.
    let mut program = fixture(
        "crc",
        "objcopy --remove-section=.note.gnu.build-id program
        objcopy --only-keep-debug program program.debug
        strip program
        objcopy --add-gnu-debuglink=program.debug program",
    );
    program.module.build_id = None;
    program.assert_full(&[]);
    run(&program.dir, "printf x >> program.debug");
    let (symbols, _) = program.symbols(&[]);
    assert_eq!(symbols, [Symbol::default()]);
}

#[test]
fn mini_debug_file() {
    let split = "objcopy --strip-debug program mini
        xz mini
        strip program
        objcopy --add-section .gnu_debugdata=mini.xz program";
    fixture("mini", split).assert_name_only();
}

#[test]
fn a_lambda_is_told_by_the_function_that_it_stands_in() {
    let source = "cat > lambda.cpp <<'END'
#include <stdlib.h>
int main(int argc, char **) {
    auto keep = [](int n) __attribute__((noinline)) { return malloc(n); };
    return keep(argc) == keep(argc + 1);
}
END
        c++ -g -O1 -fno-builtin -Wl,--build-id=sha1 -o program lambda.cpp";
    let mut lambda = fixture("lambda", source);
    let bytes = std::fs::read(&lambda.program).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let call = |symbol: &object::Symbol<'_, '_>| symbol.name().is_ok_and(|n| n.contains("clEi"));
    let operator = object.symbols().find(call).unwrap();
    lambda.address = operator.address() + 1;
    let id = object.build_id().unwrap().unwrap();
    lambda.module.build_id = Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
    let (symbols, _) = lambda.symbols(&[]);
    let name = symbols[0].short.as_deref().unwrap();
    assert!(name.starts_with("main::{lambda("), "{name}");
    assert_eq!(symbols[0].line, Some(3));
}

/// `fixtures/dwz.debug` is the debug file of a program like the one above, with the inlined function
/// called `the_inlined_allocating_function`, after `dwz -m common.debug` moved that name away.
#[test]
fn supplementary_file() {
    let module = Module {
        path: "/nonexistent/program".into(),
        build_id: Some("1ba6bd38823450b0f1a0a94dece15962f7083c04".into()),
    };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/symbols/fixtures");
    let options = SymbolOptions {
        debug_dirs: vec![fixtures],
        recorded_until: None,
    };
    let files = Files::default();
    let mut symbolizer = Symbolizer::new(&files, &[module], options);
    let symbols = symbolizer.symbols(Frame {
        module: 0,
        file_address: 0x1148,
    });
    let names: Vec<_> = symbols
        .iter()
        .map(|symbol| symbol.function.as_deref())
        .collect();
    let inlined = Some("the_inlined_allocating_function");
    assert_eq!(names, [inlined, Some("outer_function_of_a_long_name")]);
    assert_eq!(symbolizer.warnings(), []);
}

#[test]
fn symbol_table_alone() {
    fixture("table", "strip --strip-debug program").assert_name_only();
}

#[test]
fn stripped_means_no_name() {
    let (symbols, warnings) = fixture("stripped", "strip program").symbols(&[]);
    assert_eq!(symbols, [Symbol::default()]);
    assert_eq!(warnings, []);
}

#[test]
fn a_rebuilt_program_gives_a_warning_and_no_names() {
    let mut rebuilt = fixture("rebuilt", "true");
    rebuilt.module.build_id = Some("0123456789abcdef".into());
    let (symbols, warnings) = rebuilt.symbols(&[]);
    assert_eq!(symbols, [Symbol::default()]);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].code, "rebuilt_module");
    rebuilt.module.path = "/nonexistent/program".into();
    let (symbols, warnings) = rebuilt.symbols(&[]);
    assert_eq!(symbols, [Symbol::default()]);
    assert_eq!(warnings[0].code, "missing_module");
}

#[test]
fn without_a_build_id_the_file_must_not_be_younger() {
    let mut program = fixture(
        "young",
        "objcopy --remove-section=.note.gnu.build-id program",
    );
    program.module.build_id = None;
    let files = Files::default();
    let frame = Frame {
        module: 0,
        file_address: program.address,
    };
    let lookup = |recorded_until| {
        let options = SymbolOptions {
            recorded_until: Some(recorded_until),
            ..SymbolOptions::default()
        };
        let modules = std::slice::from_ref(&program.module);
        Symbolizer::new(&files, modules, options).symbols(frame)
    };
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(lookup(SystemTime::now() + day).len(), 2);
    assert_eq!(&*lookup(SystemTime::now() - day), [Symbol::default()]);
}

#[test]
fn symbols_without_a_size_end_where_their_function_ends() {
    let mut program = fixture(
        "unsized",
        "cat > unsized.s <<'END'
        .globl first
first:  .cfi_startproc
        nop
        nop
        .cfi_endproc
second: .cfi_startproc
        nop
        nop
        .cfi_endproc
        nop
        .section .note.GNU-stack,\"\",@progbits
END
        cc -shared -o program unsized.s -nostdlib -Wl,--build-id=sha1",
    );
    let bytes = std::fs::read(&program.program).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let first = object.symbols().find(|s| s.name() == Ok("first")).unwrap();
    let id = object.build_id().unwrap().unwrap();
    program.module.build_id = Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
    let start = first.address();
    let mut named = |address| {
        program.address = address;
        program.symbols(&[]).0[0].function.clone()
    };
    assert_eq!(named(start + 2).as_deref(), Some("first"));
    assert_eq!(named(start + 3).as_deref(), Some("second"));
    assert_eq!(named(start + 5), None);
}
