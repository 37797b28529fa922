//! HiSilicon's accelerators behind their queue manager (QM), as Kunpeng servers have them: [`HisiZipDriver`].
//!
//! Layouts are `uaccel_hisi_abi`'s, and so are their sources. `qm` is one hardware queue of any of these engines; `zip` is the compression engine.
//!
//! # Parts
//!
//! A hardware queue of ZIP has one direction, a queue of the framework has both. So the transport of such a device has a part for each hardware queue
//! (`Transport::parts`); the driver goes through a part to a queue's rings and doorbells, and through the whole to nothing but signals: its own, and those that
//! it takes to have the kernel look at the completions from time to time.
//!
//! # Why nothing is overwritten
//!
//! A hardware queue has one entry less than its rings have places for as many jobs as there can be in flight in all: a deeper table is refused. So an entry is free when the submitter
//! comes to it, and so is the completion of an entry; the halves need not tell each other. Completions come in the order of submission: when entry *n* is to be written again, a job that
//! came after *n* was answered, or there would be more in flight than there are slots, and so was *n* before it. Whoever gave the slot back did so after the results in the entry
//! had been read, and after the doorbell that gives the completion back.
//!
//! # What is believed
//!
//! Of what the device writes, phase and stop words steer only *whether* the driver looks. A completion names the next entry in order or ends the queue; the tag in the entry is
//! compared with the host's own record, lengths with the job; nothing is an index.

mod qm;
mod zip;

pub use zip::HisiZipDriver;
