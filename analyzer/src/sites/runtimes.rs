//! Runtimes whose memory waits for a collector: how they are known, and by what functions of theirs a collection of
//! everything is seen. Such a collection allocates for itself (lists of what is to be marked, tables of code), and the
//! backtraces of that say when it ran.

use std::ops::Range;

use super::Module;

/// A runtime with a collector that traces what is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// How the names of its library begin.
    libraries: &'static [&'static str],
    /// Its executables, with a version behind them or without.
    executables: &'static [&'static str],
    /// What it is called.
    pub name: &'static str,
    /// What makes it collect everything.
    pub ask: &'static str,
    /// Its functions have no names in files that are shipped: what dies at once tells.
    pub is_told_by_deaths: bool,
    /// Functions (mangled; what begins so, and goes on with one of their own) that run while it marks beside the program.
    marks: &'static [&'static str],
    /// The same of those that run only while it collects everything.
    collects: &'static [&'static str],
    /// The same of those that do later, for whoever runs then, what was put off.
    put_off: &'static [&'static str],
}

/// What a collector does, by the functions that a backtrace goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It does what it had put off: moves what others had made, finalizes.
    PutOff,
    /// It marks what is in use, while the program goes on.
    Marks,
    /// It collects everything that is not.
    Collects,
}

/// The functions of a module that tell what its collector does, by address in the file.
pub type Phases = Vec<(Range<u64>, Phase)>;

/// Finds those of a module that is this runtime.
pub type PhasesOf = fn(&Module, Runtime) -> Phases;

const RUNTIMES: [Runtime; 3] = [
    Runtime {
        libraries: &["libjvm.so"],
        executables: &[],
        name: "Java",
        ask: "jcmd PID GC.run",
        is_told_by_deaths: false,
        marks: &[
            "_ZN16G1ConcurrentMark20pre_concurrent_start",
            "_ZN16G1ConcurrentMark14mark_from_roots",
            "_ZN8G1CMTask",
        ],
        collects: &[
            "_ZN15G1FullCollector",
            "_ZN16VM_G1CollectFull",
            "_ZN16G1ConcurrentMark6remark",
            "_ZN17VM_GenCollectFull",
            "_ZN12GenMarkSweep",
            "_ZN12SerialFullGC",
            "_ZN17TenuredGeneration7collect",
            "_ZN17PSParallelCompact",
        ],
        put_off: &[],
    },
    Runtime {
        libraries: &["libruby.so", "libruby-"],
        executables: &["ruby"],
        name: "Ruby",
        ask: "GC.start",
        is_told_by_deaths: true,
        marks: &[],
        collects: &[],
        put_off: &["rb_postponed_job_flush"],
    },
    Runtime {
        libraries: &["libnode.so", "libv8.so"],
        executables: &["node", "nodejs"],
        name: "V8",
        ask: "node --gc-global",
        is_told_by_deaths: false,
        marks: &[
            "_ZN2v88internal17ConcurrentMarking",
            "_ZN2v88internal18IncrementalMarking",
            "_ZN2v88internal20MarkCompactCollector12StartMarking",
        ],
        collects: &[
            "_ZN2v88internal4Heap11MarkCompactEv",
            "_ZN2v88internal20MarkCompactCollector14CollectGarbageEv",
            "_ZN2v88internal20MarkCompactCollector15MarkLiveObjectsEv",
        ],
        put_off: &[],
    },
];

impl Runtime {
    /// The one that a module is, if it is one.
    pub fn of(module: &Module) -> Option<Runtime> {
        let path = module.path.strip_suffix(" (deleted)");
        let path = path.unwrap_or(&module.path);
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_version = |rest: &str| {
            rest.bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
        };
        let is_it = |runtime: &Runtime| {
            let mut libraries = runtime.libraries.iter();
            let executables = runtime.executables.iter();
            let mut versions = executables.filter_map(|own| name.strip_prefix(own));
            libraries.any(|library| name.starts_with(library)) || versions.any(is_version)
        };
        RUNTIMES.into_iter().find(is_it)
    }

    /// What its collector does while the function with this mangled name runs, if that tells.
    pub fn phase_of(&self, function: &str) -> Option<Phase> {
        let is_of = |name: &&str| {
            let rest = function.strip_prefix(*name);
            // A constructor of a class runs when the program starts.
            rest.is_some_and(|rest| !rest.starts_with(['C', 'D']))
        };
        let known = [
            (self.collects, Phase::Collects),
            (self.marks, Phase::Marks),
            (self.put_off, Phase::PutOff),
        ];
        let found = known.iter().find(|(names, _)| names.iter().any(is_of));
        found.map(|(_, phase)| *phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<Runtime> {
        Runtime::of(&Module {
            path: path.to_owned(),
            build_id: None,
        })
    }

    #[test]
    fn runtimes_are_known_by_their_files() {
        let name = |path: &str| of(path).map(|runtime| runtime.name);
        assert_eq!(
            name("/usr/lib/x86_64-linux-gnu/libruby-3.1.so.3.1"),
            Some("Ruby")
        );
        assert_eq!(name("/opt/ruby/bin/ruby"), Some("Ruby"));
        assert_eq!(
            name("/usr/lib/jvm/java-17/lib/server/libjvm.so"),
            Some("Java")
        );
        assert_eq!(name("/usr/lib/x86_64-linux-gnu/libc.so.6"), None);
        assert_eq!(name("/usr/bin/ruby3.1"), Some("Ruby"));
        assert_eq!(name("/usr/bin/node (deleted)"), Some("V8"));
        assert_eq!(name("/usr/lib/libnode.so.108"), Some("V8"));
        assert_eq!(name("/srv/java/server"), None);
        assert_eq!(name("/opt/node_exporter"), None);
        // An extension is not the runtime.
        assert_eq!(name("/var/lib/gems/ruby_http_parser.so"), None);
    }

    #[test]
    fn phases_are_told_by_functions() {
        let v8 = of("/usr/bin/node").expect("V8");
        let phase = |name: &str| v8.phase_of(name);
        assert_eq!(
            phase("_ZN2v88internal4Heap11MarkCompactEv"),
            Some(Phase::Collects)
        );
        assert_eq!(phase("_ZN2v88internal4Heap8ScavengeEv"), None);
        let marks = Some(Phase::Marks);
        assert_eq!(phase("_ZN2v88internal18IncrementalMarking5StartE"), marks);
        assert_eq!(
            phase("_ZN2v88internal18IncrementalMarkingC2EPNS0_4HeapE"),
            None
        );
        let java = of("libjvm.so").expect("Java");
        let remark = java.phase_of("_ZN16G1ConcurrentMark6remarkEv");
        assert_eq!(remark, Some(Phase::Collects));
        assert_eq!(java.phase_of("_ZN16VM_G1CollectFullC1Ev"), None);
        let ruby = of("libruby-3.1.so.3.1").expect("Ruby");
        let later = ruby.phase_of("rb_postponed_job_flush");
        assert_eq!(later, Some(Phase::PutOff));
    }
}
