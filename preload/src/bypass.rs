//! Libraries whose calls of malloc lead past this one: what is opened with `RTLD_DEEPBIND` (as PHP opens its
//! extensions) is bound to what it brings itself and to the C library first. Their relocations tell: where one for
//! `malloc` or `free` holds the C library's function, calls went there. The trace is to say so,
//! and which they are.
//!
//! Most are bound when they are called first. So each library is looked at before it is closed, and what is
//! there when the program ends.

use core::ffi::{CStr, c_void};

use leak_wire::layout::warning;

use crate::unwind::loader::{self, Object};
use crate::{alternate_stack, kernel, modules, process, real, session};

/// Tags of the dynamic section.
const DT_NULL: u64 = 0;
const DT_PLTRELSZ: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_JMPREL: u64 = 23;
/// Entries of a dynamic section, at most.
const MOST_TAGS: u64 = 256;
/// Kinds of relocations that hold a function's address.
const GLOB_DAT: u64 = 6;
const JUMP_SLOT: u64 = 7;
/// Bytes of a relocation and of a symbol.
const RELOCATION: u64 = 24;
const SYMBOL: u64 = 24;

/// The calls that matter: what gives blocks, and what takes them.
const CALLS: [&CStr; 4] = [c"malloc", c"calloc", c"realloc", c"free"];

/// Looks at the library that is about to be closed; `handle` may be anything.
pub fn before_close(handle: *mut c_void) {
    if session::current().is_none() {
        return;
    }
    // A handle of glibc's is the link map, whose third word is the address of the dynamic section.
    let dynamic = kernel::peek((handle as usize).wrapping_add(16));
    if let Some(object) = dynamic.and_then(loader::object_at) {
        look_at(&object);
    }
}

/// Looks at all libraries that were told. Without the loader's lock, which in a forked child may be nobody's.
pub fn at_end() {
    modules::for_each_told(|start| {
        if let Some(object) = loader::object_at(start) {
            look_at(&object);
        }
    });
}

fn look_at(object: &Object) {
    if leads_past(object) == Some(true)
        && let Some(session) = session::current()
    {
        let names = &session.header().bypassing;
        alternate_stack::run(|| modules::with_path(object, |path| names.add(path)));
        process::warn(warning::BYPASSED);
    }
}

/// Whether a call of the object has led past this library.
fn leads_past(object: &Object) -> Option<bool> {
    let mut tags = [0; DT_JMPREL as usize + 1];
    for at in 0..MOST_TAGS {
        let tag = word(object, object.dynamic + 16 * at)?;
        if tag == DT_NULL {
            break;
        }
        if let Some(place) = tags.get_mut(tag as usize) {
            *place = word(object, object.dynamic + 16 * at + 8)?;
        }
    }
    let tag = |tag: u64| tags.get(tag as usize).copied().unwrap_or(0);
    let tables = [
        (tag(DT_JMPREL), tag(DT_PLTRELSZ)),
        (tag(DT_RELA), tag(DT_RELASZ)),
    ];
    for (table, bytes) in tables {
        for at in (table..table + bytes).step_by(RELOCATION as usize) {
            let (offset, what) = (word(object, at)?, word(object, at + 8)?);
            if !matches!(what & 0xffff_ffff, GLOB_DAT | JUMP_SLOT) {
                continue;
            }
            let symbol = tag(DT_SYMTAB) + SYMBOL * (what >> 32);
            let name = tag(DT_STRTAB) + (word(object, symbol)? & 0xffff_ffff);
            let name = object.bytes_from(name)?;
            let called = CALLS
                .iter()
                .find(|call| name.starts_with(call.to_bytes_with_nul()));
            if let Some(call) = called
                && word(object, object.bias + offset)? == real::next_of(call)? as u64
            {
                return Some(true);
            }
        }
    }
    Some(false)
}

fn word(object: &Object, address: u64) -> Option<u64> {
    let bytes = object.bytes_from(address)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}
