//! Where a device's registers are, by the capabilities in its configuration space.

use std::ops::Range;

use uaccel_queue::Region;

/// Offsets in configuration space, and the bit that says that there are capabilities (PCI Local Bus Specification 6.2.3, 6.7).
const STATUS: usize = 0x06;
const CAPABILITIES: u16 = 1 << 4;
const FIRST: usize = 0x34;
/// A vendor's own capability (PCI Local Bus Specification, appendix H).
const VENDOR: u8 = 0x09;
/// More capabilities than configuration space has room for.
const MOST: usize = 48;

/// The kinds of structures (4.1.4).
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;

/// Bytes of the common structure up to the queues' addresses (4.1.4.3), and of what is read of the device's own (5.9.5).
const COMMON_LEN: usize = 56;
const DEVICE_LEN: usize = 56;

/// Where the structures are, all in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The number of the region: the base address register.
    pub(super) region: u8,
    /// The common structure (4.1.4.3).
    pub(super) common: usize,
    /// The device's own (4.1.4.6).
    pub(super) device: usize,
    /// The queues' doorbells (4.1.4.4).
    pub(super) notify: Range<usize>,
    /// How far apart those are.
    pub(super) multiplier: usize,
}

/// One capability (4.1.4).
struct Structure {
    kind: u8,
    region: u8,
    bytes: Range<usize>,
    multiplier: u32,
}

impl Layout {
    /// What configuration space says; else what is wrong with it.
    pub(super) fn find(configuration: &Region) -> Result<Self, String> {
        let structures = structures(configuration);
        // The first that can be used is to be taken (4.1.4.1).
        let find = |kind, len, align| {
            let fits = |s: &&Structure| s.kind == kind && s.bytes.len() >= len && s.bytes.start.is_multiple_of(align);
            structures.iter().find(fits).ok_or_else(|| format!("no usable virtio structure of kind {kind}"))
        };
        let (common, notify, device) =
            (find(COMMON, COMMON_LEN, 4)?, find(NOTIFY, 2, 2)?, find(DEVICE, DEVICE_LEN, 4)?);
        if notify.region != common.region || device.region != common.region {
            let regions = [common.region, notify.region, device.region];
            return Err(format!("virtio structures in several regions, {regions:?}"));
        }
        // Addresses of doorbells of 16 bits: even, or all the same (4.1.4.4.1).
        let multiplier = usize::try_from(notify.multiplier).ok().filter(|multiplier| multiplier.is_multiple_of(2));
        Ok(Self {
            region: common.region,
            common: common.bytes.start,
            device: device.bytes.start,
            notify: notify.bytes.clone(),
            multiplier: multiplier.ok_or_else(|| format!("doorbells {} bytes apart", notify.multiplier))?,
        })
    }

    /// Whether the structures lie in a region of `len` bytes.
    pub(super) fn fits(&self, len: usize) -> bool {
        let ends = [Some(self.notify.end), self.common.checked_add(COMMON_LEN), self.device.checked_add(DEVICE_LEN)];
        ends.into_iter().all(|end| end.is_some_and(|end| end <= len))
    }
}

/// Virtio's capabilities, in their order, as far as they can be read.
fn structures(configuration: &Region) -> Vec<Structure> {
    let byte = |offset: usize| (offset < configuration.len()).then(|| configuration.read8(offset));
    let word = |offset: usize| {
        let bytes = [byte(offset)?, byte(offset + 1)?, byte(offset + 2)?, byte(offset + 3)?];
        Some(u32::from_le_bytes(bytes))
    };
    let structure = |at: usize| {
        let start = usize::try_from(word(at + 8)?).ok()?;
        let end = start.checked_add(usize::try_from(word(at + 12)?).ok()?)?;
        Some(Structure { kind: byte(at + 3)?, region: byte(at + 4)?, bytes: start..end, multiplier: word(at + 16)? })
    };
    let mut found = Vec::new();
    if configuration.len() < FIRST + 4 || configuration.read16(STATUS) & CAPABILITIES == 0 {
        return found;
    }
    // The two low bits are reserved. A list that runs in a circle ends, too.
    let mut at = byte(FIRST);
    for _ in 0..MOST {
        let Some(here) = at.map(|at| usize::from(at & !3)).filter(|here| *here != 0) else { break };
        if byte(here) == Some(VENDOR) {
            // Other regions than the six are reserved, and to be passed over.
            found.extend(structure(here).filter(|structure| structure.region < 6));
        }
        at = byte(here + 1);
    }
    found
}
