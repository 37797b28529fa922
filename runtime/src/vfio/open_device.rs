//! A device that this process holds as a whole, shared by its queues.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use uaccel_drivers::function::{Control, Function};
use uaccel_queue::{Quiet, Region, RegionKind, TransportError};

use super::interrupts::Interrupts;
use super::road::Road;
use super::space::{Space, Spaces};
use super::watch;
use crate::sys::device_map::DeviceMap;
use crate::sys::fork_mark::ForkMark;
use crate::sys::signal::Bell;
use crate::sys::vfio::device::VfioDevice;
use crate::sys::vfio::iommufd;

/// How long a device may take to let go of a queue when nobody has said how long.
pub(super) const STEP: Duration = Duration::from_secs(1);

/// A device in use. Dropping it gives it back; the kernel forbids it to access memory then.
#[derive(Debug)]
pub(super) struct OpenDevice {
    pub(super) name: String,
    /// Before all else that it may touch: closing it takes the device off the bus.
    device: VfioDevice,
    /// Shared while one queue is given or taken, exclusive while that is done with all of them: so whoever is told that the device is lost, or has failed, is
    /// told so only when it touches nothing any more.
    control: RwLock<Box<dyn Control>>,
    registers: Arc<DeviceMap>,
    /// What the device said of itself when it was opened and its interrupts were connected.
    pub(super) configuration: Region,
    /// Rung by the interrupt of each queue.
    pub(super) bells: Vec<Bell>,
    interrupts: Interrupts,
    queues: Mutex<Vec<Place>>,
    /// Queues that were taken away because the device has failed.
    failed: Vec<AtomicBool>,
    /// Whether the device went back, or was found to be gone. That is for good.
    lost: AtomicBool,
    /// The address space that queues work in that want none for themselves.
    pub(super) space: Arc<Space>,
    /// Where others come from, if there can be any.
    spaces: Option<Spaces>,
    /// The others, by PASID.
    apart: Mutex<BTreeMap<u32, Weak<Space>>>,
    pub(super) road: Road,
    /// Told to end with this.
    events: Arc<watch::Events>,
    pub(super) fork: ForkMark,
}

/// A device as a road gives it: open, with memory that can be mapped for it, and not in use yet.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) device: VfioDevice,
    pub(super) space: Space,
    /// Where other address spaces come from, if there can be any.
    pub(super) spaces: Option<Spaces>,
    /// Which it was.
    pub(super) road: Road,
    pub(super) fork: ForkMark,
}

/// Who has a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Free,
    Taken,
    /// The device did not let go of it.
    Stuck,
}

fn system(call: &'static str) -> impl Fn(std::io::Error) -> TransportError {
    move |source| TransportError::System { call, source }
}

impl OpenDevice {
    /// Takes over an open device: brings it into its state after power-on, connects its interrupts, and lets it access memory.
    pub(super) fn start(name: &str, function: &dyn Function, taken: Taken) -> Result<Arc<Self>, TransportError> {
        let Taken { device, space, spaces, road, fork } = taken;
        let refused = |reason: String| TransportError::Refused(format!("{name}: {reason}"));
        let reset = device.reset().map_err(system("VFIO_DEVICE_RESET"))?;
        let configuration = configuration(&device)?;
        let index = function.region(&configuration).map_err(|error| refused(error.to_string()))?;
        let registers = Arc::new(map(&device, index, &fork, &refused)?);
        // SAFETY: whole pages, which the map keeps at this place; everybody reaches them through regions.
        let region = unsafe { Region::new(RegionKind::Control, registers.start(), registers.len(), registers.clone()) };
        let control = function.control(region, &configuration).map_err(|error| refused(error.to_string()))?;
        // What an earlier user left behind must not touch memory.
        if control.reset(STEP) != Quiet::Proven {
            return Err(TransportError::TimedOut { step: "reset of the device", within: STEP });
        }
        let bells: Result<Vec<_>, _> = (0..control.queues()).map(|_| Bell::new()).collect();
        let bells = bells.map_err(system("eventfd"))?;
        let interrupts = Interrupts::connect(&device, &*control, &bells, &refused)?;
        // Now that it says which kind of interrupt is used.
        let configuration = self::configuration(&device)?;
        if device.is_pci() {
            device.set_bus_master(true).map_err(system("write to PCI configuration space"))?;
        }
        let events = Arc::new(watch::Events::connect(&device).map_err(system("VFIO_DEVICE_SET_IRQS"))?);
        let queues = control.queues();
        tracing::info!(device = name, queues, reset, %road, reach = %space.memory.reach(), "device taken");
        let open = Arc::new(Self {
            name: name.to_owned(),
            device,
            control: RwLock::new(control),
            registers,
            configuration,
            bells,
            interrupts,
            queues: Mutex::new(vec![Place::Free; queues]),
            failed: (0..queues).map(|_| AtomicBool::new(false)).collect(),
            lost: AtomicBool::new(false),
            space: Arc::new(space),
            spaces,
            apart: Mutex::default(),
            road,
            events: events.clone(),
            fork,
        });
        watch::start(events, Arc::downgrade(&open)).map_err(system("start of a thread"))?;
        Ok(open)
    }

