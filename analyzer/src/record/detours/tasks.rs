//! The functions by which runtimes run tasks: each is given the block in which the task lies, and returns at its next
//! wait.

use std::collections::BTreeMap;

use leak_wire::detour::Shape;
use object::{Object, ObjectSymbol, SymbolKind};

use super::entries::Entry;

/// Part of every name of such a function, as the compiler mangles it in either way: those of tokio and
/// of async-task, which smol and others run.
const PARTS: [&str; 2] = ["4task3raw4poll", "10async_task3raw"];

/// The functions of a file that run tasks, each address once. There is one for each type of task; compilers keep their
/// names unless they are told to strip.
pub(super) fn entries(file: &object::File<'_>) -> Vec<Entry> {
    let mut found: BTreeMap<u64, Entry> = BTreeMap::new();
    for symbol in file.symbols().chain(file.dynamic_symbols()) {
        let Ok(name) = symbol.name() else {
            continue;
        };
        if symbol.is_definition() && symbol.kind() == SymbolKind::Text && runs_tasks(name) {
            found.entry(symbol.address()).or_insert_with(|| Entry {
                name: name.to_owned(),
                address: symbol.address(),
                size: symbol.size(),
                shape: Shape::Poll,
            });
        }
    }
    found.into_values().collect()
}

/// Whether a function of this mangled name runs tasks.
fn runs_tasks(name: &str) -> bool {
    if !PARTS.iter().any(|part| name.contains(part)) {
        return false;
    }
    let Ok(name) = rustc_demangle::try_demangle(name) else {
        return false;
    };
    let name = format!("{name:#}");
    // Parts of functions that the compiler or the linker has moved elsewhere have endings of their own.
    let of_tokio = |rest: &str| rest.is_empty() || rest.starts_with("::<") && rest.ends_with('>');
    let of_async_task = |name: &str| {
        let rest = name.strip_prefix('<').unwrap_or(name);
        rest.starts_with("async_task::raw::RawTask<") && name.ends_with(">::run")
    };
    name.strip_prefix("tokio::runtime::task::raw::poll")
        .is_some_and(of_tokio)
        || of_async_task(&name)
}

#[cfg(test)]
mod tests {
    use super::runs_tasks;

    #[test]
    fn poll_functions_are_known_by_their_names() {
        for name in [
            "_ZN5tokio7runtime4task3raw4poll17h14fb56b8450332c1E",
            "_RINvNtNtNtCslupp30x2yvi_5tokio7runtime4task3raw4pollNtNtCs4X4FwaaCGP0_12actix_server6worker12ServerWorker\
             INtNtCslNYArtu3iFV_5alloc4sync3ArcNtNtNtB8_4task5local6SharedEEBS_",
            "_RNvMs1_NtCsf9FnlW42dJL_10async_task3rawINtB5_7RawTaskINtCs2corPUJdsKc_14async_executor15AsyncCallOn\
             DropNCNCNvCs4Wub1YqZGBG_3smo4main00NCINvMs3_BS_NtBS_8Executor11spawn_inneruB1D_E0EuNCNvB2d_8schedule0uE3runB1J_.llvm.16583160522812092721",
            "_ZN10async_task3raw28RawTask$LT$F$C$T$C$S$C$M$GT$3run17h0123456789abcdefE",
        ] {
            assert!(runs_tasks(name), "{name}");
        }
        for name in [
            "_ZN5tokio7runtime4task3raw8shutdown17h14fb56b8450332c1E",
            "_ZN5tokio7runtime4task3raw4poll7bounded17h14fb56b8450332c1E",
            "_ZN10async_task3raw28RawTask$LT$F$C$T$C$S$C$M$GT$8schedule17h0123456789abcdefE",
            "_ZN5other4task3raw4poll17h14fb56b8450332c1E",
            "4task3raw4poll",
            "_RINvNtNtNtCslupp30x2yvi_5tokio7runtime4task3raw4pollNtNtCs4X4FwaaCGP0_12actix_server6worker12ServerWorker\
             INtNtCslNYArtu3iFV_5alloc4sync3ArcNtNtNtB8_4task5local6SharedEEBS_.cold.0",
        ] {
            assert!(!runs_tasks(name), "{name}");
        }
    }
}
