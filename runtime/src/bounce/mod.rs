//! Jobs for a device that does not reach the process's memory ([`AddressMode::Bounced`]): data goes through memory that it does reach.
//!
//! A queue over such a device gets a second table of jobs below its own, as deep as there are [`Bay`]s: places in memory that the device reaches, each with
//! room for one job's data. A job waits for a free bay, its sources are copied there, it is passed on with the bay's addresses, and when it is answered what
//! it produced is copied to where it belongs. The device never learns an address of the process, so a job's memory is free the moment the job is answered or
//! the queue is given up, whatever the device does.
//!
//! Copying meets the faults that the device would have met: memory that is missing or protected is reported with its address. Where the caller does not vouch for it, it is copied by
//! the kernel.
//!
//! Two things are less than the contract of a queue asks for. A poll copies, by a system call where nobody vouches for the memory, and it may wait for a submission that copies. And a job
//! that ends without the device, since its memory is missing or it was cancelled before it had a bay, is not signalled: whoever sleeps meanwhile finds it at the next look.
//!
//! [`AddressMode::Bounced`]: uaccel_queue::AddressMode::Bounced

mod bay;
mod completer;
mod desk;
mod submitter;

use std::sync::{Arc, Mutex};

use uaccel_queue::{
    AlgorithmSet, Cells, Driver, FaultHandling, OpenError, OpenQueue, Operation, Order, QueueRequest, Transport,
    TransportError,
};

use crate::alarm::Alarm;
use bay::{AREA, Bay};
use completer::BouncedCompleter;
use desk::Desk;
use submitter::BouncedSubmitter;

/// Jobs that the device has at a time, at most. More only wait at another place.
const BAYS: usize = 4;

/// Opens a queue whose jobs go through memory that the device reaches.
///
/// # Errors
/// What the driver says, or the transport, which has to have ring memory for the bays.
pub(crate) fn open(
    driver: &dyn Driver,
    transport: &Arc<dyn Transport>,
    cells: &Arc<Cells>,
    request: &QueueRequest,
) -> Result<OpenQueue, OpenError> {
    if request.depth == 0 || request.depth > cells.depth() {
        return Err(OpenError::Depth { depth: request.depth, limit: cells.depth() });
    }
    let depth = request.depth.min(BAYS);
    let inner_cells = Arc::new(Cells::new(depth));
    let mut inner = *request;
    inner.depth = depth;
    let OpenQueue { mut granted, submitter, completer } =
        driver.open(transport.clone(), inner_cells.clone(), &inner)?;
    let two_sources = [Operation::Compare, Operation::Seal, Operation::Open];
    let areas = if two_sources.iter().any(|operation| granted.operations.contains(*operation)) { 3 } else { 2 };
    // Each by itself: where memory has to be one piece for the device, a small one is easier to have.
    let bays = (0..depth).map(|_| Ok(Bay::new(transport.ring_memory(areas * AREA)?, areas)));
    let bays = bays.collect::<Result<_, TransportError>>()?;
    granted.depth = request.depth;
    granted.max_transfer = granted.max_transfer.min(AREA as u64);
    // A job whose memory is missing is answered before those that wait.
    granted.order = Order::Any;
    granted.faults = FaultHandling::Reported;
    (granted.chains, granted.scatter, granted.immediate) = (false, false, false);
    granted.pieces = 0;
    // A state would have to go both ways.
    (granted.streams, granted.stream_state) = (AlgorithmSet::default(), 0);
    let desk = Arc::new(Mutex::new(Desk::new(submitter, inner_cells.clone(), cells.clone(), bays)));
    let alarm = Arc::new(Alarm::new(transport.clone()));
    Ok(OpenQueue {
        granted,
        submitter: Box::new(BouncedSubmitter { desk: desk.clone(), alarm: alarm.clone() }),
        completer: Box::new(BouncedCompleter::new(desk, alarm, completer, inner_cells)),
    })
}
