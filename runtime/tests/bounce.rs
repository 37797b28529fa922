//! A device that reaches none of the process's addresses, held to the suite that defines a driver: the simulated engine, told only of memory that its transport has.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_conformance::{Backend, conformance};
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{AddressMode, Bus, DeviceInfo, Driver, Quiet, Region, RingMemory, Transport, TransportError, Wake};
use uaccel_runtime::Reaching;
use uaccel_sim::{Plan, Simulator, ThreadHost, ThreadHostConfig, Warp, WarpConfig};

/// The simulator's bus, whose devices are said to reach their ring memory only.
#[derive(Debug)]
struct Narrow(Arc<ThreadHost<Warp>>);

#[derive(Debug)]
struct NarrowTransport(Arc<dyn Transport>);

impl Bus for Narrow {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.0.devices()
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(NarrowTransport(self.0.open(device)?)))
    }
}

impl Transport for NarrowTransport {
    fn regions(&self) -> &[Region] {
        self.0.regions()
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.0.ring_memory(len)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        self.0.ring_doorbell(offset, value);
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        self.0.sleep(until)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.wake_fd()
    }

    fn clear_wake(&self) {
        self.0.clear_wake();
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        self.0.stop(within)
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.0.reset(within)
    }

    fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Bounced
    }
}

struct Simulated(Arc<ThreadHost<Warp>>);

impl Default for Simulated {
    fn default() -> Self {
        let engine = Simulator::warp(WarpConfig::default(), ThreadHostConfig::default(), Plan::default());
        Self(engine.expect("the engine starts"))
    }
}

impl Backend for Simulated {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(Reaching(WarpDriver))
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(Narrow(self.0.clone()))
    }

    fn device(&self) -> String {
        self.0.devices()[0].name.clone()
    }
}

conformance!(warp_through_bounce_memory, Simulated::default());
