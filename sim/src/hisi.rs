//! Models of HiSilicon's accelerators: the queue manager that all of them have, and the ZIP engine. Layouts are those of `uaccel-hisi-abi`.

pub mod qm;
pub mod zip;
