//! The function's registers, in [`REGISTERS_BAR`](crate::pci::REGISTERS_BAR), 32 bits each (`qm.c`). The ZIP engine's own: [`zip::registers`](crate::zip::registers).

/// Bit 0 masks interrupts of asynchronous events.
pub const ASYNC_MASK: usize = 0x4;
/// Bit 0 masks interrupts of events.
pub const EVENT_MASK: usize = 0xc;
/// Bit 0: each queue has a page of doorbells to itself.
pub const ISOLATION: usize = 0x30;
/// Bytes of a page: a number.
pub const PAGE_SIZE: usize = 0x34;
/// 1 has all contexts written back.
pub const WRITE_BACK_START: usize = 0x204;
/// Bit 0: that is done.
pub const WRITE_BACK_DONE: usize = 0x208;
/// What overrides the revision, unless 0.
pub const SUB_VERSION: usize = 0x210;
/// The [mailbox](crate::Mailbox); a write of its last 32 bits starts the command.
pub const MAILBOX: usize = 0x300;
/// Doorbells of queues without isolation.
pub const DOORBELLS: usize = 0x1000;
/// Doorbells of the rings of events.
pub const EVENT_DOORBELLS: usize = 0x2000;

/// 7:0 version of the capability registers, not 0; then a bit for each [`capability`].
pub const CAPABILITIES: usize = 0x3100;
/// 15:0 places of the ring of events, 31:16 of that of asynchronous events.
pub const EVENT_DEPTHS: usize = 0x3104;
/// 15:0 places of a submission ring, 31:16 of a completion ring.
pub const QUEUE_DEPTHS: usize = 0x3108;
/// The interrupt of events: 31:16 type (0 there is none), 15:0 vector. The next three are alike.
pub const EVENT_INTERRUPT: usize = 0x310c;
/// The interrupt of asynchronous events.
pub const ASYNC_INTERRUPT: usize = 0x3110;
/// The interrupt of errors.
pub const ERROR_INTERRUPT: usize = 0x3114;
/// The interrupt of messages between functions.
pub const MESSAGE_INTERRUPT: usize = 0x3118;
/// Vectors: 31:16 of the physical function, 15:0 of a virtual one.
pub const VECTORS: usize = 0x311c;
/// Where the extension of the regions is.
pub const EXTENSION: usize = 0x3120;
/// Errors of the queue manager that are not fatal.
pub const NONFATAL_ERRORS: usize = 0x3124;
/// Errors of the queue manager that need a reset, and that shut it down.
pub const RESET_ERRORS: usize = 0x3128;
/// Errors of the queue manager that were corrected.
pub const CORRECTED_ERRORS: usize = 0x312c;
/// The first register behind the capabilities.
pub const CAPABILITIES_END: usize = 0x3180;

/// Writing bits here clears them in [`ERRORS`].
pub const ERROR_SOURCE: usize = 0x10_0000;
/// Errors that raise no interrupt.
pub const ERROR_MASK: usize = 0x10_0004;
/// Errors there are.
pub const ERRORS: usize = 0x10_0008;
/// 1 initialises the device's memory: all queues and contexts are forgotten.
pub const MEMORY_START: usize = 0x10_0040;
/// Bit 0: that is done.
pub const MEMORY_DONE: usize = 0x10_0044;
/// 1 carries out an operation on the table of functions.
pub const VFT_START: usize = 0x10_0054;
/// 0 writes the table, 1 reads it.
pub const VFT_DIRECTION: usize = 0x10_0058;
/// [What](crate::VftOperation) the data are about.
pub const VFT_TYPE: usize = 0x10_005c;
/// 5:0 the function.
pub const VFT_FUNCTION: usize = 0x10_0060;
/// The data's low half.
pub const VFT_DATA_LOW: usize = 0x10_0064;
/// The data's high half.
pub const VFT_DATA_HIGH: usize = 0x10_0068;
/// Bit 0: the operation is done. Written as 0 by the kernel before each.
pub const VFT_READY: usize = 0x10_006c;
/// 10:0 queues of the controller; 21:11 most queues of a function.
pub const QUEUES: usize = 0x10_0158;
/// Bits 2 and 0: the path of interrupts is busy.
pub const INTERRUPT_PATH: usize = 0x10_00fc;
/// 19:16: it holds interrupts.
pub const INTERRUPTS_HELD: usize = 0x10_0100;
/// Errors that shut the queue manager down.
pub const SHUTDOWN_ERRORS: usize = 0x10_40f8;

/// The bits of [`CAPABILITIES`] behind the version.
pub mod capability {
    /// Functions have shares of time.
    pub const QOS: u32 = 1 << 8;
    /// [`StopQueue`](crate::MailboxCommand::StopQueue).
    pub const STOP_QUEUE: u32 = 1 << 9;
    /// [`StopFunction`](crate::MailboxCommand::StopFunction).
    pub const STOP_FUNCTION: u32 = 1 << 10;
    /// Messages between functions.
    pub const MESSAGES: u32 = 1 << 11;
    /// Translations are fetched ahead.
    pub const PREFETCH: u32 = 1 << 14;
}

/// Counters of what the function did (`debugfs.c`: `qm_dfx_regs`).
pub mod counter {
    /// Bit 0: reading a counter clears it.
    pub const CLEAR_ON_READ: usize = 0x10_0118;
    /// Commands of the mailbox.
    pub const COMMANDS: usize = 0x10_4018;
    /// Doorbells.
    pub const DOORBELLS: usize = 0x10_4028;
    /// Entries that were read.
    pub const ENTRIES: usize = 0x10_4038;
    /// Completions that were written.
    pub const COMPLETIONS: usize = 0x10_4048;
    /// All of them.
    pub const ALL: [usize; 4] = [COMMANDS, DOORBELLS, ENTRIES, COMPLETIONS];
}
