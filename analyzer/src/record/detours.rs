//! Allocators and runtimes with tasks: finds their entries by name, and writes the detours by which a target has
//! them traced (`leak_wire::detour`). Everything that needs symbols or a decoder is done here, outside
//! the target.
//!
//! An entry is detoured only if nothing else can tell: whole instructions give way, no other instruction
//! of the function jumps into them, and they mean the same elsewhere. A call among them would return to
//! where no unwinder knows its way: that is no matter but where exceptions come by.

mod entries;
mod tasks;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, Decoder, DecoderOptions, FlowControl, Instruction,
    InstructionBlock,
};
use leak_wire::detour::{
    Answer, Brings, CODE_BYTES, Detour, Entries, JUMP, MAX_DISPLACED, MAX_MESSAGE, Request, SHAPES,
    STUB, Shape,
};
use object::{Object, ObjectSegment};

use super::procfs;
use crate::mapping::Mapping;
use entries::Entry;

/// Whether an allocator lies in a file, and whether its entries can be detoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// There is none.
    None,
    /// Its entries, so many, can be.
    Detoured(usize),
    /// They can't be, for this reason.
    Refused(String),
}

/// The same of the file at `path`, as if it lay somewhere in a process, or of what it has of a runtime with tasks.
/// Whether each of its calls comes by these entries can't be told before it runs.
pub(crate) fn reach(path: &Path, wanted: Entries) -> Reach {
    let found = Mapping::open(path).ok().and_then(|file| {
        let file = object::File::parse(&*file).ok()?;
        Some(match wanted {
            Entries::Allocator => !entries::entries(&file).is_empty(),
            Entries::Tasks => !tasks::entries(&file).is_empty(),
        })
    });
    if found != Some(true) {
        return Reach::None;
    }
    // What can be written for one place can be for another one.
    let request = Request {
        entries: wanted,
        bias: 0x5000_0000_0000,
        code: 0x4fff_fff0_0000,
        code_bytes: CODE_BYTES as u64,
        hooks: [0x7fff_0000_0000; SHAPES],
        path: b"",
    };
    match plan(path, &request) {
        Ok((detours, _)) => Reach::Detoured(detours.len()),
        Err(why) => Reach::Refused(why),
    }
}

/// Answers targets, and remembers what executables bring.
pub(crate) struct Executables {
    /// What is to be detoured.
    wanted: Brings,
    known: HashMap<(u64, u64, i64, u64), Brings>,
}

impl Executables {
    /// Nothing is known yet; what is not `wanted` is left alone.
    pub(crate) fn new(wanted: Brings) -> Executables {
        Executables {
            wanted,
            known: HashMap::new(),
        }
    }

    /// What the executable of `pid` brings: an allocator also where that is to be left alone, which is said.
    pub(crate) fn brings(&mut self, pid: u32) -> Brings {
        let path = PathBuf::from(procfs::of(pid) + "/exe");
        let Ok(of) = fs::metadata(&path) else {
            return Brings::default();
        };
        let identity = (of.dev(), of.ino(), of.mtime(), of.len());
        let wanted = self.wanted;
        *self.known.entry(identity).or_insert_with(|| {
            let file = Mapping::open(&path).ok();
            let found = file.and_then(|file| {
                let file = object::File::parse(&*file).ok()?;
                Some(Brings {
                    allocator: !entries::entries(&file).is_empty(),
                    tasks: wanted.tasks && !tasks::entries(&file).is_empty(),
                })
            });
            found.unwrap_or_default()
        })
    }

    /// The answer to what the process `pid` asks: a whole message.
    pub(crate) fn answer(&self, pid: u32, request: &[u8]) -> Vec<u8> {
        match Request::read(request) {
            Some(Request {
                entries: Entries::Allocator,
                ..
            }) if !self.wanted.allocator => b"ELEAK_OWN_MALLOC=off".to_vec(),
            Some(Request {
                entries: Entries::Tasks,
                ..
            }) if !self.wanted.tasks => b"ELEAK_TASKS=off".to_vec(),
            Some(request) => planned(pid, &request),
            None => b"Eunknown message".to_vec(),
        }
    }
}

