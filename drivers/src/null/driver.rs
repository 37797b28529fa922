//! Opens null queues.

use std::sync::Arc;

use uaccel_queue::{
    Algorithm, AlgorithmSet, Capabilities, Cells, DeviceInfo, Direction, Driver, FaultHandling, MAX_DEPTH, OpenError,
    OpenQueue, Operation, OperationSet, Order, QueueRequest, Transport,
};

use super::completer::NullCompleter;
use super::submitter::NullSubmitter;
use crate::handoff;

/// The driver of the null device.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullDriver;

impl NullDriver {
    /// Sessions a queue can have open; they hold nothing, so there is no reason for fewer.
    const SESSIONS: u16 = u16::MAX;

    fn capabilities(depth: usize) -> Capabilities {
        let directions = [Direction::Forward, Direction::Inverse];
        let mut capabilities = Capabilities::new(depth, u64::MAX);
        capabilities.operations = Operation::ALL.into_iter().collect::<OperationSet>();
        capabilities.algorithms = Algorithm::ALL
            .into_iter()
            .flat_map(|algorithm| directions.map(|d| (algorithm, d)))
            .collect::<AlgorithmSet>();
        capabilities.sessions = Self::SESSIONS;
        capabilities.order = Order::Submission;
        capabilities.faults = FaultHandling::CallerVouches;
        capabilities.effective = false;
        capabilities
    }
}

impl Driver for NullDriver {
    fn name(&self) -> &str {
        "null"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == super::INTERFACE
    }

    fn advertised(&self, _device: &DeviceInfo) -> Capabilities {
        Self::capabilities(MAX_DEPTH)
    }

    fn open(
        &self,
        _transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        // A table is never deeper than the limit; a request may be.
        if request.depth == 0 || request.depth > cells.depth() {
            return Err(OpenError::Depth { depth: request.depth, limit: cells.depth() });
        }
        let (giver, taker) = handoff::ring(cells.depth());
        Ok(OpenQueue {
            granted: Self::capabilities(request.depth),
            submitter: Box::new(NullSubmitter { answers: giver, sessions: Self::SESSIONS }),
            completer: Box::new(NullCompleter { answers: taker }),
        })
    }
}
