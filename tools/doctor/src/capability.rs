//! Extended capabilities of PCI Express functions, as far as they matter to shared addresses and isolation.
//!
//! Layouts are those of the PCI Express Base Specification, by the names and numbers of `linux/pci_regs.h`.

use std::fmt::Write as _;

use bitflags::bitflags;

use crate::tree::{Gap, Tree};

/// Numbers of capabilities (`PCI_EXT_CAP_ID_*`).
const ACS: u16 = 0x0d;
const ATS: u16 = 0x0f;
const PRI: u16 = 0x13;
const PASID: u16 = 0x1b;

/// Where extended capabilities begin.
const EXTENDED: usize = 0x100;
/// What those may read who are not root.
const PUBLIC: usize = 64;

bitflags! {
    /// What a port or function does with transfers between its peers (`PCI_ACS_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Acs: u16 {
        /// Refuses requester ids that are not of this bus.
        const SOURCE_VALIDATION = 0x01;
        /// Sends requests between peers up, to the IOMMU.
        const REQUEST_REDIRECT = 0x04;
        /// The same for completions.
        const COMPLETION_REDIRECT = 0x08;
        /// Passes on what was sent up.
        const UPSTREAM_FORWARDING = 0x10;
    }
}

impl Acs {
    /// What the kernel asks for before it puts two functions into two groups (`REQ_ACS_FLAGS` in its `iommu.c`).
    pub(crate) const ISOLATES: Self = Self::all();
}

/// A feature that must be enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    /// Whether the kernel has enabled it.
    pub(crate) enabled: bool,
}

/// The capabilities of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// Translations by the device itself.
    pub(crate) ats: Option<Feature>,
    /// Page requests.
    pub(crate) pri: Option<Feature>,
    /// Address spaces, with the width of their numbers.
    pub(crate) pasid: Option<(Feature, u8)>,
    /// What it keeps apart: what it could, and what it does.
    pub(crate) acs: Option<(Acs, Acs)>,
    /// Whether it is the upper port of a switch.
    pub(crate) is_upstream: bool,
}

/// Why the capabilities of a function are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// They are shown to root only.
    ToUsers,
    /// The kernel does not reach the part of the configuration space where they are, and so does not use them either.
    ToKernel,
    /// The file cannot be read.
    Unreadable,
}

impl Capabilities {
    /// Reads the configuration space of the function in folder `device`.
    ///
    /// # Errors
    /// Why it does not show.
    pub(crate) fn look(tree: &dyn Tree, device: &str) -> Result<Self, Hidden> {
        let words = tree.text_of(&format!("{device}/config"), condense).map_err(|gap| match gap {
            Gap::Denied => Hidden::ToUsers,
            _ => Hidden::Unreadable,
        })?;
        match words.as_str() {
            HIDDEN => return Err(Hidden::ToUsers),
            SHORT => return Err(Hidden::ToKernel),
            _ => {}
        }
        let mut found = Self { is_upstream: words.lines().any(|line| line == UPSTREAM), ..Self::default() };
        for line in words.lines() {
            let mut words = line.split_whitespace().filter_map(|word| u32::from_str_radix(word, 16).ok());
            let (Some(id), Some(word)) = (words.next(), words.next()) else { continue };
            let (low, high) = halves(word);
            match u16::try_from(id) {
                // Capability in the low half, control in the high one.
                Ok(ATS) => found.ats = Some(Feature { enabled: high >> 15 & 1 == 1 }),
                Ok(PASID) => {
                    // PCI_PASID_CAP_WIDTH, five bits.
                    let width = (word >> 8 & 0x1f) as u8;
                    found.pasid = Some((Feature { enabled: high & 1 == 1 }, width));
                }
                Ok(ACS) => found.acs = Some((Acs::from_bits_truncate(low), Acs::from_bits_truncate(high))),
                // Control in the low half, status in the high one.
                Ok(PRI) => found.pri = Some(Feature { enabled: low & 1 == 1 }),
                _ => {}
            }
        }
        Ok(found)
    }
}

impl Capabilities {
    /// Whether a bridge sends transfers between the devices below it up to the IOMMU. The upper port of a switch has nothing to send up: its
    /// lower ports do.
    #[must_use]
    pub(crate) fn isolates(&self) -> bool {
        self.is_upstream || self.acs.is_some_and(|(_, does)| does.contains(Acs::ISOLATES))
    }
}

fn halves(word: u32) -> (u16, u16) {
    ((word & 0xffff) as u16, (word >> 16) as u16)
}

/// What is written down of the upper port of a switch.
const UPSTREAM: &str = "upstream";

/// What is written down where capabilities are shown to root only.
const HIDDEN: &str = "hidden";

/// What is written down where the kernel reaches no extended capabilities of a function that may have some.
const SHORT: &str = "short";

/// `PCI_EXP_TYPE_UPSTREAM`: the upper port of a switch.
const UPSTREAM_PORT: u8 = 5;

/// What kind of port or device a function on PCI Express is; none if it is on conventional PCI. The PCI Express capability
/// (`PCI_CAP_ID_EXP`) says so.
fn port(space: &[u8]) -> Option<u8> {
    const EXPRESS: u8 = 0x10;
    let byte = |offset: usize| space.get(offset).copied();
    // The first one's place stands at 34h; each has its number, the next one's place, and what it is about.
    let mut offset = byte(0x34).unwrap_or(0);
    for _ in 0..EXTENDED / 4 {
        let place = usize::from(offset & !3);
        let (id, next) = (byte(place)?, byte(place + 1)?);
        if place < PUBLIC {
            return None;
        }
        if id == EXPRESS {
            // PCI_EXP_FLAGS_TYPE, bits 7:4 of the word at offset 2.
            return byte(place + 2).map(|flags| flags >> 4);
        }
        offset = next;
    }
    None
}

/// Of a configuration space, one line for each capability that is looked at: its number and the word after its header, hexadecimal.
fn condense(space: &[u8]) -> Vec<u8> {
    if space.len() <= PUBLIC {
        return HIDDEN.into();
    }
    let word = |offset: usize| Some(u32::from_le_bytes(space.get(offset..offset + 4)?.try_into().ok()?));
    let mut lines = String::new();
    let port = port(space);
    if port.is_some() && space.len() <= EXTENDED {
        return SHORT.into();
    }
    if port == Some(UPSTREAM_PORT) {
        let _ = writeln!(lines, "{UPSTREAM}");
    }
    let mut offset = EXTENDED;
    // The list lies in 4 KiB, in steps of at least 8 bytes: a longer walk goes in a circle.
    for _ in 0..(0x1000 - EXTENDED) / 8 {
        let Some(header) = word(offset) else { break };
        let (id, _) = halves(header);
        if [ACS, ATS, PRI, PASID].contains(&id)
            && let Some(word) = word(offset + 4)
        {
            // Writing to a text cannot fail.
            let _ = writeln!(lines, "{id:04x} {word:08x}");
        }
        // Bits 31:20; the lowest two are reserved.
        offset = (header >> 20 & 0xffc) as usize;
        if offset < EXTENDED {
            break;
        }
    }
    lines.into_bytes()
}
