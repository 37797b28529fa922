//! Hints to the processor's caches: nothing that can be read changes by them, and an address that cannot be accessed does no harm. On other processors than x86-64 and AArch64
//! they do nothing.

/// Asks for the line at `address`, which will be read soon.
#[inline(always)]
pub fn for_read<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: it accesses no memory and faults on no address (AMD64 Architecture Programmer's Manual, volume 3, PREFETCHlevel).
    unsafe {
        core::arch::asm!("prefetcht0 byte ptr [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: it accesses no memory and faults on no address (Arm Architecture Reference Manual, C6.2, PRFM).
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = address;
}

/// Asks for the line at `address`, which will be written soon.
///
/// The compiler's own hint is one for reading, unless it builds for a processor that is known to have another; and a line that was fetched for reading has to be
/// asked for again.
#[inline(always)]
pub fn for_write<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: it accesses no memory and faults on no address (AMD64 Architecture Programmer's Manual, volume 3, PREFETCHW); processors without it do nothing.
    unsafe {
        core::arch::asm!("prefetchw byte ptr [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: it accesses no memory and faults on no address (Arm Architecture Reference Manual, C6.2, PRFM).
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = address;
}
