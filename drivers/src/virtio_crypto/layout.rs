//! Where a device's registers are, by the capabilities in its configuration space.

use std::ops::Range;

use uaccel_queue::Region;

/// Offsets in configuration space, and the bit that says that there are capabilities (PCI Local Bus Specification 6.2.3, 6.7).
const STATUS: usize = 0x06;
const CAPABILITIES: u16 = 1 << 4;
const FIRST: usize = 0x34;
/// A vendor's own capability (PCI Local Bus Specification, appendix H).
const VENDOR: u8 = 0x09;
/// Interrupts as messages, where in the capability its control word is, and the bit that says that they are used (PCI Local Bus Specification 6.8.2).
const MSIX: u8 = 0x11;
const MSIX_CONTROL: usize = 2;
const MSIX_ENABLE: u16 = 1 << 15;
/// More capabilities than configuration space has room for.
const MOST: usize = 48;

/// The kinds of structures (4.1.4).
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const ISR: u8 = 3;
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
    /// Why its line is asserted (4.1.4.5); `None` where interrupts are messages, and nobody is to ask.
    pub(super) isr: Option<usize>,
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
    multiplier: usize,
}

impl Layout {
    /// What configuration space says; else what is wrong with it.
    pub(super) fn find(configuration: &Region) -> Result<Self, String> {
        let capabilities = capabilities(configuration);
        let structures: Vec<_> = capabilities.iter().filter_map(|at| structure(configuration, *at)).collect();
        let uses_messages = capabilities.iter().any(|at| {
            let control = byte(configuration, at + MSIX_CONTROL).zip(byte(configuration, at + MSIX_CONTROL + 1));
            let control = control.map_or(0, |(low, high)| u16::from_le_bytes([low, high]));
            byte(configuration, *at) == Some(MSIX) && control & MSIX_ENABLE != 0
        });
        // The first that can be used is to be taken (4.1.4.1).
        let find = |kind, len, align| {
            let fits = |s: &&Structure| s.kind == kind && s.bytes.len() >= len && s.bytes.start.is_multiple_of(align);
            structures.iter().find(fits).ok_or_else(|| format!("no usable virtio structure of kind {kind}"))
        };
        let (common, notify, device) =
            (find(COMMON, COMMON_LEN, 4)?, find(NOTIFY, 2, 2)?, find(DEVICE, DEVICE_LEN, 4)?);
        let isr = find(ISR, 1, 1)?;
        let regions = [common.region, notify.region, isr.region, device.region];
        if regions.iter().any(|region| *region != common.region) {
            return Err(format!("virtio structures in several regions, {regions:?}"));
        }
        // Addresses of doorbells of 16 bits: even, or all the same (4.1.4.4.1).
        if !notify.multiplier.is_multiple_of(2) {
            return Err(format!("doorbells {} bytes apart", notify.multiplier));
        }
        Ok(Self {
            region: common.region,
            common: common.bytes.start,
            device: device.bytes.start,
            isr: (!uses_messages).then_some(isr.bytes.start),
            notify: notify.bytes.clone(),
            multiplier: notify.multiplier,
        })
    }

    /// Whether the structures lie in a region of `len` bytes.
    pub(super) fn fits(&self, len: usize) -> bool {
        let ends = [
            Some(self.notify.end),
            self.common.checked_add(COMMON_LEN),
            self.device.checked_add(DEVICE_LEN),
            self.isr.map_or(Some(0), |isr| isr.checked_add(1)),
        ];
        ends.into_iter().all(|end| end.is_some_and(|end| end <= len))
    }
}

fn byte(configuration: &Region, offset: usize) -> Option<u8> {
    (offset < configuration.len()).then(|| configuration.read8(offset))
}

/// The structure that a capability describes, if it is one of virtio's and can be read.
fn structure(configuration: &Region, at: usize) -> Option<Structure> {
    let byte = |offset| byte(configuration, at + offset);
    let word = |offset: usize| {
        let bytes = [byte(offset)?, byte(offset + 1)?, byte(offset + 2)?, byte(offset + 3)?];
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    if byte(0)? != VENDOR {
        return None;
    }
    let start = word(8)?;
    let bytes = start..start.checked_add(word(12)?)?;
    let structure = Structure { kind: byte(3)?, region: byte(4)?, bytes, multiplier: word(16)? };
    // Other regions than the six are reserved, and to be passed over.
    (structure.region < 6).then_some(structure)
}

/// Where capabilities are, in their order.
fn capabilities(configuration: &Region) -> Vec<usize> {
    let mut found = Vec::new();
    if configuration.len() < FIRST + 4 || configuration.read16(STATUS) & CAPABILITIES == 0 {
        return found;
    }
    // The two low bits are reserved. A list that runs in a circle ends, too.
    let mut at = byte(configuration, FIRST);
    while let Some(here) = at.map(|at| usize::from(at & !3)).filter(|here| *here != 0 && found.len() < MOST) {
        found.push(here);
        at = byte(configuration, here + 1);
    }
    found
}
