//! One device, two roads: who is on one keeps the other closed.

use uaccel_queue::{Bus, TransportError};
use uaccel_runtime::vfio::{Road, VfioBus};

use crate::bench::{device, eventually};
use crate::guest::child::Child;

fn open(road: Road) -> Result<std::sync::Arc<dyn uaccel_queue::Transport>, TransportError> {
    VfioBus::new().by(road).open(device())
}

#[test]
fn group_and_own_node_exclude_each_other() {
    if matches!(open(Road::Cdev), Err(TransportError::Refused(_))) {
        eprintln!("skipped: this kernel has no nodes for devices (CONFIG_VFIO_DEVICE_CDEV)");
        return;
    }
    for (ours, theirs) in [(Road::Group, Road::Cdev), (Road::Cdev, Road::Group), (Road::Cdev, Road::Cdev)] {
        eventually("the device is free", || open(ours).is_ok());
        let held = open(ours).unwrap();
        Child::run(|| {
            let refused = open(theirs).unwrap_err();
            assert!(matches!(refused, TransportError::Busy(_)), "{ours} is open, {theirs} says {refused}");
        })
        .join();
        assert!(held.is_alive());
    }
}
