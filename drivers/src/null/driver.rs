//! Opens null queues.

use std::sync::Arc;

use uaccel_queue::{Capabilities, Cells, DeviceInfo, Driver, MAX_DEPTH, OpenError, OpenQueue, QueueRequest, Transport};

use super::completer::NullCompleter;
use super::submitter::NullSubmitter;
use crate::{handoff, local};

/// The driver of the null device.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullDriver;

impl NullDriver {
    /// Sessions a queue can have open; they hold nothing, so there is no reason for fewer.
    const SESSIONS: u16 = u16::MAX;

    fn capabilities(depth: usize) -> Capabilities {
        let mut capabilities = local::capabilities(depth, u64::MAX, |_, _| true);
        capabilities.sessions = Self::SESSIONS;
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
        local::check_depth(request, &cells)?;
        let (giver, taker) = handoff::ring(cells.depth());
        Ok(OpenQueue {
            granted: Self::capabilities(request.depth),
            submitter: Box::new(NullSubmitter { answered: giver, sessions: Self::SESSIONS }),
            completer: Box::new(NullCompleter { answered: taker }),
        })
    }
}
