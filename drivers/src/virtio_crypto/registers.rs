//! The registers of a virtio device on PCI (4.1.4.3), and virtio-crypto's own (5.9.5).

use std::time::{Duration, Instant};

use uaccel_queue::{OpenError, Quiet, Region, TransportError};

use super::layout::Layout;
use super::ring::Ring;

/// Offsets in the common structure.
const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const CONFIG_MSIX_VECTOR: usize = 0x10;
const NUM_QUEUES: usize = 0x12;
const DEVICE_STATUS: usize = 0x14;
const CONFIG_GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_MSIX_VECTOR: usize = 0x1a;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY_OFF: usize = 0x1e;
const QUEUE_DESC: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;

/// No interrupt (4.1.5.1.2).
const NO_VECTOR: u16 = 0xffff;

/// Words of the device's own structure that are read, up to the high half of `max_size` (5.9.5).
const WORDS: usize = 14;

bitflags::bitflags! {
    /// How far the two sides have come (2.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct DeviceStatus: u8 {
        /// The driver has seen the device.
        const ACKNOWLEDGE = 1;
        /// The driver knows how to drive it.
        const DRIVER = 2;
        /// The queues are there.
        const DRIVER_OK = 4;
        /// The features are agreed on.
        const FEATURES_OK = 8;
        /// The device has met an error that it cannot recover from.
        const NEEDS_RESET = 64;
        /// The driver has given up.
        const FAILED = 128;
    }
}

bitflags::bitflags! {
    /// Features of any virtio device (6).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Features: u64 {
        /// The device keeps to the specification, not to what was before it.
        const VERSION_1 = 1 << 32;
        /// Its addresses are those that the platform translates.
        const ACCESS_PLATFORM = 1 << 33;
        /// Memory must be ordered as for a device of hardware.
        const ORDER_PLATFORM = 1 << 36;
    }
}

/// The registers of one device.
#[derive(Clone, Debug)]
pub(super) struct Registers {
    region: Region,
    layout: Layout,
}

/// What the device says of a queue before it is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueOffer {
    pub(super) index: u16,
    /// The most descriptors it can have, a power of two.
    pub(super) most: u16,
    /// Where in the region its doorbell is.
    pub(super) doorbell: usize,
}

impl Registers {
    /// Takes over a region; else says why it cannot be.
    pub(super) fn new(region: Region, configuration: &Region) -> Result<Self, String> {
        let layout = Layout::find(configuration)?;
        if !layout.fits(region.len()) {
            return Err(format!("virtio structures beyond the {} bytes of their region: {layout:?}", region.len()));
        }
        Ok(Self { region, layout })
    }

    pub(super) fn len(&self) -> usize {
        self.region.len()
    }

