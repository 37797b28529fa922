//! The registers of `edu`, as QEMU's `docs/specs/edu.rst` has them. All are in the first page of BAR 0.

use uaccel_queue::Region;

/// The identification of the version that this is written for: major and minor number, and the device's name.
pub(super) const IDENT: u32 = 0x0100_00ed;

const IDENTIFICATION: usize = 0x00;
/// Reads as the complement of what was written.
const LIVENESS: usize = 0x04;
const INTERRUPT_STATUS: usize = 0x24;
const INTERRUPT_RAISE: usize = 0x60;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;

const RUN: u64 = 1 << 0;
/// From the device's buffer to memory; else from memory to the buffer.
const TO_MEMORY: u64 = 1 << 1;
/// Interrupt at the end.
const SIGNAL: u64 = 1 << 2;

/// The interrupt of nobody's but ours: the device has one for its factorials, and one for transfers.
const OURS: u32 = 1 << 16;

/// Where the device's own buffer is, in its addresses.
const BUFFER: u64 = 0x4_0000;

/// What the liveness register holds while transfers may be started: see [`Registers::start`].
const OPEN: u32 = 0x6f70_656e;

/// Bytes of the registers' page.
pub(super) const PAGE: usize = 4096;

/// The most bytes of one transfer. The buffer has 4096; up to and including version 7.2 QEMU takes a transfer that ends with the buffer's end for one that goes
/// beyond, and gives up the whole machine.
pub(super) const PIECE: usize = 4088;

/// The registers of one device.
#[derive(Clone, Debug)]
pub(super) struct Registers(Region);

/// Which way a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From memory into the device's buffer.
    In,
    /// From the device's buffer to memory.
    Out,
}

impl Registers {
    /// Takes over registers, if they are those of a known version; else gives their identification.
    pub(super) fn new(region: Region) -> Result<Self, u32> {
        // Minor versions add.
        const KIND: u32 = 0xff00_ffff;
        if region.len() < PAGE {
            return Err(0);
        }
        let ident = region.read32(IDENTIFICATION);
        if ident & KIND == IDENT & KIND { Ok(Self(region)) } else { Err(ident) }
    }

    /// Whether a transfer runs.
    pub(super) fn is_running(&self) -> bool {
        self.0.read(DMA_COMMAND) & RUN != 0
    }

    /// Starts a transfer of at most [`PIECE`] bytes while none runs. `false` if the device [was closed](Self::close); then nothing is started, or a
    /// transfer to nowhere.
    ///
    /// The addresses are written before the look at whether the device is open; who closes it does so before clearing them. Accesses to registers
    /// arrive in the order of the program, so either this look sees the device closed, or the transfer that still starts goes to address 0, where no
    /// process has memory: the IOMMU stops it, where there is one. Such a transfer ends like any other; see [`is_open`](Self::is_open).
    #[must_use]
    pub(super) fn start(&self, way: Way, memory: u64, len: usize) -> bool {
        debug_assert!(len <= PIECE, "{len} bytes in one transfer");
        let (source, destination, command) = match way {
            Way::In => (memory, BUFFER, RUN | SIGNAL),
            Way::Out => (BUFFER, memory, RUN | SIGNAL | TO_MEMORY),
        };
        self.0.write(DMA_SOURCE, source);
        self.0.write(DMA_DESTINATION, destination);
        self.0.write(DMA_COUNT, len as u64);
        if !self.is_open() {
            return false;
        }
        self.0.write(DMA_COMMAND, command);
        true
    }

    /// Has the device signal, for what was done without it.
    pub(super) fn signal(&self) {
        self.0.write32(INTERRUPT_RAISE, OURS);
    }

    /// Takes back signals.
    pub(super) fn acknowledge(&self) {
        match self.0.read32(INTERRUPT_STATUS) {
            0 => {}
            raised => self.0.write32(INTERRUPT_ACKNOWLEDGE, raised),
        }
    }

    /// Lets transfers be started.
    pub(super) fn open(&self) {
        self.0.write32(LIVENESS, OPEN);
    }

    /// Lets no transfer start any more; see [`start`](Self::start). One that runs goes on.
    pub(super) fn close(&self) {
        self.0.write32(LIVENESS, 0);
    }

    /// Whether, after a [`close`](Self::close), no transfer touches memory any more, now or later.
    pub(super) fn is_quiet(&self) -> bool {
        if self.is_running() {
            return false;
        }
        // Neither is taken by a device that has begun to run in between. The buffer's own address stays: the device trusts in it.
        let memory = if self.0.read(DMA_DESTINATION) == BUFFER { DMA_SOURCE } else { DMA_DESTINATION };
        self.0.write(memory, 0);
        !self.is_running()
    }

    /// Whether transfers may be started, and one that has ended went where it was sent. Of a device that was closed that is not known; and where a
    /// device has gone, what is left of its registers reads as if nothing ran.
    pub(super) fn is_open(&self) -> bool {
        self.0.read32(LIVENESS) == !OPEN
    }
}