/// The message with the detours that the process `pid` asks for, or why there are none.
fn planned(pid: u32, request: &Request<'_>) -> Vec<u8> {
    let refused = |why: String| format!("E{why}").into_bytes();
    match plan(&file_of(pid, request.path), request) {
        Ok((detours, code)) => {
            let mut message = vec![0; MAX_MESSAGE];
            match Answer::write(&detours, &code, &mut message) {
                Some(length) => {
                    message.truncate(length);
                    message
                }
                None => refused("it has too many entries".to_owned()),
            }
        }
        Err(why) => refused(why),
    }
}

/// The file of a module of `pid`, as that process sees it.
fn file_of(pid: u32, path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    if path.is_empty() {
        return PathBuf::from(procfs::of(pid) + "/exe");
    }
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let base = match path.is_absolute() {
        true => procfs::of(pid) + "/root",
        false => procfs::of(pid) + "/cwd",
    };
    let mut whole = PathBuf::from(base).into_os_string();
    whole.push("/");
    whole.push(path);
    PathBuf::from(whole)
}

/// Detours for all entries of the file at `path`, and their code.
pub(crate) fn plan(path: &Path, request: &Request<'_>) -> Result<(Vec<Detour>, Vec<u8>), String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("its file can't be read: {error}");
    // Not mapped: a library may be cut while it is read, unlike a program that runs.
    let file = fs::read(path).map_err(|error| unreadable(&error))?;
    let file = object::File::parse(&*file).map_err(|error| unreadable(&error))?;
    let (entries, none) = match request.entries {
        Entries::Allocator => (
            entries::entries(&file),
            "it has no symbols of a malloc and a free",
        ),
        Entries::Tasks => (tasks::entries(&file), "it has no symbols of poll functions"),
    };
    if entries.is_empty() {
        return Err(none.to_owned());
    }
    let mut detours = Vec::new();
    let mut code = Vec::new();
    let mut refused = None;
    for entry in &entries {
        if request.entries == Entries::Tasks && is_nearly_full(&detours, &code, request) {
            break;
        }
        let detour = text(&file, entry)
            .ok_or("it has no code")
            .and_then(|text| detour(entry, text, request, &mut code))
            .map_err(|why| format!("no detour at {}: {why}", entry.name));
        match (detour, request.entries) {
            (Ok(detour), _) => detours.push(detour),
            (Err(why), Entries::Allocator) => return Err(why),
            // A task that is not told from its thread is told by what was in flight.
            (Err(why), Entries::Tasks) => refused = Some(why),
        }
    }
    if let Some(why) = refused.filter(|_| detours.is_empty()) {
        return Err(why);
    }
    let overlap = detours.windows(2).any(|pair| match pair {
        [one, next] => one.at + u64::from(one.length) > next.at,
        _ => false,
    });
    if overlap {
        return Err("its entries overlap".to_owned());
    }
    match code.len() as u64 <= request.code_bytes {
        true => Ok((detours, code)),
        false => Err("it has too many entries".to_owned()),
    }
}

/// Bytes of code and of the answer that one entry more may take.
const ENTRY: usize = 256;

/// Whether the answer has no room for more entries.
fn is_nearly_full(detours: &[Detour], code: &[u8], request: &Request<'_>) -> bool {
    let answer = size_of_val(detours) + code.len();
    answer + ENTRY > MAX_MESSAGE || (code.len() + ENTRY) as u64 > request.code_bytes
}

/// The bytes of a function.
fn text<'d>(file: &object::File<'d>, entry: &Entry) -> Option<&'d [u8]> {
    file.segments().find_map(|segment| {
        let bytes = segment.data_range(entry.address, entry.size).ok()??;
        (!bytes.is_empty()).then_some(bytes)
    })
}

