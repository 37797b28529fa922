//! The queue manager's register machine: all that the kernel does with the function, apart from the jobs.
//!
//! [`QueueManager`] takes the kernel's register accesses and turns them into what happens to queues, which its [`Host`] runs. It reaches memory through the host
//! only, in the function's own address space, and only where contexts and mailbox commands say so. It knows no engine: what differs between ZIP and the
//! others is a table of registers ([`Engine`]).
//!
//! | the kernel | the machine |
//! | --- | --- |
//! | reads capabilities | answers from [`Config`] |
//! | writes the table of functions | says which queues there are |
//! | gives contexts through the mailbox | starts and stops queues, and rings of events |
//! | stops a queue | keeps the mailbox busy until the host says that nothing is in work ([`QueueManager::settle`]) |
//! | takes events | raises the next interrupt when there are more |
//! | initialises the memory | forgets all queues, at once |
//!
//! While an error that shuts the function down is pending, or the way to memory is closed, no command is carried out and [`is_open`](QueueManager::is_open)
//! says that no job may be taken or go on.
//!
//! Source for the behaviour is the kernel's driver (`drivers/crypto/hisilicon/qm.c`, Linux 7.3): what it expects is what is done. What it does not
//! show is ours: that events and contexts which cannot be written or read are errors of the bus (`qm_axi_bresp`, `qm_axi_rresp`), and that a command which is
//! refused has the status 1.

mod config;
mod contexts;
mod errors;
mod event_ring;
mod host;
mod mailbox;
mod manager;
mod registers;
mod table;

pub use config::{Config, ConfigError, Engine, ErrorRegisters, Vectors};
pub use contexts::{Contexts, Position, Progress};
pub use errors::{BUS_READ, BUS_WRITE};
pub use host::Host;
pub use manager::QueueManager;
