//! Which frames of a backtrace matter: the program's own before libraries, libraries before the C and
//! C++ runtimes, and the allocator's wrappers last. Where Python code led to an allocation, its frames
//! are shown in the place of the interpreter's and of what lies further out.

mod kinds;

use rustc_hash::FxHashSet;

use crate::escape::escaped;
use crate::sites::{Frame, Module, PythonFrame, SiteId, Sites, is_interpreter};
use crate::symbols::{Symbol, Symbolizer};
use crate::trace::Facts;
use kinds::{
    is_installed, is_runtime_function, is_runtime_module, is_system_path, is_wrapper, last, source,
};

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The program's.
    Own,
    /// The program's, but a wrapper of an allocation function: shown, but never the headline.
    Wrapper,
    /// A library's.
    Library,
    /// The language's or the system's runtime.
    Runtime,
}

/// One frame, ready to print (escaped).
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The function, or `module+0xaddress`.
    pub(super) name: String,
    /// `file:line`, or the module's file name.
    pub(super) place: String,
    /// Whose it is.
    pub(super) kind: Kind,
    /// Whether it is Python's.
    pub(super) is_python: bool,
    /// `module!function`, as it was (not escaped), with all that the function's name has; the program's own module is
    /// empty, a Python function's is its file. `module!+0xaddress@build-id` of the program's own code whose name is not known.
    pub(super) whole: String,
}

impl Line {
    /// Whether it asked for the block, on its own account.
    fn asks(&self) -> bool {
        self.kind != Kind::Runtime && !self.name.starts_with("_start")
    }

    /// Whether its function is not known.
    pub(super) fn is_nameless(&self) -> bool {
        self.whole.contains("!+0x")
    }

    /// Its place without directories, where there is little room.
    pub(super) fn short_place(&self) -> &str {
        self.place.rsplit('/').next().unwrap_or_default()
    }
}

/// A backtrace, the innermost frame first, inlined functions included.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack {
    pub(super) lines: Vec<Line>,
    /// Whether Python code led to it: then the program's own lines are all Python's.
    pub(super) is_python: bool,
}

/// Makes stacks.
pub(super) struct Stacks<'r, 's, 'f> {
    sites: &'r Sites,
    symbolizer: &'s mut Symbolizer<'f>,
    executables: FxHashSet<&'r str>,
}

