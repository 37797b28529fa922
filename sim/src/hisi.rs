//! HiSilicon's accelerators: the queue manager that all of them have.

pub mod qm;
