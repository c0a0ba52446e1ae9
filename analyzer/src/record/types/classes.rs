//! C++ classes: the vtable pointer at a block's start leads to the type_info, and that to the name,
//! in stripped files, too (Itanium C++ ABI).
//!
//! Exact: the type_info must be of one of the ABI's own classes, which is itself told by name; a block
//! that begins with anything else has no class here.

use rustc_hash::FxHashMap;

use super::memory::{Memory, Unreadable};
use crate::symbols::full_name;

/// The type_infos of classes, by the names of their own classes.
const CLASS_INFOS: [&[u8]; 3] = [
    b"N10__cxxabiv117__class_type_infoE",
    b"N10__cxxabiv120__si_class_type_infoE",
    b"N10__cxxabiv121__vmi_class_type_infoE",
];
/// Bytes of a mangled name, at most.
const MAX_NAME: usize = 2048;

/// Where the modules of a process lie.
pub(super) type Modules = [(u64, u64)];

/// What vtables are known of a process, as long as its modules stay.
#[derive(Debug, Default)]
pub(super) struct Classes {
    by_vtable: FxHashMap<u64, Option<String>>,
    /// Vtables of type_infos: whether a class's.
    infos: FxHashMap<u64, bool>,
}

impl Classes {
    /// The name of the class whose vtable pointer is `vtable`, if it is one.
    pub(super) fn name(
        &mut self,
        memory: &Memory,
        modules: &Modules,
        vtable: u64,
    ) -> Result<Option<&str>, Unreadable> {
        if !in_module(modules, vtable) {
            return Ok(None);
        }
        if !self.by_vtable.contains_key(&vtable) {
            let name = self.look(memory, modules, vtable)?;
            self.by_vtable.insert(vtable, name);
        }
        Ok(self.by_vtable.get(&vtable).and_then(Option::as_deref))
    }

    /// A module is gone: others may come to lie there.
    pub(super) fn forget(&mut self) {
        *self = Classes::default();
    }

    fn look(
        &mut self,
        memory: &Memory,
        modules: &Modules,
        vtable: u64,
    ) -> Result<Option<String>, Unreadable> {
        let Some(before) = vtable.checked_sub(16) else {
            return Ok(None);
        };
        // A block begins with the vtable of the whole object, not with that of a part within.
        let [to_top, info] = memory.word(before)?;
        if to_top != 0 || !in_module(modules, info) {
            return Ok(None);
        }
        let [kind, name] = memory.word(info)?;
        if !in_module(modules, name) || !self.is_class_info(memory, modules, kind)? {
            return Ok(None);
        }
        let name = memory.string(name, MAX_NAME)?;
        Ok(name.and_then(|name| readable(&name)))
    }

    /// Whether type_infos with this vtable pointer are those of classes.
    fn is_class_info(
        &mut self,
        memory: &Memory,
        modules: &Modules,
        kind: u64,
    ) -> Result<bool, Unreadable> {
        if let Some(known) = self.infos.get(&kind) {
            return Ok(*known);
        }
        let mut is = false;
        if let Some(before) = kind.checked_sub(8).filter(|_| in_module(modules, kind)) {
            let [info] = memory.word(before)?;
            let [_, name] = memory.word(info)?;
            let name = memory.string(name, MAX_NAME)?.unwrap_or_default();
            is = CLASS_INFOS.contains(&name.as_slice());
        }
        self.infos.insert(kind, is);
        Ok(is)
    }
}

fn in_module(modules: &Modules, address: u64) -> bool {
    let mut modules = modules.iter();
    modules.any(|(start, end)| (*start..*end).contains(&address))
}

/// A type_info's name as in the source.
fn readable(mangled: &[u8]) -> Option<String> {
    // A star: the name is compared by its address, as of classes in anonymous namespaces.
    let name = mangled.strip_prefix(b"*").unwrap_or(mangled);
    let symbol = format!("_ZTS{}", str::from_utf8(name).ok()?);
    let text = full_name(&symbol);
    Some(text.strip_prefix("typeinfo name for ")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_in_the_source() {
        let names = [
            ("N4city15FloatingVehicleE", "city::FloatingVehicle"),
            ("7Vehicle", "Vehicle"),
            ("*N12_GLOBAL__N_13BoxE", "(anonymous namespace)::Box"),
            ("3BoxIiE", "Box<int>"),
        ];
        for (mangled, name) in names {
            assert_eq!(readable(mangled.as_bytes()).as_deref(), Some(name));
        }
        assert_eq!(readable(b""), None);
        assert_eq!(readable(b"\xff\xfe"), None);
    }
}
