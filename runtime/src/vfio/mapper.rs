//! What makes memory reachable: the kernel, or what stands in for it.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

/// The mappings of one address space of a device. Dropping it ends all of them.
pub trait Mapper: fmt::Debug + Send + Sync {
    /// What can be mapped.
    ///
    /// # Errors
    /// What the kernel says.
    fn reach(&self) -> io::Result<Reach>;

    /// Pins memory of this process, and maps it for the device under `iova`. All are multiples of [`Reach::page`], and nothing of it is mapped.
    ///
    /// # Errors
    /// `EFAULT` if there is no such memory, or it cannot be written; `ENOMEM` if no more can be pinned; `ENOSPC` if no more mappings can be made.
    fn map(&self, iova: u64, start: usize, len: usize, write: bool) -> io::Result<()>;

    /// Ends one mapping, as it was made. When this returns, the device does not reach the memory any more.
    ///
    /// # Errors
    /// What the kernel says.
    fn unmap(&self, iova: u64, len: usize) -> io::Result<()>;
}

/// What can be mapped for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Addresses that the device can use.
    pub ranges: Vec<RangeInclusive<u64>>,
    /// The smallest piece that can be mapped, in bytes.
    pub page: usize,
    /// How many more mappings can be made, where there is a limit.
    pub left: Option<u64>,
}

impl Reach {
    /// All addresses of so many bits.
    pub(super) fn of_bits(address_bits: u32) -> Self {
        Self { ranges: vec![0..=u64::MAX], page: 1, left: None }.narrowed(address_bits)
    }

    /// Whether this process's addresses are within, as far as they are in use: a stack is at their upper end.
    pub(super) fn has_process(&self) -> bool {
        let local = 0_u8;
        self.first_outside((&raw const local).addr() as u64, 1).is_none()
    }

    /// What is left of it for a device that passes on so many bits of an address.
    pub(super) fn narrowed(mut self, address_bits: u32) -> Self {
        let last = u64::MAX.checked_shr(u64::BITS.saturating_sub(address_bits)).unwrap_or(0);
        self.ranges.retain(|range| *range.start() <= last);
        self.ranges.iter_mut().for_each(|range| *range = *range.start()..=last.min(*range.end()));
        self
    }

    /// The first of `len` addresses from `start` on that is not within reach.
    pub(super) fn first_outside(&self, start: u64, len: u64) -> Option<u64> {
        let mut at = start;
        let last = start.checked_add(len.checked_sub(1)?)?;
        while let Some(range) = self.ranges.iter().find(|range| range.contains(&at)) {
            if *range.end() >= last {
                return None;
            }
            at = range.end() + 1;
        }
        Some(at)
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, range) in self.ranges.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{:#x} to {:#x}", range.start(), range.end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_few_bits_reaches_what_they_name() {
        let reach = Reach { ranges: vec![0..=0xfff, 0x1000_0000..=u64::MAX], page: 4096, left: None };
        assert_eq!(reach.clone().narrowed(64), reach);
        assert_eq!(reach.clone().narrowed(29).ranges, [0..=0xfff, 0x1000_0000..=0x1fff_ffff]);
        assert_eq!(reach.clone().narrowed(28).ranges, [0..=0xfff]);
        assert_eq!(reach.narrowed(0).ranges, [0..=0]);
    }

    #[test]
    fn holes_are_outside_and_ranges_side_by_side_are_not() {
        let reach = Reach { ranges: vec![0..=0xfff, 0x1000..=0x1fff, 0x4000..=u64::MAX], page: 4096, left: None };
        assert_eq!(reach.first_outside(0xff0, 0x20), None);
        assert_eq!(reach.first_outside(0x1ff0, 0x11), Some(0x2000));
        assert_eq!(reach.first_outside(0x3000, 1), Some(0x3000));
        assert_eq!(reach.first_outside(0x3000, 0), None);
        assert_eq!(reach.first_outside(u64::MAX, 1), None);
        assert_eq!(reach.to_string(), "0x0 to 0xfff, 0x1000 to 0x1fff, 0x4000 to 0xffffffffffffffff");
    }
}
