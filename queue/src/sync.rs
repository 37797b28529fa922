//! The one door to atomics and shared cells, so that the model checker can stand in for them.
//!
//! Built with `--cfg loom` every lock-free part of the project runs on loom's types; otherwise these are the standard ones.

#[cfg(not(loom))]
pub use core::sync::atomic;
#[cfg(loom)]
pub use loom::sync::atomic;

/// A cell whose accesses loom can check; a plain [`core::cell::UnsafeCell`] otherwise.
#[cfg(not(loom))]
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct SharedCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> SharedCell<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer for reading. The caller keeps writers away while `f` uses it.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer for writing. The caller keeps everybody else away while `f` uses it.
    #[inline(always)]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

#[cfg(loom)]
#[allow(clippy::unsafe_removed_from_name, reason = "its accesses are closures here; the unsafe part is in them")]
pub use loom::cell::UnsafeCell as SharedCell;
