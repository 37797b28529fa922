//! What the driver asks of a device before it uses it.

use std::sync::Arc;

use uaccel_queue::{Algorithm, Direction, OpenError};

use crate::device::{DEVICE_STATUS, Device, NOTIFY, Nature};
use crate::queue::{Queue, open};

/// The driver has given up, and has not said that it is ready: `linux/virtio_config.h`.
const FAILED: u8 = 128;
const FEATURES_OK: u8 = 8;

fn refusal(nature: Nature) -> (Arc<Device>, String) {
    let device = Device::new(nature);
    let error = match open(&device, 8).expect_err("it is refused") {
        OpenError::Transport(error) => error.to_string(),
        other => other.to_string(),
    };
    assert_eq!(device.registers().read8(DEVICE_STATUS) & (FAILED | 4), FAILED, "{error}");
    (device, error)
}

#[test]
fn a_device_that_goes_past_the_iommu_is_refused_before_it_has_any_memory() {
    let (device, error) = refusal(Nature { features: 1, ..Nature::default() });
    assert!(error.contains("past the IOMMU") && error.contains("iommu_platform"), "{error}");
    assert_eq!(device.registers().read8(DEVICE_STATUS) & FEATURES_OK, 0, "nothing was agreed on");
    assert_eq!(device.registers().read(0x20), 0, "it knows of no ring");
}

#[test]
fn devices_that_cannot_be_used_are_refused_with_the_reason() {
    let sound = Nature::default();
    let refused = |nature, text: &str| {
        let (_, error) = refusal(nature);
        assert!(error.contains(text), "{error}");
    };
    refused(Nature { features: 2, ..sound }, "before version 1");
    refused(Nature { status: 0, ..sound }, "ready");
    refused(Nature { queues: 1, ..sound }, "1 queues cannot be 1 for data");
    refused(Nature { data_queues: 0, ..sound }, "cannot be 0 for data");
    refused(Nature { data_queues: 0x1_0001, ..sound }, "cannot be 65537 for data");
    refused(Nature { services: 0b10, ..sound }, "no ciphers");
    // XTS alone, which is not offered.
    refused(Nature { ciphers: 1 << 13, ..sound }, "none of the device's ciphers");
    refused(Nature { key: 8, ..sound }, "none of the device's ciphers");
    refused(Nature { descriptors: 0, ..sound }, "no descriptors");
}

#[test]
fn what_is_granted_is_what_the_device_says() {
    let all = |nature| {
        let queue = Queue::over(&Device::new(nature), 4);
        queue
            .granted
            .algorithms
            .iter()
            .filter(|(_, way)| *way == Direction::Forward)
            .map(|(a, _)| a)
            .collect::<Vec<_>>()
    };
    let (cbc, ctr) = ([Algorithm::Aes128Cbc, Algorithm::Aes256Cbc], [Algorithm::Aes128Ctr, Algorithm::Aes256Ctr]);
    assert_eq!(all(Nature::default()), [cbc, ctr].concat());
    assert_eq!(all(Nature { ciphers: 1 << 3 | 1 << 13, ..Nature::default() }), cbc);
    assert_eq!(all(Nature { key: 16, ..Nature::default() }), [cbc[0], ctr[0]]);
    let longest =
        |max_size| Queue::over(&Device::new(Nature { max_size, ..Nature::default() }), 4).granted.max_transfer;
    assert_eq!([longest(16 + 2 * 5000), longest(u64::MAX), longest(3)], [5000, 1 << 20, 0]);
}

#[test]
fn depths_are_those_of_the_device() {
    let device = Device::new(Nature { descriptors: 256, ..Nature::default() });
    match open(&device, 65) {
        Err(OpenError::Depth { depth: 65, limit: 64 }) => {}
        other => panic!("{other:?}"),
    }
    let device = Device::new(Nature { descriptors: 256, ..Nature::default() });
    assert_eq!(Queue::over(&device, 64).granted.depth, 64);
    // Sizes are powers of two, whatever the register says.
    let device = Device::new(Nature { descriptors: 300, ..Nature::default() });
    assert!(matches!(open(&device, 65), Err(OpenError::Depth { limit: 64, .. })));
}

#[test]
fn the_driver_says_how_far_it_is_and_rings_where_it_was_told() {
    let mut queue = Queue::new(4);
    assert_eq!(queue.device.registers().read8(DEVICE_STATUS), 1 | 2 | 4 | 8);
    queue.send(0);
    assert_eq!(queue.device.doorbells(), [(NOTIFY, 0)]);
    queue.send_all(&[1, 2], |_| {});
    assert_eq!(queue.device.doorbells(), [(NOTIFY, 0)], "one for the batch");
    queue.device.want_doorbells(false);
    queue.send(3);
    assert_eq!(queue.device.doorbells(), [], "the device looks by itself");
}