impl<'r, 's, 'f> Stacks<'r, 's, 'f> {
    pub(super) fn new(
        facts: &'r Facts,
        sites: &'r Sites,
        symbolizer: &'s mut Symbolizer<'f>,
    ) -> Stacks<'r, 's, 'f> {
        let executables = facts.processes.iter().map(|p| p.executable.as_str());
        Stacks {
            sites,
            symbolizer,
            executables: executables.collect(),
        }
    }

    /// The backtrace of a site.
    pub(super) fn of(&mut self, site: SiteId) -> Stack {
        self.until(site, |_| false)
    }

    /// Whether its blocks are the runtime's own: no program or library asked for them, or they are buffers
    /// that the runtime keeps for the program. Looks no further out than it must: this is asked of all sites,
    /// and few of them are printed.
    pub(super) fn are_runtimes_own(&mut self, site: SiteId) -> bool {
        self.until(site, Line::asks).is_runtimes_own()
    }

    /// Whether Python was importing a module where its blocks were asked for.
    pub(super) fn are_of_imports(&self, site: SiteId) -> bool {
        let mut frames = self.sites.python_backtrace(site);
        frames.any(|frame| {
            let code = frame
                .code
                .and_then(|code| self.sites.codes().get(code as usize));
            code.is_some_and(|code| code.file.starts_with("<frozen importlib"))
        })
    }

    /// The backtrace of a site as far as the first frame that is `enough`.
    fn until(&mut self, site: SiteId, enough: impl Fn(&Line) -> bool) -> Stack {
        let sites = self.sites;
        let is_python = sites.python_backtrace(site).next().is_some();
        let mut stack = Stack {
            is_python,
            ..Stack::default()
        };
        for frame in sites.backtrace(site) {
            let module = sites.modules().get(frame.module as usize);
            if is_python && module.is_some_and(|module| is_interpreter(&module.path)) {
                break;
            }
            for symbol in self.symbolizer.symbols(frame).iter() {
                let mut line = self.line(frame, module, symbol);
                line.kind = stack.kind_of_next(&line);
                if stack.add(line, &enough) {
                    return stack;
                }
            }
        }
        for frame in sites.python_backtrace(site) {
            if stack.add(self.python_line(frame), &enough) {
                break;
            }
        }
        stack
    }

    fn python_line(&self, frame: PythonFrame) -> Line {
        let code = frame
            .code
            .and_then(|code| self.sites.codes().get(code as usize));
        let Some(code) = code else {
            return Line {
                name: "(Python code that was not told)".into(),
                place: String::new(),
                kind: Kind::Library,
                is_python: true,
                whole: "(Python)!".into(),
            };
        };
        let place = match frame.line {
            Some(line) => format!("{}:{line}", code.file),
            None => code.file.clone(),
        };
        Line {
            name: escaped(&code.function).into_owned(),
            place: escaped(&place).into_owned(),
            kind: match is_installed(&code.file) {
                true => Kind::Library,
                false => Kind::Own,
            },
            is_python: true,
            whole: format!("{}!{}", last(&code.file), code.function),
        }
    }

    /// What stood in the way of naming functions.
    pub(super) fn symbolizer(&self) -> &Symbolizer<'f> {
        self.symbolizer
    }

    fn line(&self, frame: Frame, module: Option<&Module>, symbol: &Symbol) -> Line {
        let file_name = module.map(|module| last(&module.path));
        let name = match (&symbol.short, file_name) {
            (Some(name), _) => name.clone(),
            (None, Some(module)) => format!("{module}+{:#x}", frame.file_address),
            (None, None) => format!("{:#x} (in no file)", frame.file_address),
        };
        let place = match (&symbol.file, symbol.line) {
            (Some(file), Some(line)) => format!("{}:{line}", source(file)),
            (Some(file), None) => source(file).to_owned(),
            _ if symbol.short.is_some() => file_name.unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let kind = self.kind(module, symbol);
        let function = match (&symbol.function, module) {
            (Some(function), _) => function.clone(),
            (None, Some(module)) if kind == Kind::Own => {
                let build_id = module.build_id.as_deref().unwrap_or_default();
                format!("+{:#x}@{build_id}", frame.file_address)
            }
            (None, _) => String::new(),
        };
        // The program may have another name in another build.
        let is_program = module.is_some_and(|module| self.is_program(module));
        let of = file_name.filter(|_| !is_program).unwrap_or_default();
        Line {
            name: escaped(&name).into_owned(),
            place: escaped(&place).into_owned(),
            kind,
            is_python: false,
            whole: format!("{of}!{function}"),
        }
    }

    /// Whether it is the executable of a process.
    fn is_program(&self, module: &Module) -> bool {
        self.executables.contains(module.path.as_str())
    }

    fn kind(&self, module: Option<&Module>, symbol: &Symbol) -> Kind {
        let Some(module) = module else {
            return Kind::Library;
        };
        let function = symbol.function.as_deref().unwrap_or_default();
        let file = symbol.file.as_deref().unwrap_or_default();
        if is_runtime_module(last(&module.path)) || is_runtime_function(function, file) {
            return Kind::Runtime;
        }
        let own = self.is_program(module) || !is_system_path(&module.path);
        match own {
            true if is_wrapper(symbol.short.as_deref().unwrap_or_default()) => Kind::Wrapper,
            true => Kind::Own,
            false => Kind::Library,
        }
    }
}

impl Stack {
    /// Adds a line; whether it was `enough`.
    fn add(&mut self, line: Line, enough: impl Fn(&Line) -> bool) -> bool {
        let is = enough(&line);
        self.lines.push(line);
        is
    }

    /// Whose `line` is, given what lies further in.
    fn kind_of_next(&self, line: &Line) -> Kind {
        let started = |inner: &Line| inner.name.starts_with("std::rt::lang_start");
        match line.kind {
            // An extension module's: shown, but the Python line is what is looked for.
            Kind::Own if self.is_python => Kind::Wrapper,
            // The C `main` of a Rust program, which the compiler made.
            _ if line.name == "main" && self.lines.last().is_some_and(started) => Kind::Runtime,
            kind => kind,
        }
    }

    /// The frame that a person looks for: the innermost of the program's own, else of a library's,
    /// else of any.
    pub(super) fn head(&self) -> usize {
        [Kind::Own, Kind::Wrapper, Kind::Library]
            .into_iter()
            .find_map(|kind| self.lines.iter().position(|line| line.kind == kind))
            .unwrap_or(0)
    }

