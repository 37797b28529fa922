//! The points of the suite, by what they are about. Each is a function on a back end that panics where the back end
//! fails.

pub mod aead;
pub mod ciphers;
pub mod compression;
pub mod digests;
pub mod faults;
pub mod flow;
pub mod grants;
pub mod lengths;
pub mod plain;
pub mod scatter;
pub mod sessions;
pub mod stopping;
pub mod streams;
pub mod threads;
pub mod waiting;
