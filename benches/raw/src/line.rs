//! A value with cache lines of its own.

/// Keeps its content away from the neighbours': 128 bytes, because some CPUs fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);
