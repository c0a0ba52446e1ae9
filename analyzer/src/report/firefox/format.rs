//! The tables of a processed profile, version 60: columns of equal length that refer to each other by index. Later
//! versions of the Firefox Profiler bring it up to their own when they open it.
//! (<https://github.com/firefox-devtools/profiler/blob/main/docs-developer/CHANGELOG-formats.md>)

use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::Value;

/// The version that the tables have.
pub(super) const VERSION: u32 = 60;

#[derive(Serialize)]
pub(super) struct Profile {
    pub(super) meta: Meta,
    pub(super) libs: [(); 0],
    pub(super) shared: Shared,
    pub(super) threads: [Thread; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) preprocessed_profile_version: u32,
    /// Of Gecko's own format, which this is not: read by nobody.
    pub(super) version: u32,
    /// Milliseconds between samples.
    pub(super) interval: f64,
    /// Milliseconds since 1970.
    pub(super) start_time: f64,
    pub(super) product: String,
    pub(super) imported_from: String,
    pub(super) process_type: u32,
    pub(super) stackwalk: u32,
    pub(super) symbolicated: bool,
    pub(super) categories: Vec<Category>,
    pub(super) marker_schema: Value,
    /// What the dialog about the profile says.
    pub(super) extra: Value,
    pub(super) initial_visible_threads: [usize; 1],
    pub(super) initial_selected_threads: [usize; 1],
}