/// The detour at an entry whose code in the file is `text`; its own code is put behind `code`.
fn detour(
    entry: &Entry,
    text: &[u8],
    request: &Request<'_>,
    code: &mut Vec<u8>,
) -> Result<Detour, &'static str> {
    let at = request.bias.wrapping_add(entry.address);
    // Backtraces are taken within some.
    let calls = !matches!(entry.shape, Shape::Operator | Shape::Poll);
    let displaced = displaced(text, at, calls)?;
    let end = displaced.last().map_or(at, Instruction::next_ip);
    let length = (end - at) as usize;
    let mut before = [0; MAX_DISPLACED];
    let kept = before.get_mut(..length).zip(text.get(..length));
    let (kept, found) = kept.ok_or("its first instructions are too long")?;
    kept.copy_from_slice(found);

    // The stub tells the hook where the function goes on, and jumps to the hook.
    let stub = request.code + code.len() as u64;
    code.extend([0x4c, 0x8d, 0x1d, 14, 0, 0, 0]); // lea r11, [rip + 14]
    code.extend([0xff, 0x25, 0, 0, 0, 0]); // jmp [rip]
    let hook = request.hooks.get(entry.shape as usize).copied();
    code.extend(hook.unwrap_or_default().to_le_bytes());
    debug_assert_eq!(request.code + code.len() as u64, stub + STUB as u64);
    let mut moved = displaced;
    let go_on = Instruction::with_branch(Code::Jmp_rel32_64, end);
    moved.push(go_on.map_err(|_| "it lies too far away")?);
    let block = InstructionBlock::new(&moved, request.code + code.len() as u64);
    let moved = BlockEncoder::encode(64, block, BlockEncoderOptions::NONE);
    code.extend(
        moved
            .map_err(|_| "its first instructions can't lie elsewhere")?
            .code_buffer,
    );
    code.resize(code.len().next_multiple_of(16), 0xcc);

    let distance = stub.wrapping_sub(at + JUMP as u64) as i64;
    let distance = i32::try_from(distance).map_err(|_| "it lies too far away")?;
    let mut jump = [0xe9; JUMP];
    jump[1..].copy_from_slice(&distance.to_le_bytes());
    Ok(Detour {
        at,
        before,
        length: length as u8,
        jump,
    })
}

/// The instructions at `at` that give way to a jump; also a call, if `calls`.
fn displaced(text: &[u8], at: u64, calls: bool) -> Result<Vec<Instruction>, &'static str> {
    let mut decoder = Decoder::with_ip(64, text, at, DecoderOptions::NONE);
    let (mut displaced, mut end, mut into) = (Vec::new(), at, Vec::new());
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return Err("its code can't be read");
        }
        if (end - at) < JUMP as u64 {
            let flow = instruction.flow_control();
            let last = instruction.next_ip() - at >= JUMP as u64;
            let moves = moves(flow) || (calls && flow == FlowControl::Call);
            if !moves || (ends(flow) && !last) {
                return Err("its first instructions can't give way");
            }
            end = instruction.next_ip();
            displaced.push(instruction);
        }
        if instruction.near_branch_target() != 0 {
            into.push(instruction.near_branch_target());
        }
    }
    if end - at < JUMP as u64 {
        return Err("it is too short");
    }
    match into.iter().any(|target| (at + 1..end).contains(target)) {
        true => Err("it jumps to its own beginning"),
        false => Ok(displaced),
    }
}

/// Whether an instruction of that kind may always give way.
fn moves(flow: FlowControl) -> bool {
    ends(flow) || matches!(flow, FlowControl::Next | FlowControl::ConditionalBranch)
}

/// Whether nothing goes on behind it.
fn ends(flow: FlowControl) -> bool {
    matches!(
        flow,
        FlowControl::UnconditionalBranch | FlowControl::IndirectBranch | FlowControl::Return
    )
}

#[cfg(test)]
mod tests;
