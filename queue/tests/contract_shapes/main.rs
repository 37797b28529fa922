//! Shapes of drivers for devices unlike the project's own, to see that the contract fits them.
//!
//! They are shapes, not drivers: layouts and logic are those of the real device, as far as public sources tell, but
//! they have only met plain memory. `docs/contract-check.md` says what was learned from them, and from one that is a driver by now.

mod idxd;
mod table;
