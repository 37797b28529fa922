//! Buffers of a job in flight, kept in its slot whatever becomes of the caller.

use std::mem::{self, MaybeUninit};

const WORDS: usize = 12;

/// A value of a forgotten type, kept as raw bytes: moving it as its own type could tell the compiler that nobody else uses its
/// memory, while a device does. Small values are stored in place, large ones on the heap. Dropping this drops nothing; somebody takes, discards or leaks the value.
pub(crate) struct Parked {
    storage: [MaybeUninit<u64>; WORDS],
    discard: Option<unsafe fn(*mut Parked)>,
}

impl Parked {
    /// Bytes of a value that is stored in place.
    pub(crate) const IN_PLACE: usize = size_of::<[u64; WORDS]>();

    pub(crate) const EMPTY: Self = Self { storage: [MaybeUninit::uninit(); WORDS], discard: None };

    /// Stores a value in an empty place. `wipe` runs before the value is dropped unseen.
    pub(crate) fn put<T: Send + 'static + Wipe>(&mut self, value: T) -> *mut T {
        debug_assert!(self.discard.is_none(), "a slot has one set of buffers");
        let place = if Self::fits::<T>() {
            let place = self.storage.as_mut_ptr().cast::<T>();
            // SAFETY: large enough and aligned, by `fits`.
            unsafe { place.write(value) };
            place
        } else {
            let place = Box::into_raw(Box::new(value));
            // SAFETY: a pointer fits into the storage.
            unsafe { self.storage.as_mut_ptr().cast::<*mut T>().write(place) };
            place
        };
        self.discard = Some(discard::<T>);
        place
    }

    /// Takes the value out.
    ///
    /// # Safety
    /// A `T` was put and is still there, and no device uses its memory.
    pub(crate) unsafe fn take<T: Send + 'static>(&mut self) -> T {
        self.discard = None;
        if Self::fits::<T>() {
            // SAFETY: `put` wrote a `T` here, and it is not read again.
            unsafe { self.storage.as_ptr().cast::<T>().read() }
        } else {
            // SAFETY: `put` wrote a pointer from `Box::into_raw` here, and it is not used again.
            *unsafe { Box::from_raw(self.storage.as_ptr().cast::<*mut T>().read()) }
        }
    }

    /// Wipes and drops the value, if there is one.
    ///
    /// # Safety
    /// No device uses its memory.
    pub(crate) unsafe fn discard(&mut self) {
        if let Some(discard) = self.discard {
            // SAFETY: the function belongs to the type that was put.
            unsafe { discard(self) }
        }
    }

    /// Forgets the value: its memory stays for ever. Says whether there was one.
    pub(crate) fn leak(&mut self) -> bool {
        self.discard.take().is_some()
    }

    const fn fits<T>() -> bool {
        size_of::<T>() <= Self::IN_PLACE && mem::align_of::<T>() <= mem::align_of::<u64>()
    }
}

/// What happens to a value that is dropped unseen.
pub(crate) trait Wipe {
    /// Removes secrets.
    fn wipe(&mut self);
}

/// # Safety
/// As for [`Parked::discard`], and a `T` is there.
unsafe fn discard<T: Send + 'static + Wipe>(parked: *mut Parked) {
    // SAFETY: the caller's promise.
    let mut value = unsafe { (*parked).take::<T>() };
    value.wipe();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[expect(dead_code, reason = "only its size and its drop count")]
    struct Counted<const N: usize>(Arc<()>, [u64; N]);

    impl<const N: usize> Wipe for Counted<N> {
        fn wipe(&mut self) {}
    }

    fn counts_right<const N: usize>() {
        let count = Arc::new(());
        let mut parked = Parked::EMPTY;
        parked.put(Counted(count.clone(), [0; N]));
        // SAFETY: just put, and no device.
        let back: Counted<N> = unsafe { parked.take() };
        assert_eq!(Arc::strong_count(&count), 2);
        drop(back);
        parked.put(Counted(count.clone(), [0; N]));
        // SAFETY: no device.
        unsafe { parked.discard() };
        assert_eq!(Arc::strong_count(&count), 1);
        parked.put(Counted(count.clone(), [0; N]));
        assert!(parked.leak());
        assert_eq!(Arc::strong_count(&count), 2, "a leaked value is not dropped");
    }

    #[test]
    fn small_and_large_values_are_dropped_exactly_once_or_leaked() {
        counts_right::<1>();
        counts_right::<100>();
    }
}
