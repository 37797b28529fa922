//! The order of stores to memory and to device registers.

/// What this thread stored in memory before is visible to a device that notices a register store after this.
#[inline]
pub(crate) fn before_device() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier. Registers are device memory, outside of the domain that the language's fences are about.
    unsafe {
        std::arch::asm!("dmb oshst", options(nostack, preserves_flags));
    }
    // Elsewhere (x86: stores are seen in their order, those to uncached memory too) the compiler must keep the order, and others are asked for more.
    #[cfg(not(target_arch = "aarch64"))]
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}
