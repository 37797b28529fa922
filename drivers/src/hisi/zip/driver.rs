//! Opens queues of the engine.

use std::sync::Arc;

use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Entry, MAX_TRANSFER};
use uaccel_hisi_abi::{API_V3, Dus};
use uaccel_queue::{
    AddressMode, AlgorithmSet, Capabilities, Cells, DeviceInfo, Direction, Driver, FaultHandling, OpenError, OpenQueue,
    Operation, Order, QueueRequest, Transport, TransportError,
};

use super::SESSIONS;
use super::alarm::Alarm;
use super::completer::ZipCompleter;
use super::format::Format;
use super::lists::Lists;
use super::stream::STATE_LEN;
use super::submitter::ZipSubmitter;
use super::window::Window;
use crate::handoff;
use crate::hisi::qm::{Lookout, Queue};

/// The driver of HiSilicon's compression engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct HisiZipDriver;

/// Whether the kernel lists a format among the algorithms of a device.
fn lists(device: &DeviceInfo, format: Format) -> bool {
    device.algorithms.iter().any(|line| line == format.line())
}

/// What there is of formats.
fn algorithms(formats: impl Iterator<Item = Format>) -> AlgorithmSet {
    formats.flat_map(|format| format.directions().iter().map(move |way| (format.algorithm(), *way))).collect()
}

/// What a queue is granted. The open device does not tell what it has.
fn granted(advertised: Option<AlgorithmSet>) -> AlgorithmSet {
    match advertised {
        None => algorithms(Format::CERTAIN.into_iter()),
        Some(set) => {
            let all = algorithms(Format::ALL.into_iter());
            all.iter().filter(|(algorithm, way)| set.contains(*algorithm, *way)).collect()
        }
    }
}

impl HisiZipDriver {
    fn capabilities(depth: usize, algorithms: AlgorithmSet) -> Capabilities {
        let mut capabilities = Capabilities::new(depth, MAX_TRANSFER.into());
        capabilities.algorithms = algorithms;
        // Not `Nop`, which the engine has not: such a job ends in the driver.
        let operation = |way| if way == Direction::Forward { Operation::Compress } else { Operation::Decompress };
        capabilities.operations = algorithms.iter().map(|(_, way)| operation(way)).collect();
        let streams = |algorithm| Format::of(algorithm).is_some_and(Format::has_streams);
        capabilities.streams = algorithms.iter().filter(|(algorithm, _)| streams(*algorithm)).collect();
        capabilities.stream_state = if capabilities.streams == AlgorithmSet::default() { 0 } else { STATE_LEN };
        capabilities.smallest_window = Window::SMALLEST;
        capabilities.sessions = if algorithms == AlgorithmSet::default() { 0 } else { SESSIONS };
        // Each hardware queue keeps the order, the two do not wait for each other.
        capabilities.order = Order::Any;
        capabilities.address_mode = AddressMode::Shared;
        capabilities.faults = FaultHandling::Resolved;
        (capabilities.scatter, capabilities.pieces) = (true, Lists::MOST);
        capabilities.wakes = true;
        capabilities
    }
}

impl Driver for HisiZipDriver {
    fn name(&self) -> &str {
        "hisi-zip"
    }

    /// By the interface, and by an algorithm of the engine's: the queue manager is that of other engines, too.
    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == API_V3 && Format::ALL.iter().any(|format| lists(device, *format))
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        let formats = Format::ALL.into_iter().filter(|format| lists(device, *format));
        let mut capabilities = Self::capabilities(usize::from(Dus::DEPTH) - 1, algorithms(formats));
        capabilities.address_mode = device.address_mode.unwrap_or(AddressMode::Shared);
        capabilities.numa_node = device.numa_node;
        capabilities
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        let [compress, decompress] = transport.parts() else {
            let parts = transport.parts().len();
            let why = format!("{parts} hardware queues instead of one that compresses and one that decompresses");
            return Err(TransportError::Refused(why).into());
        };
        let (compress, compressed) = Queue::open(compress, COMPRESS, Entry::SIZE)?;
        let (decompress, decompressed) = Queue::open(decompress, DECOMPRESS, Entry::SIZE)?;
        // All jobs may go the same way.
        let (depth, limit) = (request.depth.max(cells.depth()), compress.limit().min(decompress.limit()));
        if request.depth == 0 || depth > limit {
            return Err(OpenError::Depth { depth: request.depth, limit });
        }
        let mut granted = Self::capabilities(request.depth, granted(request.algorithms));
        granted.address_mode = transport.address_mode();
        granted.wakes = transport.wake_fd().is_some();
        let lookout = Lookout::new(compress.completions().min(decompress.completions()), depth);
        let (giver, taker) = handoff::ring(depth);
        let alarm = Arc::new(Alarm::default());
        Ok(OpenQueue {
            submitter: Box::new(ZipSubmitter {
                transport,
                granted: granted.clone(),
                compress,
                decompress,
                ended: giver,
                alarm: alarm.clone(),
                lists: Lists::new(cells),
                lookout,
                sessions: vec![None; SESSIONS.into()].into(),
            }),
            completer: Box::new(ZipCompleter {
                heads: [(Direction::Forward, compressed), (Direction::Inverse, decompressed)],
                first: 0,
                ended: taker,
                alarm,
            }),
            granted,
        })
    }
}
