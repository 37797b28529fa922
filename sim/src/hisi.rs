//! Models of HiSilicon's accelerators. Layouts are those of `uaccel-hisi-abi`.

pub mod zip;