    pub(super) fn status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.region.read8(self.layout.common + DEVICE_STATUS))
    }

    /// Says how far the driver has come. What it has said before stays said (2.1.1).
    pub(super) fn say(&self, more: DeviceStatus) {
        self.set_status(self.status() | more);
    }

    fn set_status(&self, status: DeviceStatus) {
        self.region.write8(self.layout.common + DEVICE_STATUS, status.bits());
    }

    /// Resets the device: when its status reads 0, it interacts with no queue any more (2.4.1, 4.1.4.3.2).
    pub(super) fn reset(&self, within: Duration) -> Quiet {
        /// How often it is looked at meanwhile.
        const LOOK: Duration = Duration::from_millis(1);
        let until = Instant::now() + within;
        self.set_status(DeviceStatus::empty());
        while !self.status().is_empty() {
            if Instant::now() >= until {
                return Quiet::Unproven;
            }
            std::thread::sleep(LOOK);
        }
        Quiet::Proven
    }

    /// Agrees with the device on features (3.1.1): as few as can be.
    pub(super) fn negotiate(&self) -> Result<(), OpenError> {
        let refused = |why: String| OpenError::Transport(TransportError::Refused(why));
        let offered = Features::from_bits_retain(self.features());
        if !offered.contains(Features::VERSION_1) {
            return Err(refused(format!("a virtio device of before version 1: features {:#x}", offered.bits())));
        }
        if !offered.contains(Features::ACCESS_PLATFORM) {
            return Err(refused(format!(
                "the device goes past the IOMMU: features {:#x} lack VIRTIO_F_ACCESS_PLATFORM (QEMU: iommu_platform=on)",
                offered.bits()
            )));
        }
        let accepted = offered & Features::all();
        for half in 0..2 {
            self.write32(DRIVER_FEATURE_SELECT, half);
            #[allow(clippy::cast_possible_truncation, reason = "a half")]
            self.write32(DRIVER_FEATURE, (accepted.bits() >> (32 * half)) as u32);
        }
        self.say(DeviceStatus::FEATURES_OK);
        if !self.status().contains(DeviceStatus::FEATURES_OK) {
            return Err(refused(format!("the device does not work with features {:#x}", accepted.bits())));
        }
        Ok(())
    }

    fn features(&self) -> u64 {
        let half = |number| {
            self.write32(DEVICE_FEATURE_SELECT, number);
            u64::from(self.region.read32(self.layout.common + DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    /// How many queues there are, the control queue included.
    pub(super) fn queues(&self) -> u16 {
        self.region.read16(self.layout.common + NUM_QUEUES)
    }

    /// The device's own structure, in words of 4 bytes, as it is at one time (4.1.4.3.1).
    pub(super) fn device(&self) -> Option<[u32; WORDS]> {
        /// It changes when its cipher comes or goes: seldom.
        const TRIES: usize = 16;
        let generation = || self.region.read8(self.layout.common + CONFIG_GENERATION);
        (0..TRIES).find_map(|_| {
            let before = generation();
            let words = std::array::from_fn(|word| self.region.read32(self.layout.device + 4 * word));
            (generation() == before).then_some(words)
        })
    }

    /// Asks about a queue; `None` if there is no such queue, or its doorbell is elsewhere.
    pub(super) fn queue(&self, index: u16) -> Option<QueueOffer> {
        self.write16(QUEUE_SELECT, index);
        let most = self.region.read16(self.layout.common + QUEUE_SIZE).checked_ilog2()?;
        // 4.1.4.4.
        let off = usize::from(self.region.read16(self.layout.common + QUEUE_NOTIFY_OFF));
        let doorbell = off.checked_mul(self.layout.multiplier)?.checked_add(self.layout.notify.start)?;
        let is_inside = doorbell.checked_add(2)? <= self.layout.notify.end;
        is_inside.then_some(QueueOffer { index, most: 1 << most, doorbell })
    }

    /// Sets up a queue (4.1.5.1.3), whose answers signal or do not. `false` if the device has no interrupt for it.
    #[must_use]
    pub(super) fn enable(&self, queue: QueueOffer, ring: &Ring, signals: bool) -> bool {
        self.write16(QUEUE_SELECT, queue.index);
        self.write16(QUEUE_SIZE, ring.size());
        let vector = if signals { 0 } else { NO_VECTOR };
        self.write16(QUEUE_MSIX_VECTOR, vector);
        if self.region.read16(self.layout.common + QUEUE_MSIX_VECTOR) != vector {
            return false;
        }
        let [descriptors, available, used] = ring.addresses();
        for (place, address) in [(QUEUE_DESC, descriptors), (QUEUE_DRIVER, available), (QUEUE_DEVICE, used)] {
            // In halves, as 4.1.3.1 allows.
            #[allow(clippy::cast_possible_truncation, reason = "a half")]
            self.write32(place, address as u32);
            self.write32(place + 4, (address >> 32) as u32);
        }
        self.write16(QUEUE_ENABLE, 1);
        true
    }

    /// Has the device signal that it has failed, by the data queue's interrupt; where it cannot, nobody is woken for that.
    pub(super) fn signal_failure(&self) {
        self.write16(CONFIG_MSIX_VECTOR, 0);
    }

    /// Has the device take its line back, where interrupts are no messages.
    pub(super) fn acknowledge(&self) {
        if let Some(isr) = self.layout.isr {
            // Reading it does (4.1.4.5).
            let _ = self.region.read8(isr);
        }
    }

    fn write16(&self, offset: usize, value: u16) {
        self.region.write16(self.layout.common + offset, value);
    }

    fn write32(&self, offset: usize, value: u32) {
        self.region.write32(self.layout.common + offset, value);
    }
}
