//! The tools that are compared: how a program runs under each, what it writes, and how its report is made.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use leak_tests::artifacts;
use leak_tests::real;

use crate::measure::{Role, Usage, Watch};

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
const HEAPTRACK: &str = "/usr/lib/heaptrack";

/// A way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// As it is.
    Bare,
    /// libleak, waiting to be asked for a window: `LEAK_START=off`.
    Off,
    /// libleak, every event.
    Exact,
    /// libleak, counting what outlives nothing: `LEAK_KEEP=lasting`.
    Lasting,
    /// libleak, a sample every 512 KiB.
    Sampled,
    /// heaptrack, its interpreter running beside the program.
    Heaptrack,
    /// heaptrack --raw.
    HeaptrackRaw,
    /// valgrind --tool=dhat.
    Dhat,
    /// memray, with the interpreter's own allocator traced.
    Memray,
    /// jemalloc with its profiler, a sample every 512 KiB: its default.
    Jemalloc,
    /// tcmalloc with its heap profiler: every event.
    Tcmalloc,
}

impl Tool {
    /// Its name in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Bare => "bare",
            Tool::Off => "libleak, off",
            Tool::Exact => "libleak",
            Tool::Lasting => "libleak, lasting",
            Tool::Sampled => "libleak, sampled",
            Tool::Heaptrack => "heaptrack",
            Tool::HeaptrackRaw => "heaptrack --raw",
            Tool::Dhat => "valgrind dhat",
            Tool::Memray => "memray",
            Tool::Jemalloc => "jemalloc, sampled",
            Tool::Tcmalloc => "tcmalloc",
        }
    }

    /// Whether a quick run does without it.
    pub(crate) fn is_extra(self) -> bool {
        matches!(
            self,
            Tool::Off | Tool::Lasting | Tool::Dhat | Tool::Memray | Tool::Jemalloc | Tool::Tcmalloc
        )
    }

    /// Whether one run has to do: it is slow enough for that, and its noise is small beside its cost.
    pub(crate) fn runs_once(self) -> bool {
        matches!(self, Tool::Dhat | Tool::Tcmalloc)
    }

    /// The command that runs `line` under this tool, which writes into `place`.
    pub(crate) fn command(self, line: &[String], place: &Path) -> Command {
        let at = |name: &str| place.join(name).display().to_string();
        let mut words: Vec<String> = line.to_vec();
        match self {
            Tool::Dhat => {
                let out = format!("--dhat-out-file={}", at("out.dhat"));
                let valgrind = ["valgrind", "-q", "--tool=dhat", &out];
                words.splice(0..0, valgrind.map(str::to_owned));
            }
            Tool::Memray => {
                let out = at("out.memray");
                let options = [
                    "-m",
                    "memray",
                    "run",
                    "-q",
                    "-f",
                    "--trace-python-allocators",
                    "-o",
                    &out,
                ];
                words.splice(1..1, options.map(str::to_owned));
            }
            _ => {}
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(place);
        for name in ["LD_PRELOAD", "LEAK_SESSION"] {
            command.env_remove(name);
        }
        self.set_environment(&mut command, place);
        command
    }

    fn set_environment(self, command: &mut Command, place: &Path) {
        let at = |name: &str| place.join(name).display().to_string();
        match self {
            Tool::Bare | Tool::Dhat | Tool::Memray => {}
            Tool::Off | Tool::Exact | Tool::Lasting | Tool::Sampled => {
                command.env("LD_PRELOAD", at("libleak.so"));
                command.env("LEAK_TRACE", at("out.trace"));
                match self {
                    Tool::Off => command.env("LEAK_START", "off"),
                    Tool::Lasting => command.env("LEAK_KEEP", "lasting"),
                    Tool::Sampled => command.env("LEAK_SAMPLE", "512k"),
                    _ => command,
                };
            }
            Tool::Heaptrack | Tool::HeaptrackRaw => {
                command.env("LD_PRELOAD", format!("{HEAPTRACK}/libheaptrack_preload.so"));
                command.env("DUMP_HEAPTRACK_OUTPUT", at("pipe"));
            }
            Tool::Jemalloc => {
                command.env("LD_PRELOAD", format!("{LIBRARIES}/libjemalloc.so.2"));
                let options = format!("prof:true,prof_final:true,prof_prefix:{}", at("out"));
                command.env("MALLOC_CONF", options);
            }
            Tool::Tcmalloc => {
                command.env("LD_PRELOAD", format!("{LIBRARIES}/libtcmalloc.so.4"));
                command.env("HEAPPROFILE", at("out"));
            }
        }
    }

    /// Starts what has to run beside the program before it does.
    pub(crate) fn start_beside(self, watch: &mut Watch, place: &Path) -> Result<Beside, String> {
        if !matches!(self, Tool::Heaptrack | Tool::HeaptrackRaw) {
            return Ok(Beside(None));
        }
        let said = |error: std::io::Error| error.to_string();
        let pipe = place.join("pipe");
        let made = Command::new("mkfifo").arg("-m666").arg(&pipe).status();
        made.map_err(said)?;
        // Open for writing here too, so that its reader waits for the program.
        let open = File::options()
            .read(true)
            .write(true)
            .open(&pipe)
            .map_err(said)?;
        let read = File::open(&pipe).map_err(said)?;
        let out = File::create(place.join("out.zst")).map_err(said)?;
        let mut source = Stdio::from(read);
        if self == Tool::Heaptrack {
            let (end, start) = std::io::pipe().map_err(said)?;
            let mut interpreter = Command::new(format!("{HEAPTRACK}/libexec/heaptrack_interpret"));
            interpreter
                .stdin(source)
                .stdout(start)
                .stderr(Stdio::null());
            watch.start_reading(&mut interpreter, Role::Recorder)?;
            source = Stdio::from(end);
        }
        let mut compressor = Command::new("zstd");
        compressor.args(["-q", "-c"]).stdin(source).stdout(out);
        watch.start_reading(&mut compressor, Role::Recorder)?;
        Ok(Beside(Some(open)))
    }

    /// What it wrote, in bytes.
    pub(crate) fn written(self, place: &Path) -> u64 {
        let files = outputs(place).into_iter();
        files
            .filter_map(|path| Some(fs::metadata(path).ok()?.len()))
            .sum()
    }

    /// What making the text report from `place` costs; none where there is none to make.
    pub(crate) fn report(self, place: &Path, program: &str) -> Option<Result<Usage, String>> {
        let path = |name: &str| place.join(name).display().to_string();
        let last = outputs(place).pop()?.display().to_string();
        let python = real::python;
        let line: Vec<String> = match self {
            Tool::Bare | Tool::Off | Tool::Dhat => return None,
            Tool::Exact | Tool::Lasting | Tool::Sampled => vec![
                artifacts::leak_analyze().display().to_string(),
                path("out.trace"),
            ],
            Tool::Heaptrack => vec!["heaptrack_print".into(), "-f".into(), path("out.zst")],
            Tool::HeaptrackRaw => {
                let interpret = format!(
                    "zstd -dcq out.zst | {HEAPTRACK}/libexec/heaptrack_interpret | zstd -cq >in.zst; heaptrack_print -f in.zst"
                );
                vec!["sh".into(), "-c".into(), interpret]
            }
            Tool::Memray => ["-m", "memray", "stats", &last].map(str::to_owned).to_vec(),
            Tool::Jemalloc => ["jeprof", "--text", program, &last]
                .map(str::to_owned)
                .to_vec(),
            Tool::Tcmalloc => ["google-pprof", "--text", program, &last]
                .map(str::to_owned)
                .to_vec(),
        };
        let line = if self == Tool::Memray {
            [vec![python()], line].concat()
        } else {
            line
        };
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .current_dir(place)
            .env_remove("LD_PRELOAD");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut watch = Watch::new();
        Some(
            watch
                .start(&mut command, Role::Target)
                .and_then(|_| watch.wait_for_all()),
        )
    }
}

/// What is held open while the program runs.
#[derive(Debug)]
pub(crate) struct Beside(#[expect(dead_code, reason = "held, not read")] Option<File>);

/// An empty directory that every user may write to, with libleak in it where every user may read it.
pub(crate) fn place(parent: &Path) -> PathBuf {
    let place = parent.join("run");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).expect("the bench's directory can be written");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).expect("ours");
    for file in [artifacts::libleak(), artifacts::leak_analyze()] {
        let name = file.file_name().expect("a file has a name");
        fs::copy(&file, place.join(name)).expect("the bench's directory can be written");
    }
    place
}

/// The files that a tool wrote, sorted.
fn outputs(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("out.") && name != "out.txt"
        })
        .collect();
    files.sort();
    files
}
