//! What is not seen: connections and libraries.

/// Connections that could not be cut into requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnseenConnections {
    /// `tcp:PORT` or `unix:PATH`.
    pub port: String,
    /// How many.
    pub connections: u64,
    /// Why, and what to do.
    pub reason: String,
}

/// A library with an allocator of its own that is not traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untraced {
    /// Its path.
    pub path: String,
    /// The allocators that are in it; none: its file could not be read.
    pub allocators: Vec<&'static str>,
    /// Mappings that it held when exits began, or at the end.
    pub mappings: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Memory that a module maps to give out parts of it, and of which grows what nobody can be told to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carved {
    /// The module's path.
    pub path: String,
    /// Mappings that were made while serving, and left.
    pub mappings: u64,
    /// Their bytes.
    pub bytes: u64,
}
