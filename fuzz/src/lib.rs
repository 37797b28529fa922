//! What the targets share: a device without a host ([`engine`]), a driver without a device ([`fake`]), and texts worth packing ([`text`]).

pub mod engine;
pub mod fake;
pub mod text;
