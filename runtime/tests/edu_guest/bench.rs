//! The device on the bench.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use uaccel_drivers::edu::EduFunction;
use uaccel_runtime::vfio::VfioBus;
use uaccel_runtime::{AddressMode, Builder, Fallback, Runtime};

use crate::root;

/// Vendor and device on the PCI bus: `docs/specs/edu.rst` of QEMU.
pub(crate) const FUNCTION: (&str, &str) = ("0x1234", "0x11e8");

/// Jobs of the largest size take the device seven seconds each.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// The name of the device.
pub(crate) fn device() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("vfio-{}", root::handed().id));
    &NAME
}

/// The bits of an address that the device was started with, by the variable `UACCEL_TEST_ADDRESS_BITS`; QEMU's default, without.
fn address_bits() -> u32 {
    std::env::var("UACCEL_TEST_ADDRESS_BITS").map_or(28, |bits| bits.parse().expect("a number of bits"))
}

/// How its addresses reach memory.
pub(crate) fn mode() -> AddressMode {
    if address_bits() == 64 { AddressMode::IdentityPinned } else { AddressMode::Bounced }
}

/// The bus, told how wide its addresses are.
pub(crate) fn bus() -> VfioBus {
    VfioBus::new().with_function(Arc::new(EduFunction::with_address_bits(address_bits())))
}

/// A runtime on the device that never falls back.
pub(crate) fn runtime() -> Runtime {
    let builder: Builder = Runtime::builder().bus(Arc::new(bus())).device(device());
    builder.fallback(Fallback::Never).deadline(PATIENCE).depth(8).build().expect("the device opens")
}
