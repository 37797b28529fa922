//! What is tested.

use std::sync::Arc;
use std::time::Duration;

use uaccel_queue::{Bus, Driver};

/// A driver, and a bus with a device for it.
pub trait Backend: Sync {
    /// The driver.
    fn driver(&self) -> Arc<dyn Driver>;

    /// A bus with the device. Called once per queue that a test opens; it may make a new device each time.
    fn bus(&self) -> Arc<dyn Bus>;

    /// The device's name on the bus.
    fn device(&self) -> String;

    /// How deep a queue most tests open.
    fn depth(&self) -> usize {
        32
    }

    /// How many jobs the longest test does in a row. A device whose jobs take long can say fewer; tokens and rings wrap later than they would.
    fn endurance(&self) -> u64 {
        6000
    }

    /// After how long an answer that has not come is taken for lost.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}