    /// How many frames at the inner end are the runtime's: what the program called to get the block.
    pub(super) fn leading(&self) -> usize {
        let runtime = |line: &Line| line.kind == Kind::Runtime;
        let leading = self.lines.iter().take_while(|line| runtime(line)).count();
        if leading == self.lines.len() {
            0
        } else {
            leading
        }
    }

    /// The runtime's function that the program called to get the block.
    pub(super) fn asked_for(mut self) -> Option<String> {
        let at = self.leading().saturating_sub(1);
        (at < self.lines.len()).then(|| self.lines.swap_remove(at).name)
    }

    /// See [`Stacks::are_runtimes_own`].
    fn is_runtimes_own(&self) -> bool {
        const KEPT: [&str; 8] = [
            "_IO_file_doallocate",
            "_IO_wfile_doallocate",
            "setlocale",
            "newlocale",
            "__newlocale",
            "tzset_internal",
            "__tzfile_read",
            "_dl_allocate_tls",
        ];
        let kept = |line: &Line| line.kind == Kind::Runtime && KEPT.contains(&line.name.as_str());
        let innermost = self.lines.get(..self.leading()).unwrap_or_default();
        !self.lines.is_empty()
            && (!self.lines.iter().any(Line::asks)
                || innermost.iter().any(kept)
                || innermost
                    .first()
                    .is_some_and(|line| line.place.starts_with("ld-linux")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(kinds: &[(&str, Kind)]) -> Stack {
        let line = |(name, kind): &(&str, Kind)| Line {
            name: (*name).into(),
            place: String::new(),
            kind: *kind,
            is_python: false,
            whole: String::new(),
        };
        Stack {
            lines: kinds.iter().map(line).collect(),
            is_python: false,
        }
    }

    #[test]
    fn the_programs_own_frame_is_the_headline() {
        let stack = stack(&[
            ("operator new", Kind::Runtime),
            ("g_malloc", Kind::Library),
            ("my_alloc", Kind::Wrapper),
            ("handle", Kind::Own),
            ("main", Kind::Own),
        ]);
        assert_eq!(stack.head(), 3);
        assert_eq!(stack.leading(), 1);
        assert!(!stack.is_runtimes_own());
    }

    #[test]
    fn what_nobody_asked_for_is_the_runtimes_own() {
        let pool = [("pool", Kind::Runtime), ("call_init", Kind::Runtime)];
        assert!(stack(&pool).is_runtimes_own());
        assert_eq!(stack(&pool).leading(), 0);
        let stdio = [
            ("_IO_file_doallocate", Kind::Runtime),
            ("printf", Kind::Runtime),
            ("main", Kind::Own),
        ];
        assert!(stack(&stdio).is_runtimes_own());
        assert!(!stack(&[]).is_runtimes_own());
    }

    #[test]
    fn runtime_functions_in_the_program() {
        assert!(is_runtime_function("alloc::vec::Vec<T,A>::push", ""));
        assert!(is_runtime_function(
            "void std::vector<int>::emplace(int)",
            ""
        ));
        assert!(!is_runtime_function("app::stdlib", "/src/app.rs"));
        assert!(!is_runtime_function(
            "<app::T as core::ops::Drop>::drop",
            ""
        ));
        assert!(is_wrapper("ngx_palloc") && is_wrapper("xstrdup") && !is_wrapper("allocate_all"));
    }

    #[test]
    fn installed_python_is_not_the_programs_own() {
        assert!(is_installed("/usr/lib/python3.11/json/decoder.py"));
        assert!(is_installed(
            "/srv/venv/lib/python3.12/site-packages/flask/app.py"
        ));
        assert!(is_installed("<frozen importlib._bootstrap>"));
        assert!(is_installed("/opt/py/lib/python3.14t/json/__init__.py"));
        assert!(!is_installed("/srv/app/views.py") && !is_installed("app.py"));
        assert!(!is_installed("/srv/lib/python3.app/views.py"));
        assert!(!is_installed("/srv/lib/python3-server/views.py"));
        assert!(is_interpreter("python3.11") && is_interpreter("libpython3.13.so.1.0"));
    }

    #[test]
    fn rust_library_paths_are_short() {
        assert_eq!(
            source("/rustc/0123/library/alloc/src/vec.rs"),
            "library/alloc/src/vec.rs"
        );
        assert_eq!(source("/src/main.c"), "/src/main.c");
    }
}
