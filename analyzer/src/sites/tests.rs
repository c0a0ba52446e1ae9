//! Call sites are interned.

use super::*;

#[test]
fn equal_backtraces_are_one_site() {
    let mut sites = Sites::default();
    let module = sites.module(Module {
        path: "/bin/x".into(),
        build_id: None,
    });
    let frame = |file_address| Frame {
        module,
        file_address,
    };
    let outer = sites.child(NO_SITE, frame(1));
    let inner = sites.child(outer, frame(2));
    assert_eq!(sites.child(outer, frame(2)), inner);
    assert_eq!(
        sites.backtrace(inner).collect::<Vec<_>>(),
        [frame(2), frame(1)]
    );
    assert_eq!(sites.backtrace(NO_SITE).count(), 0);
    assert_eq!(sites.backtrace(99).count(), 0);
}

#[test]
fn what_a_backtrace_mapped_is_another_site() {
    let mut sites = Sites::default();
    let frame = Frame {
        module: NO_MODULE,
        file_address: 1,
    };
    let site = sites.child(NO_SITE, frame);
    let mapped = sites.mapped(site);
    assert_eq!(sites.mapped(site), mapped);
    let all = [site, mapped, mapped + 1].map(|site| sites.memory(site));
    assert_eq!(all, [Memory::Malloc, Memory::Mapped, Memory::File]);
    assert_eq!(sites.memory(mapped + 2), Memory::Stack);
    for site in [mapped, mapped + 1, mapped + 2] {
        assert_eq!(sites.backtrace(site).collect::<Vec<_>>(), [frame]);
    }
}

#[test]
fn a_pair_has_both_backtraces() {
    let mut sites = Sites::default();
    let native = Frame {
        module: NO_MODULE,
        file_address: 1,
    };
    let code = sites.code(Code {
        file: "a.py".into(),
        function: "go".into(),
        first_line: 1,
    });
    let line = |line| PythonFrame {
        code: Some(code),
        line: Some(line),
    };
    let below = sites.child(NO_SITE, native);
    let outer = sites.python_child(NO_SITE, line(9));
    let inner = sites.python_child(outer, line(2));
    let block = sites.pair(below, inner, Asked::Interpreter);
    assert_eq!(sites.pair(below, inner, Asked::Interpreter), block);
    assert_eq!(sites.backtrace(block).collect::<Vec<_>>(), [native]);
    let python: Vec<_> = sites.python_backtrace(block).collect();
    assert_eq!(python, [line(2), line(9)]);
    assert_eq!(sites.python_backtrace(below).count(), 0);
    let other = sites.pair(below, inner, Asked::Native);
    assert!(sites.is_python(block) && !sites.is_python(other) && !sites.is_python(below));
}
