//! The assign register of a queue (section 8.4).

/// To which address space a queue belongs: the assign register.
///
/// | bits | field |
/// | --- | --- |
/// | 19:0 | PASID |
/// | 59:20 | reserved, 0 |
/// | 60 | read only: page requests that were sent before the queue was revoked are not answered yet |
/// | 61 | the function's own address space: accesses carry no PASID, and 19:0 are 0 |
/// | 62 | read only: the engine may still touch memory for this queue |
/// | 63 | assigned |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The address space the queue is assigned to; `None` for a queue that is revoked.
    pub space: Option<Space>,
    /// Whether the engine may still touch memory for the queue.
    pub busy: bool,
    /// Whether page requests that were sent before the queue was revoked are not answered yet.
    pub awaits_pages: bool,
}

/// What a queue's memory accesses carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// No PASID: the address space of the function itself. PASID 0 is another one.
    Own,
    /// This PASID.
    Pasid(u32),
}

/// Why a value cannot be written to an assign register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// Bits that a host must leave 0 are set.
    #[error("assign register cannot take {0:#x}: reserved bits are set")]
    Reserved(u64),
    /// The PASID has more than 20 bits.
    #[error("PASID {0:#x} has more than 20 bits")]
    Pasid(u32),
}

impl Assignment {
    /// The bit that says that the queue is assigned.
    pub const ASSIGNED: u64 = 1 << 63;
    /// The bit that says that the engine may still touch memory for the queue.
    pub const BUSY: u64 = 1 << 62;
    /// The bit that says that page requests that were sent before the queue was revoked are not answered yet.
    pub const AWAITS_PAGES: u64 = 1 << 60;
    /// The bit that says that the queue's accesses carry no PASID.
    pub const WITHOUT_PASID: u64 = 1 << 61;
    /// The bits of the PASID (PCI Express Base Specification 6.20: a PASID has at most 20 bits).
    pub const PASID_MASK: u64 = 0xf_ffff;

    /// A queue that belongs to nobody.
    pub const REVOKED: Self = Self { space: None, busy: false, awaits_pages: false };

    /// A queue that belongs to the function's own address space.
    pub const OWN: Self = Self { space: Some(Space::Own), ..Self::REVOKED };

    /// The assignment to an address space by PASID.
    ///
    /// # Errors
    /// [`AssignmentError::Pasid`] if `pasid` has more than 20 bits.
    pub const fn to(pasid: u32) -> Result<Self, AssignmentError> {
        if pasid as u64 & !Self::PASID_MASK != 0 {
            return Err(AssignmentError::Pasid(pasid));
        }
        Ok(Self { space: Some(Space::Pasid(pasid)), ..Self::REVOKED })
    }

    /// The register's value. Of a PASID only the low 20 bits are taken.
    #[must_use]
    pub const fn encode(self) -> u64 {
        let space = match self.space {
            Some(Space::Own) => Self::ASSIGNED | Self::WITHOUT_PASID,
            Some(Space::Pasid(pasid)) => Self::ASSIGNED | pasid as u64 & Self::PASID_MASK,
            None => 0,
        };
        let busy = if self.busy { Self::BUSY } else { 0 };
        let awaits_pages = if self.awaits_pages { Self::AWAITS_PAGES } else { 0 };
        space | busy | awaits_pages
    }

    /// Reads the register.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "masked to 20 bits")]
    pub const fn decode(value: u64) -> Self {
        let space = if value & Self::ASSIGNED == 0 {
            None
        } else if value & Self::WITHOUT_PASID != 0 {
            Some(Space::Own)
        } else {
            Some(Space::Pasid((value & Self::PASID_MASK) as u32))
        };
        Self { space, busy: value & Self::BUSY != 0, awaits_pages: value & Self::AWAITS_PAGES != 0 }
    }

    /// Reads a value that a host wrote to the register.
    ///
    /// # Errors
    /// [`AssignmentError::Reserved`] if bits are set that a host must leave 0: a PASID without bit 63, or with bit 61, included.
    pub const fn from_write(value: u64) -> Result<Self, AssignmentError> {
        let allowed = match (value & Self::ASSIGNED != 0, value & Self::WITHOUT_PASID != 0) {
            (false, _) => 0,
            (true, false) => Self::ASSIGNED | Self::PASID_MASK,
            (true, true) => Self::ASSIGNED | Self::WITHOUT_PASID,
        };
        if value & !allowed != 0 {
            return Err(AssignmentError::Reserved(value));
        }
        Ok(Self::decode(value))
    }
}
