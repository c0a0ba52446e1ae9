//! A call site's backtrace as places that call each other, for other tools: full names, files and lines. Where Python
//! code led to an allocation, its frames stand in the place of the interpreter's and of what lies further out.

use crate::sites::{Frame, ModuleId, NO_MODULE, PythonFrame, SiteId, Sites, is_interpreter};
use crate::symbols::{Symbol, Symbolizer};

/// Where a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum At {
    /// A file address of a module, or an address in no file.
    Native(ModuleId, u64),
    /// A code object and its line.
    Python(Option<u32>, Option<u32>),
}

/// A function, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// Its full name; `module+0xaddress` where that is not known.
    pub(super) function: String,
    /// The name as a person would say it.
    pub(super) short: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    /// Whether the function's name is known.
    pub(super) is_named: bool,
}

/// A place, and the functions that it is in: inlined ones first.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) at: At,
    pub(super) calls: Vec<Call>,
}

/// The places of a site, the innermost first.
pub(super) fn places(sites: &Sites, symbolizer: &mut Symbolizer<'_>, site: SiteId) -> Vec<Place> {
    let is_python = sites.python_backtrace(site).next().is_some();
    let mut places = Vec::new();
    for frame in sites.backtrace(site) {
        let module = sites.modules().get(frame.module as usize);
        if is_python && module.is_some_and(|module| is_interpreter(&module.path)) {
            break;
        }
        let module = module.map_or("", |module| file_name(&module.path));
        let symbols = symbolizer.symbols(frame);
        places.push(Place {
            at: At::Native(frame.module, frame.file_address),
            calls: symbols
                .iter()
                .map(|symbol| call(frame, module, symbol))
                .collect(),
        });
    }
    places.extend(
        sites
            .python_backtrace(site)
            .map(|frame| python(sites, frame)),
    );
    places
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn call(frame: Frame, module: &str, symbol: &Symbol) -> Call {
    let unknown = || match frame.module {
        NO_MODULE => format!("{:#x}", frame.file_address),
        _ => format!("{module}+{:#x}", frame.file_address),
    };
    let function = symbol.function.clone().unwrap_or_else(unknown);
    Call {
        short: symbol.short.clone().unwrap_or_else(|| function.clone()),
        function,
        file: symbol.file.clone(),
        line: symbol.line,
        is_named: symbol.function.is_some(),
    }
}

fn python(sites: &Sites, frame: PythonFrame) -> Place {
    let code = frame.code.and_then(|code| sites.codes().get(code as usize));
    let function = code.map_or("(Python code that was not told)", |code| &code.function);
    Place {
        at: At::Python(frame.code, frame.line),
        calls: vec![Call {
            function: function.to_owned(),
            short: function.to_owned(),
            file: code.map(|code| code.file.clone()),
            line: frame.line,
            is_named: code.is_some(),
        }],
    }
}
