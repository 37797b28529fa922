//! The Warp engine's function: control page and user pages.

use std::io;
use std::sync::Arc;

use uaccel_sim::{AddressSpace, Opening, UserPage, Warp};
use uaccel_warp_abi::{
    Assignment, CONTROL_VERSION, Features, Space, State, control_ident, control_page, pci, user_page,
};

use super::Function;
use crate::counters::Counters;
use crate::emulator::{Emulator, NO_PASID};
use crate::server::{Failure, Server, Standing};
use crate::trace::Trace;

/// The Warp engine inside a machine emulator. Which registers there are is said in its specification, sections 2 and 8.4.
#[derive(Debug)]
pub struct WarpFunction<E: Emulator> {
    server: Server<Warp, E>,
}

impl<E: Emulator> WarpFunction<E> {
    /// Puts an engine into an emulator, with this many threads that compute.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(model: Warp, emulator: Arc<E>, workers: usize, trace: Trace) -> io::Result<Self> {
        Ok(Self { server: Server::new(model, emulator, workers, trace)? })
    }

    /// The counters of the control page.
    pub fn counters(&self) -> &Counters {
        self.server.counters()
    }

    /// How many queues are assigned to an address space.
    pub fn queues_of(&self, pasid: u32) -> usize {
        self.server.queues_of(pasid)
    }

    /// Reads a register. What is not one reads as 0.
    pub fn read(&self, offset: usize) -> u64 {
        if offset < control_page::SIZE {
            return self.read_control(offset);
        }
        let (index, offset) = user_register(offset);
        let value = self.server.register(index, offset);
        if offset == user_page::FEATURES && self.server.emulator().page_request_allocation() == 0 {
            return value & !Features::FAULTS_RESOLVED.bits();
        }
        value
    }

    fn read_control(&self, offset: usize) -> u64 {
        match offset {
            control_page::IDENT => control_ident(CONTROL_VERSION),
            control_page::QUEUES => self.server.queues() as u64,
            _ => match control_page::queue_of(offset) {
                Some((index, register)) => self.read_queue(index, register),
                // A reset is over when the write returns.
                None => self.counters().register(offset).unwrap_or(0),
            },
        }
    }

    fn read_queue(&self, index: usize, register: usize) -> u64 {
        let Some((opening, standing)) = self.server.look(index) else { return 0 };
        match control_page::ASSIGN + register {
            control_page::ASSIGN => {
                let space = opening.map(|opening| space(opening.jobs));
                // Never busy: who can read this holds the lock under which memory is touched.
                Assignment { space, busy: false, awaits_pages: self.server.awaits_pages(index) }.encode()
            }
            control_page::QUEUE_STATE => state(standing).encode(),
            _ => 0,
        }
    }

    /// Writes a register. What is not one ignores it.
    pub fn write(&self, offset: usize, value: u64) {
        if offset < control_page::SIZE {
            self.write_control(offset, value);
        } else {
            let (index, offset) = user_register(offset);
            if is_writable(offset) {
                self.server.doorbell(index, offset, value);
            }
        }
        self.server.call_again();
        self.interrupt();
    }

    fn write_control(&self, offset: usize, value: u64) {
        if offset == control_page::RESET && value == 1 {
            return self.server.reset();
        }
        match control_page::queue_of(offset) {
            Some((index, register)) if control_page::ASSIGN + register == control_page::ASSIGN => {
                if let Ok(assignment) = Assignment::from_write(value) {
                    let opening = assignment.space.map(|space| Opening::shared(AddressSpace(number(space))));
                    self.server.assign(index, opening);
                }
            }
            _ => {}
        }
    }

    /// Tells users what they are to be told of: each queue has its vector.
    fn interrupt(&self) {
        for news in self.server.take_news() {
            self.server.emulator().interrupt(news.queue());
        }
    }
}

impl<E: Emulator> Function for WarpFunction<E> {
    fn read(&self, bar: u8, offset: usize, _: usize) -> u64 {
        if bar == pci::PAGES_BAR { self.read(offset) } else { 0 }
    }

    fn write(&self, bar: u8, offset: usize, _: usize, value: u64) {
        if bar == pci::PAGES_BAR {
            self.write(offset, value);
        }
    }

    fn run(&self) {
        self.server.run();
        self.interrupt();
    }

    fn invalidated(&self, pasid: u32, address: u64, last: u64) {
        self.server.invalidated(pasid, address, last);
    }

    fn page_response(&self, pasid: u32, group: u16, granted: bool) {
        self.server.page_response(pasid, group, granted);
    }

    fn reset(&self) {
        self.server.reset();
    }
}

/// The queue, and the register of its user page.
const fn user_register(offset: usize) -> (usize, usize) {
    ((offset - pci::user_page(0)) / UserPage::SIZE, offset % UserPage::SIZE)
}

/// Whether the user may write a register of the user page.
const fn is_writable(offset: usize) -> bool {
    matches!(
        offset,
        user_page::RING_BASE | user_page::GEOMETRY | user_page::ENABLE | user_page::SUBMIT | user_page::ARM
    )
}

/// The state word for where a queue stands.
fn state(standing: Standing) -> State {
    match standing {
        Standing::Off => State::Off,
        Standing::Ready | Standing::Draining => State::Ready,
        Standing::Stopped => State::Stopped,
        // What the model said, if there was a place to say it: else it is the place that is wrong.
        Standing::Failed(Failure::Refused(Some(word))) => State::decode(word),
        Standing::Failed(failure) => State::Failed(failure.reason()),
    }
}

/// What an address space is called on the bus.
const fn number(space: Space) -> u32 {
    match space {
        Space::Own => NO_PASID,
        Space::Pasid(pasid) => pasid,
    }
}

/// The address space of that name.
const fn space(AddressSpace(number): AddressSpace) -> Space {
    match number {
        NO_PASID => Space::Own,
        pasid => Space::Pasid(pasid),
    }
}