    /// Takes a queue that nobody has.
    pub(super) fn take(&self) -> Result<usize, TransportError> {
        let mut queues = self.queues();
        let free = queues.iter().position(|place| *place == Place::Free);
        let number = free.ok_or_else(|| TransportError::Busy(self.name.clone()))?;
        queues[number] = Place::Taken;
        Ok(number)
    }

    /// Gives a queue back; one that the device may still use stays out of use.
    pub(super) fn give_back(&self, number: usize, quiet: Quiet) {
        if let Some(place) = self.queues().get_mut(number) {
            *place = if quiet == Quiet::Proven { Place::Free } else { Place::Stuck };
        }
    }

    /// Makes an address space for queues that are to be apart from all others.
    pub(super) fn apart(self: &Arc<Self>) -> Result<Arc<Space>, TransportError> {
        let Some(spaces) = &self.spaces else {
            let why = format!("{} was opened by {}, which gives it one address space only", self.name, self.road);
            return Err(TransportError::Refused(why));
        };
        let mut apart = self.apart_spaces();
        if self.is_lost() {
            return Err(TransportError::Gone);
        }
        // The lowest number that no address space has. One that is about to end has its number until it has.
        let free = |pasid: &u32| Some(*pasid) != self.space.pasid && !apart.contains_key(pasid);
        let pasid = (1..1 << spaces.bits.min(20)).find(free);
        let pasid = pasid.ok_or_else(|| TransportError::Busy(self.name.clone()))?;
        let space = spaces.attach(&self.name, &self.device, pasid, &self.fork, Arc::downgrade(self))?;
        let space = Arc::new(space);
        apart.insert(pasid, Arc::downgrade(&space));
        tracing::debug!(device = self.name, pasid, "address space attached");
        Ok(space)
    }

    /// An address space of its own ends.
    pub(super) fn detach(&self, pasid: u32) {
        let mut apart = self.apart_spaces();
        // A device that went back is attached to nothing.
        if !self.is_lost()
            && self.fork.is_home()
            && let Err(error) = iommufd::detach(&self.device, pasid)
        {
            // Its number stays taken.
            tracing::error!(device = self.name, pasid, %error, "the device stays attached to an address space");
            return;
        }
        apart.remove(&pasid);
    }

    fn apart_spaces(&self) -> MutexGuard<'_, BTreeMap<u32, Weak<Space>>> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a queue work in an address space.
    pub(super) fn assign(&self, number: usize, space: &Space) -> Result<(), TransportError> {
        let control = self.control();
        if self.is_lost() {
            return Err(TransportError::Gone);
        }
        // Relaxed: whoever finds out late that it failed, or works again, looks again.
        self.failed[number].store(false, Ordering::Relaxed);
        control.assign(number, space.pasid).map_err(|error| TransportError::Refused(format!("{}: {error}", self.name)))
    }

    /// Takes a queue away. A device that is gone touches nothing.
    pub(super) fn revoke(&self, number: usize, within: Duration) -> Quiet {
        let control = self.control();
        if self.is_lost() { Quiet::Proven } else { control.revoke(number, within) }
    }

    /// Lets interrupts signal again that are masked when they do.
    pub(super) fn unmask(&self) {
        if let Err(error) = self.interrupts.unmask(&self.device) {
            tracing::debug!(device = self.name, %error, kind = ?self.interrupts.kind(), "interrupts cannot be unmasked");
        }
    }

    /// The registers of one queue.
    pub(super) fn user_region(&self, number: usize) -> Result<Region, TransportError> {
        let page = self.control().user_page(number);
        if page.end > self.registers.len() {
            return Err(TransportError::Refused(format!("{}: queue {number} has no registers", self.name)));
        }
        // SAFETY: inside the registers, which the map keeps at their place; everybody reaches them through regions.
        Ok(unsafe {
            Region::new(RegionKind::User, self.registers.start().add(page.start), page.len(), self.registers.clone())
        })
    }

