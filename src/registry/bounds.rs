//! How much is read of what others wrote. What an answer declares about its size is never trusted: reading stops here.

/// Bytes of a manifest, an index or a list of referrers.
pub const MANIFEST: usize = 4 << 20;
/// Children of an index.
pub const CHILDREN: usize = 64;
/// Layers of a manifest.
pub const LAYERS: usize = 1024;
/// Entries that name one manifest as their subject.
pub const REFERRERS: usize = 200;
/// How deep JSON may be nested.
pub const DEPTH: usize = 64;
/// Bytes of an image reference.
pub const REFERENCE: usize = 1024;
/// Bytes of a repository without its host, as registries limit it.
pub const REPOSITORY: usize = 255;
/// Entries in the index of a layout on disk.
pub const LAYOUT_ENTRIES: usize = 1024;
/// Bytes of manifests of a layout that one search for referrers reads.
pub const LAYOUT_SEARCH: usize = 64 << 20;
