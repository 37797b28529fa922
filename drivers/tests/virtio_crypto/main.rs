//! The driver of virtio-crypto over a device that is the test: the suite that defines a driver, what it asks of a device, and what it makes of one that lies.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod answers;
mod configuration;
mod device;
mod hostile;
mod opening;
mod queue;
mod sessions;
mod suite;
