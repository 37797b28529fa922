//! What a queue is granted when it is opened.

use std::sync::Arc;

use uaccel_queue::{Cells, MAX_DEPTH, QueueRequest};

use crate::Backend;
use crate::rig::Rig;

/// The grant is what was asked for, and agrees with the transport.
pub fn grants_what_was_asked(backend: &dyn Backend) {
    for depth in [1, 2, 8, backend.depth()] {
        let rig = Rig::with_depth(backend, depth);
        assert_eq!(rig.granted.depth, depth);
        assert!(rig.granted.max_transfer >= 4096, "a job can have a page: {}", rig.granted.max_transfer);
        assert!(rig.granted.operations.iter().next().is_some(), "some operation is granted");
        assert_eq!(rig.granted.address_mode, rig.transport.address_mode());
        assert!(rig.granted.sessions > 0 || rig.granted.algorithms.iter().next().is_none(), "algorithms need sessions");
        for (algorithm, direction) in rig.granted.streams.iter() {
            assert!(rig.granted.algorithms.contains(algorithm, direction), "streams of {algorithm}, but no sessions");
        }
        assert!(
            !rig.granted.wakes || rig.transport.wake_fd().is_some(),
            "a queue that wakes has a descriptor to wait on"
        );
        assert!(rig.transport.is_alive());
    }
    let bus = backend.bus();
    let device =
        bus.devices().into_iter().find(|device| device.name == backend.device()).expect("the bus lists the device");
    let driver = backend.driver();
    assert!(driver.drives(&device), "{} drives {device:?}", driver.name());
    assert!(driver.advertised(&device).depth >= backend.depth());
    assert!(bus.open("no such device, surely").is_err());
}

/// A depth that cannot be is refused, not cut down.
pub fn refuses_impossible_depths(backend: &dyn Backend) {
    let transport = backend.bus().open(&backend.device()).expect("the bus has the device");
    let cells = Arc::new(Cells::new(MAX_DEPTH));
    for depth in [0, MAX_DEPTH + 1] {
        let opened = backend.driver().open(Arc::clone(&transport), Arc::clone(&cells), &QueueRequest::new(depth));
        assert!(opened.is_err(), "a queue of depth {depth}");
    }
}
