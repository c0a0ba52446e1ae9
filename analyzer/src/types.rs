//! Names of types, interned over all processes of a trace.

use rustc_hash::FxHashMap;

/// Index into [`TypeNames`].
pub type TypeId = u32;
/// Nobody looked, or what was seen is no object of a class.
pub const UNKNOWN: TypeId = 0;

/// All names.
#[derive(Debug)]
pub struct TypeNames {
    names: Vec<String>,
    ids: FxHashMap<String, TypeId>,
}

impl Default for TypeNames {
    fn default() -> Self {
        TypeNames {
            names: vec!["unknown".to_owned()],
            ids: FxHashMap::default(),
        }
    }
}

impl TypeNames {
    /// The id of `name`, new or known.
    pub fn id(&mut self, name: &str) -> TypeId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.names.len() as TypeId;
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// What `id` stands for.
    pub fn name(&self, id: TypeId) -> &str {
        self.names
            .get(id as usize)
            .map_or("unknown", String::as_str)
    }
}
