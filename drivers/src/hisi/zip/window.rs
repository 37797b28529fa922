//! How far back references of a compressed text point.

use uaccel_hisi_abi::zip::{Entry, WINDOWS};

/// A window that the engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Window {
    K4 = 0,
    K8 = 1,
    K16 = 2,
    K24 = 3,
    K32 = Entry::LARGEST_WINDOW,
}

impl Window {
    pub(super) const ALL: [Self; WINDOWS.len()] = [Self::K4, Self::K8, Self::K16, Self::K24, Self::K32];

    /// The smallest, in bytes.
    pub(super) const SMALLEST: u32 = Self::K4.bytes();

    const fn bytes(self) -> u32 {
        WINDOWS[self as usize]
    }

    /// The largest that is no larger than what was chosen; `None` if all are.
    pub(super) fn within(chosen: Option<u32>) -> Option<Self> {
        let limit = chosen.unwrap_or(Self::K32.bytes());
        Self::ALL.into_iter().rev().find(|window| window.bytes() <= limit)
    }

    /// As an entry has it.
    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    /// The header of a zlib stream (RFC 1950, 2.2): deflate; the window, of which there are powers of two; the default level; and a check.
    #[allow(clippy::cast_possible_truncation, reason = "numbers of a few bits")]
    pub(super) const fn zlib_header(self) -> [u8; 2] {
        let power = self.bytes().next_power_of_two().trailing_zeros() as u8;
        let (method, flags) = (8 | (power - 8) << 4, 2 << 6);
        let check = 31 - u16::from_be_bytes([method, flags]) % 31;
        [method, flags | check as u8]
    }
}

// What everybody writes.
const _: () = assert!(matches!(Window::K32.zlib_header(), [0x78, 0x9c]));
