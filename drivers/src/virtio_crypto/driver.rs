//! Opens the device's queue.

use std::sync::{Arc, Mutex};

use uaccel_queue::{
    Algorithm, AlgorithmSet, Capabilities, Cells, DeviceInfo, Direction, Driver, FaultHandling, MAX_DEPTH, OpenError,
    OpenQueue, Operation, OperationSet, Order, QueueRequest, RegionKind, Transport, TransportError,
};

use super::completer::VirtioCryptoCompleter;
use super::control_queue::ControlQueue;
use super::data_queue::DataQueue;
use super::offer::Offer;
use super::registers::{DeviceStatus, Registers};
use super::submitter::{QUEUE, VirtioCryptoSubmitter};
use super::{INTERFACE, LONGEST, SESSIONS, request};

/// The driver of virtio-crypto.
#[derive(Clone, Copy, Debug, Default)]
pub struct VirtioCryptoDriver;

fn refused(why: impl Into<String>) -> OpenError {
    OpenError::Transport(TransportError::Refused(why.into()))
}

impl VirtioCryptoDriver {
    fn capabilities(depth: usize, max_transfer: u64, algorithms: AlgorithmSet) -> Capabilities {
        let mut capabilities = Capabilities::new(depth, max_transfer);
        // Not `Nop`, which the device has not: such a job ends here, without a signal.
        capabilities.operations = OperationSet::default().with(Operation::Encrypt).with(Operation::Decrypt);
        capabilities.algorithms = algorithms;
        // Linux's driver hands requests on whose source is their destination, and QEMU reads all of a source before it writes.
        capabilities.in_place = capabilities.operations;
        capabilities.sessions = SESSIONS;
        capabilities.order = Order::Any;
        // A device that meets memory which the IOMMU keeps from it gives up; it does not say which.
        capabilities.faults = FaultHandling::CallerVouches;
        capabilities.wakes = true;
        capabilities
    }

    /// The queue, on a device that has just been reset.
    fn start(
        registers: &Registers,
        transport: Arc<dyn Transport>,
        depth: usize,
    ) -> Result<(DataQueue, ControlQueue, Offer), OpenError> {
        // 3.1.1: one step after the other.
        registers.say(DeviceStatus::ACKNOWLEDGE);
        registers.say(DeviceStatus::DRIVER);
        registers.negotiate()?;
        let offer = Offer::read(registers)?;
        let none = |index: u16| refused(format!("queue {index} has no descriptors, or no doorbell"));
        let data = registers.queue(QUEUE).ok_or_else(|| none(QUEUE))?;
        let control = registers.queue(offer.control).ok_or_else(|| none(offer.control))?;
        let limit = usize::from(data.most / DataQueue::CHAIN).min(MAX_DEPTH);
        let jobs = u16::try_from(depth).ok().filter(|_| depth > 0 && depth <= limit);
        let jobs = jobs.ok_or(OpenError::Depth { depth, limit })?;
        if control.most < ControlQueue::SIZE {
            return Err(refused(format!("the control queue has {} descriptors", control.most)));
        }
        let memory = |len| match transport.ring_memory(len)? {
            memory if memory.len() < len => Err(refused("ring memory is smaller than was asked for")),
            memory => Ok(memory),
        };
        let control = (ControlQueue::new(memory(ControlQueue::BYTES)?, transport.clone(), control), control);
        let memory = memory(DataQueue::bytes(jobs))?;
        let data = (DataQueue::new(memory, transport, registers.clone(), data, jobs), data);
        let enabled =
            registers.enable(control.1, control.0.ring(), false) && registers.enable(data.1, data.0.ring(), true);
        if !enabled {
            return Err(refused("the device has no interrupt for its queue"));
        }
        registers.signal_failure();
        registers.say(DeviceStatus::DRIVER_OK);
        if registers.status().contains(DeviceStatus::NEEDS_RESET) {
            return Err(OpenError::NotReady);
        }
        Ok((data.0, control.0, offer))
    }
}

impl Driver for VirtioCryptoDriver {
    fn name(&self) -> &str {
        "virtio-crypto"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == INTERFACE
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        // What it has of these, its registers say once it is open.
        let known = Algorithm::ALL.into_iter().filter(|algorithm| request::number(*algorithm).is_some());
        let known = known.flat_map(|algorithm| [Direction::Forward, Direction::Inverse].map(|way| (algorithm, way)));
        let mut capabilities = Self::capabilities(MAX_DEPTH, LONGEST, known.collect());
        capabilities.numa_node = device.numa_node;
        capabilities
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        let region = |kind, name| transport.region(kind).cloned().ok_or(OpenError::MissingRegion(name));
        let configuration = region(RegionKind::Configuration, "configuration")?;
        let registers = Registers::new(region(RegionKind::User, "user")?, &configuration).map_err(refused)?;
        // The table bounds what is in flight, so the ring is sized by it.
        let depth = request.depth.max(cells.depth());
        if request.depth == 0 {
            return Err(OpenError::Depth { depth: 0, limit: MAX_DEPTH });
        }
        let started = Self::start(&registers, transport.clone(), depth);
        let (data, control, offer) = started.inspect_err(|_| registers.say(DeviceStatus::FAILED))?;
        let mut granted = Self::capabilities(request.depth, offer.max_transfer, offer.algorithms);
        granted.address_mode = transport.address_mode();
        granted.wakes = transport.wake_fd().is_some();
        let queue = Arc::new(Mutex::new(data));
        Ok(OpenQueue {
            submitter: Box::new(VirtioCryptoSubmitter::new(
                queue.clone(),
                control,
                registers,
                transport,
                granted.clone(),
                depth,
            )),
            completer: Box::new(VirtioCryptoCompleter { queue }),
            granted,
        })
    }
}