    /// Whether the queue was taken away because the device failed.
    pub(super) fn has_failed(&self, number: usize) -> bool {
        // Relaxed: see `assign`.
        self.failed[number].load(Ordering::Relaxed)
    }

    pub(super) fn is_lost(&self) -> bool {
        // Relaxed: what is known late is found out again.
        self.lost.load(Ordering::Relaxed)
    }

    /// Looks whether the device is still there.
    pub(super) fn is_present(&self) -> bool {
        let present = !self.is_lost() && !self.registers.is_lost() && self.device.is_present();
        if !present {
            self.leave("the device is gone; its queues end");
        }
        present
    }

    /// The kernel wants the device back: whoever uses it is told, and it goes.
    pub(super) fn hand_over(&self) {
        self.leave("the system wants the device back; its queues end");
    }

    /// Ends all queues, and gives the device back, once.
    fn leave(&self, why: &str) {
        let control = self.whole_control();
        if self.lost.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!(device = self.name, why);
        self.take_all_away(&**control);
        if let Err(error) = self.device.set_bus_master(false) {
            tracing::debug!(%error, "the device cannot be told to leave memory alone; closing it does so");
        }
        // Nothing may hold the file: neither registers nor the descriptor.
        if let Err(error) = self.registers.detach().and_then(|()| self.device.give_back()) {
            tracing::error!(device = self.name, %error, "the device does not go back");
        }
        // Only now: an access that finds nothing would be an error in the kernel's log.
        self.space.memory.end();
        // Not dropped with the lock, since that takes it.
        let apart: Vec<_> = self.apart_spaces().values().filter_map(Weak::upgrade).collect();
        apart.iter().for_each(|space| space.memory.end());
        self.bells.iter().for_each(Bell::ring);
    }

    /// The kernel says that the device has failed: it is reset, and whoever uses it is told.
    pub(super) fn recover(&self) {
        let control = self.whole_control();
        if self.is_lost() {
            return;
        }
        tracing::error!(
            device = self.name,
            "the device has met an uncorrectable error; it is reset, and what it did fails"
        );
        self.take_all_away(&**control);
        if let Err(error) = self.device.reset() {
            tracing::error!(device = self.name, %error, "no reset");
        }
        if self.device.is_pci()
            && let Err(error) = self.device.set_bus_master(true)
        {
            tracing::error!(device = self.name, %error, "the device cannot access memory again");
        }
        // Relaxed: see `assign`.
        self.failed.iter().for_each(|failed| failed.store(true, Ordering::Relaxed));
        self.bells.iter().for_each(Bell::ring);
    }

    fn take_all_away(&self, control: &dyn Control) {
        if control.reset(STEP) != Quiet::Proven {
            tracing::error!(device = self.name, "the device does not let go of memory");
        }
    }

    fn control(&self) -> RwLockReadGuard<'_, Box<dyn Control>> {
        self.control.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn whole_control(&self) -> RwLockWriteGuard<'_, Box<dyn Control>> {
        self.control.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn queues(&self) -> MutexGuard<'_, Vec<Place>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        self.events.end();
        // The registers keep the device open, and queues may still have them; without queues they have no use.
        if let Err(error) = self.registers.detach() {
            tracing::error!(device = self.name, %error, "registers stay mapped, and the device taken");
        }
    }
}

/// What a device says of itself.
fn configuration(device: &VfioDevice) -> Result<Region, TransportError> {
    let bytes = device.configuration().map_err(system("read of PCI configuration space"))?;
    Ok(Region::copied(RegionKind::Configuration, &bytes))
}

/// Maps the registers.
fn map(
    device: &VfioDevice,
    index: u32,
    fork: &ForkMark,
    refused: &impl Fn(String) -> TransportError,
) -> Result<DeviceMap, TransportError> {
    let region = device.region(index).map_err(system("VFIO_DEVICE_GET_REGION_INFO"))?;
    let len = usize::try_from(region.size).ok().and_then(NonZeroUsize::new);
    let offset = i64::try_from(region.offset).ok();
    let (Some(len), Some(offset)) = (len, offset) else {
        return Err(refused(format!("region {index} is impossible: {region:?}")));
    };
    if region.mappable != [(0, region.size)] {
        return Err(refused(format!("of region {index}, {} bytes, only parts can be mapped", region.size)));
    }
    let map = DeviceMap::new(len, offset, fork.clone()).map_err(system("mmap of registers"))?;
    map.attach(device).map_err(system("mmap of registers"))?;
    Ok(map)
}