#[derive(Serialize)]
pub(super) struct Category {
    pub(super) name: String,
    pub(super) color: &'static str,
    pub(super) subcategories: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thread {
    pub(super) process_type: &'static str,
    pub(super) process_startup_time: f64,
    pub(super) process_shutdown_time: Option<f64>,
    pub(super) register_time: f64,
    pub(super) unregister_time: Option<f64>,
    pub(super) paused_ranges: [(); 0],
    pub(super) show_markers_in_timeline: bool,
    pub(super) name: String,
    pub(super) is_main_thread: bool,
    pub(super) process_name: String,
    pub(super) pid: String,
    pub(super) tid: u32,
    pub(super) samples: Samples,
    pub(super) markers: Markers,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Samples {
    pub(super) stack: Vec<usize>,
    /// Milliseconds, rising.
    pub(super) time: Vec<f64>,
    pub(super) weight: Vec<u64>,
    pub(super) weight_type: &'static str,
    pub(super) length: usize,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Markers {
    pub(super) data: Vec<Value>,
    pub(super) name: Vec<usize>,
    pub(super) start_time: Vec<f64>,
    pub(super) end_time: Vec<Option<f64>>,
    pub(super) phase: Vec<u8>,
    pub(super) category: Vec<usize>,
    pub(super) length: usize,
}

/// What threads share.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shared {
    string_array: Vec<String>,
    sources: Sources,
    stack_table: Stacks,
    frame_table: Frames,
    func_table: Functions,
    resource_table: Resources,
    native_symbols: NativeSymbols,
    #[serde(skip)]
    known: Known,
}

#[derive(Default, Serialize)]
struct Sources {
    uuid: Vec<Option<String>>,
    filename: Vec<usize>,
    length: usize,
}

/// Each frame under the stack that called it, which comes before it.
#[derive(Default, Serialize)]
struct Stacks {
    frame: Vec<usize>,
    prefix: Vec<Option<usize>>,
    length: usize,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Frames {
    address: Vec<i64>,
    inline_depth: Vec<u32>,
    category: Vec<Option<usize>>,
    subcategory: Vec<Option<usize>>,
    func: Vec<usize>,
    native_symbol: Vec<Option<usize>>,
    #[serde(rename = "innerWindowID")]
    inner_window: Vec<Option<u64>>,
    line: Vec<Option<u32>>,
    column: Vec<Option<u32>>,
    length: usize,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Functions {
    name: Vec<usize>,
    #[serde(rename = "isJS")]
    is_js: Vec<bool>,
    #[serde(rename = "relevantForJS")]
    relevant_for_js: Vec<bool>,
    resource: Vec<i64>,
    source: Vec<Option<usize>>,
    line_number: Vec<Option<u32>>,
    column_number: Vec<Option<u32>>,
    length: usize,
}

/// None: frames are named already.
#[derive(Default, Serialize)]
struct Resources {
    lib: [(); 0],
    name: [(); 0],
    host: [(); 0],
    #[serde(rename = "type")]
    kind: [(); 0],
    length: usize,
}

/// None.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct NativeSymbols {
    lib_index: [(); 0],
    address: [(); 0],
    name: [(); 0],
    function_size: [(); 0],
    length: usize,
}

/// What is in the tables already.
#[derive(Default)]
struct Known {
    texts: FxHashMap<String, usize>,
    sources: FxHashMap<usize, usize>,
    functions: FxHashMap<(usize, Option<usize>), usize>,
    frames: FxHashMap<FrameKey, usize>,
    stacks: FxHashMap<(Option<usize>, usize), usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FrameKey {
    function: usize,
    line: Option<u32>,
    category: Option<(usize, usize)>,
}

impl Shared {
    /// The index of a text.
    pub(super) fn text(&mut self, text: &str) -> usize {
        if let Some(index) = self.known.texts.get(text) {
            return *index;
        }
        let index = self.string_array.len();
        self.string_array.push(text.to_owned());
        self.known.texts.insert(text.to_owned(), index);
        index
    }

    /// The index of a frame. One without a category (and a part of it) has that of its caller.
    pub(super) fn frame(
        &mut self,
        function: &str,
        file: Option<&str>,
        line: Option<u32>,
        category: Option<(usize, usize)>,
    ) -> usize {
        let function = self.function(function, file);
        let key = FrameKey {
            function,
            line,
            category,
        };
        let table = &mut self.frame_table;
        *self.known.frames.entry(key).or_insert_with(|| {
            table.address.push(-1);
            table.inline_depth.push(0);
            table.category.push(category.map(|(whole, _)| whole));
            table.subcategory.push(category.map(|(_, part)| part));
            table.func.push(function);
            table.native_symbol.push(None);
            table.inner_window.push(None);
            table.line.push(line);
            table.column.push(None);
            table.length += 1;
            table.length - 1
        })
    }

    /// The index of the stack that a frame makes with its callers'.
    pub(super) fn stack(&mut self, callers: Option<usize>, frame: usize) -> usize {
        let table = &mut self.stack_table;
        let known = &mut self.known.stacks;
        *known.entry((callers, frame)).or_insert_with(|| {
            table.frame.push(frame);
            table.prefix.push(callers);
            table.length += 1;
            table.length - 1
        })
    }

    fn function(&mut self, name: &str, file: Option<&str>) -> usize {
        let name = self.text(name);
        let source = file.map(|file| self.source(file));
        let table = &mut self.func_table;
        let known = &mut self.known.functions;
        *known.entry((name, source)).or_insert_with(|| {
            table.name.push(name);
            table.is_js.push(false);
            table.relevant_for_js.push(false);
            table.resource.push(-1);
            table.source.push(source);
            table.line_number.push(None);
            table.column_number.push(None);
            table.length += 1;
            table.length - 1
        })
    }

    fn source(&mut self, file: &str) -> usize {
        let filename = self.text(file);
        let table = &mut self.sources;
        *self.known.sources.entry(filename).or_insert_with(|| {
            table.uuid.push(None);
            table.filename.push(filename);
            table.length += 1;
            table.length - 1
        })
    }
}

impl Markers {
    /// From `start` to `end`, or, without one, on and on.
    pub(super) fn push(
        &mut self,
        name: usize,
        category: usize,
        start: f64,
        end: Option<f64>,
        data: Value,
    ) {
        const INTERVAL: u8 = 1;
        const INTERVAL_START: u8 = 2;
        self.name.push(name);
        self.category.push(category);
        self.start_time.push(start);
        self.end_time.push(end);
        self.phase.push(end.map_or(INTERVAL_START, |_| INTERVAL));
        self.data.push(data);
        self.length += 1;
    }
}
