//! Ways from a process to a device, and what addresses mean on each.

use serde::Serialize;

/// A way that leads to a device, or why it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Road {
    /// Which one.
    pub road: &'static str,
    /// How addresses in jobs reach memory there; `docs/address-modes.md` has what that means.
    pub address_mode: &'static str,
    /// Devices that this user can use that way now, as far as was found.
    pub devices: Vec<String>,
}
