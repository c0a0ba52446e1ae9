//! A name for a call site that holds from run to run.

use crate::sites::{Memory, NO_MODULE, SiteId, Sites};

/// 16 hex digits over the file names of the modules and the file addresses of the frames, the
/// innermost first. It is the same in every run of the same build, wherever it is loaded and whether
/// or not symbols are at hand when the report is made; a rebuilt program has new ones.
/// Code that lies in no file (a JIT's) counts by its place in the backtrace alone. Python frames, where
/// there are any, count by file name, function and line; native ones beside them, if they set the site apart.
pub fn fingerprint(sites: &Sites, site: SiteId) -> String {
    let mut hash = Fnv::new();
    for frame in sites.backtrace_apart(site) {
        let path = match sites.modules().get(frame.module as usize) {
            Some(module) => module.path.rsplit('/').next().unwrap_or_default(),
            None => "",
        };
        hash.add(path.as_bytes());
        let known = frame.module != NO_MODULE;
        let address = if known { frame.file_address } else { 0 };
        hash.add(&[0]);
        hash.add(&address.to_le_bytes());
    }
    for frame in sites.python_backtrace(site) {
        let code = frame.code.and_then(|code| sites.codes().get(code as usize));
        let (file, function) = match code {
            Some(code) => (code.file.as_str(), code.function.as_str()),
            None => ("", ""),
        };
        let file = file.rsplit('/').next().unwrap_or_default();
        hash.add(file.as_bytes());
        hash.add(&[0]);
        hash.add(function.as_bytes());
        hash.add(&[0]);
        hash.add(&frame.line.unwrap_or(0).to_le_bytes());
    }
    // A call that maps is told apart from one that allocates, and files from memory.
    match sites.memory(site) {
        Memory::Malloc | Memory::Python => {}
        Memory::Arena => hash.add(b"Mapped"),
        memory @ (Memory::Mapped | Memory::File | Memory::Stack) => {
            hash.add(format!("{memory:?}").as_bytes())
        }
    }
    hash.hex()
}

/// FNV-1a, 64 bits: it must never change, so it comes from no library.
pub(super) struct Fnv(u64);

impl Fnv {
    pub(super) fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// 16 hex digits.
    pub(super) fn hex(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::{Code, Frame, Module, NO_SITE, PythonFrame};

    fn site(path: &str, file_address: u64, jit: u64) -> String {
        let mut sites = Sites::default();
        let module = sites.module(Module {
            path: path.into(),
            build_id: None,
        });
        let outer = Frame {
            module: NO_MODULE,
            file_address: jit,
        };
        let outer = sites.child(NO_SITE, outer);
        let inner = sites.child(
            outer,
            Frame {
                module,
                file_address,
            },
        );
        fingerprint(&sites, inner)
    }

    #[test]
    fn python_lines_count() {
        let python = |file: &str, line| {
            let mut sites = Sites::default();
            let code = sites.code(Code {
                file: file.into(),
                function: "K.go".into(),
                first_line: 1,
            });
            let frame = PythonFrame {
                code: Some(code),
                line: Some(line),
            };
            let inner = sites.python_child(NO_SITE, frame);
            let pair = sites.pair(NO_SITE, inner, leak_wire::Asked::Interpreter);
            fingerprint(&sites, pair)
        };
        assert_eq!(python("/srv/a.py", 3), python("/opt/a.py", 3));
        assert_ne!(python("/srv/a.py", 3), python("/srv/a.py", 4));
        assert_ne!(python("/srv/a.py", 3), python("/srv/b.py", 3));
        // Written down, because it must not change.
        assert_eq!(python("/srv/a.py", 3), "8e5724dc86689633");
    }

    #[test]
    fn holds_over_places_and_runs() {
        assert_eq!(site("/bin/x", 1, 7), site("/opt/bin/x", 1, 8));
        assert_ne!(site("/bin/x", 1, 7), site("/bin/x", 2, 7));
        assert_ne!(site("/bin/x", 1, 7), site("/bin/y", 1, 7));
        // Written down, because it must not change.
        assert_eq!(site("/bin/x", 1, 7), "40aaed9643b5de6c");
    }
}
