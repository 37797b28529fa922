//! HiSilicon's queue manager (QM) and ZIP engine to the byte, written down once for driver and model.
//!
//! There is no public specification. What stands here was read in the kernel's driver (`drivers/crypto/hisilicon/qm.c`, `zip/zip_main.c`,
//! `include/linux/hisi_acc_qm.h`, `include/uapi/misc/uacce/hisi_qm.h`, Linux 7.3) and in UADK (`drv/hisi_qm_udrv.c`, `drv/hisi_comp.c`, version 2.10); each page names its
//! source. What no public source says is ours, and marked so. Hardware version 3 with doorbell isolation is what is meant where nothing else is said.
//!
//! Everything is little endian. This crate holds layouts only: it touches no memory and knows no operating system.

#![forbid(unsafe_code)]

mod completion;
mod context;
mod description;
mod doorbell;
mod dus;
mod event;
mod field;
mod mailbox;
pub mod pci;
pub mod registers;
mod vft;
pub mod zip;

pub use completion::QueueCompletion;
pub use context::{CompletionContext, EventContext, SubmissionContext};
pub use description::{Description, Truncated};
pub use doorbell::{Doorbell, DoorbellCommand};
pub use dus::{Dus, StopWords};
pub use event::{AsyncEvent, AsyncKind, Event};
pub use mailbox::{Mailbox, MailboxCommand, MailboxOperation};
pub use vft::{VftOperation, VftQueues};

/// The attribute `api` of devices with the queue manager of version 3: what drivers know them by.
pub const API_V3: &str = "hisi_qm_v3";

/// What the attribute `api` of every device with a queue manager begins with.
pub const API_PREFIX: &str = "hisi_qm_v";
