//! The control page: what the kernel side alone maps (section 8.4).

/// The version of the control page that this crate describes.
pub const CONTROL_VERSION: u32 = 1;

/// The identification register of a control page of this version: "WCTL" in the low half, the version in the high half.
#[must_use]
pub const fn control_ident(version: u32) -> u64 {
    u32::from_le_bytes(*b"WCTL") as u64 | (version as u64) << 32
}

/// Byte offsets of the 64-bit registers in the control page, and what of them can be computed.
pub mod control_page {
    /// Bytes of the page.
    pub const SIZE: usize = 4096;
    /// Identification, see [`control_ident`](super::control_ident).
    pub const IDENT: usize = 0x00;
    /// Queues, in 15:0.
    pub const QUEUES: usize = 0x08;
    /// Doorbell: 1 revokes every queue, and no page request waits for its answer any more. Reads 0 when the engine touches no memory any more.
    pub const RESET: usize = 0x10;
    /// Address translations asked for since power-on.
    pub const TRANSLATIONS: usize = 0x20;
    /// Page requests sent.
    pub const PAGE_REQUESTS: usize = 0x28;
    /// Page requests answered with success.
    pub const PAGE_REQUESTS_GRANTED: usize = 0x30;
    /// Page requests answered otherwise, or that could not be sent.
    pub const PAGE_REQUESTS_REFUSED: usize = 0x38;
    /// Invalidations received.
    pub const INVALIDATIONS: usize = 0x40;
    /// Doorbell of queue 0, see [`Assignment`](crate::Assignment); those of the others follow in steps of [`STRIDE`].
    pub const ASSIGN: usize = 0x400;
    /// State of queue 0, laid out as the state word of ring memory ([`State`](crate::State)).
    pub const QUEUE_STATE: usize = 0x408;
    /// From one queue's registers to the next one's.
    pub const STRIDE: usize = 32;
    /// The most queues an engine can have.
    pub const MAX_QUEUES: usize = 64;

    /// Offset of the assign register of queue `queue`.
    #[must_use]
    pub const fn assign(queue: usize) -> usize {
        ASSIGN + queue * STRIDE
    }

    /// Offset of the state register of queue `queue`.
    #[must_use]
    pub const fn queue_state(queue: usize) -> usize {
        QUEUE_STATE + queue * STRIDE
    }

    /// The queue whose registers begin at or before `offset`, and which byte of them it is; `None` outside of the queues' part.
    #[must_use]
    pub const fn queue_of(offset: usize) -> Option<(usize, usize)> {
        if offset < ASSIGN || offset >= assign(MAX_QUEUES) {
            return None;
        }
        Some(((offset - ASSIGN) / STRIDE, (offset - ASSIGN) % STRIDE))
    }
}

/// The counters end before the queues begin, the queues end with the page, and a user page is as large as a page of the bar.
const _: () = {
    assert!(control_page::INVALIDATIONS + 8 <= control_page::ASSIGN);
    assert!(control_page::assign(control_page::MAX_QUEUES) <= control_page::SIZE);
    assert!(control_page::queue_state(0) + 8 <= control_page::assign(1));
    assert!(control_page::SIZE == crate::user_page::SIZE);
};
