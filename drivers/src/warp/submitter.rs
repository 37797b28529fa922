//! The half that writes descriptors.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};

use uaccel_queue::{
    Batch, Cancel, Capabilities, DeviceError, SessionError, SessionId, SessionSpec, Status, Submitter, Token, Transport,
};
use uaccel_warp_abi::{Command, Descriptor, Geometry, Mode, user_page};

use super::commands::Purpose;
use super::driver::Shared;
use super::{request, sessions};

/// How many lines are asked for before they are written. The device was the last to have each of them, and a processor that writes one after the other waits for them one by one.
const AHEAD: u64 = 32;

#[derive(Debug)]
pub(super) struct WarpSubmitter {
    transport: Arc<dyn Transport>,
    shared: Arc<Shared>,
    granted: Capabilities,
    max_transfer: u32,
    /// Whether the device's side makes the fence that a submission needs.
    device_fences: bool,
    /// Descriptors published since the beginning.
    submitted: u64,
    /// Commands that wait for a place. Jobs wait behind them, since they may need the session.
    backlog: VecDeque<Waiting>,
}

/// A command that waits for a place.
#[derive(Debug)]
enum Waiting {
    Open(SessionId, SessionSpec),
    Close(SessionId),
    Cancel(Token),
}

impl WarpSubmitter {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        shared: Arc<Shared>,
        granted: Capabilities,
        max_transfer: u32,
    ) -> Self {
        Self {
            device_fences: transport.fences_for_host(),
            transport,
            shared,
            granted,
            max_transfer,
            submitted: 0,
            backlog: VecDeque::new(),
        }
    }

    /// Whether the next line may be written.
    #[inline]
    fn has_line(&self) -> bool {
        match self.shared.geometry.mode() {
            // The count of jobs and commands sees to it, see the module's page.
            Mode::Ring => true,
            Mode::Mailbox => self.shared.lines.is_free(self.submitted),
        }
    }

    /// Publishes the descriptor of a command in the next line.
    fn publish_command(&mut self, descriptor: &Descriptor) {
        let index = self.submitted;
        let recorded = || {
            if self.shared.geometry.mode() == Mode::Mailbox {
                self.shared.lines.put(index, descriptor.token);
            }
        };
        let Shared { memory, geometry, .. } = &*self.shared;
        publish(memory.record(geometry.submission(index)), geometry.phase(index), descriptor.encode(false), recorded);
        self.submitted = index + 1;
    }

    /// Publishes jobs from the first on, in ring mode, and says how many.
    #[inline]
    fn publish_in_ring(&mut self, batch: &Batch<'_>) -> usize {
        let Self { shared, max_transfer, submitted, .. } = self;
        let Shared { memory, geometry, .. } = &**shared;
        // In registers for the loop, as far as they go: what is loaded from beside the stores is loaded again for every job.
        let geometry = *geometry;
        let ring = memory.records::<8>(geometry.submission(0), geometry.entries());
        let first = *submitted;
        let last = first + batch.len() as u64;
        for index in first..last.min(first + AHEAD) {
            memory.expect_write(geometry.submission(index));
        }
        for at in 0..batch.len() {
            let index = first + at as u64;
            if index + AHEAD < last {
                memory.expect_write(geometry.submission(index + AHEAD));
            }
            let words = request::words(batch.job(at), *max_transfer);
            publish(&ring[geometry.place(index)], geometry.phase(index), words, || {
                batch.launch(at);
            });
        }
        *submitted = last;
        batch.len()
    }

    /// Publishes jobs from the first on, in mailbox mode, as far as there are free lines, and says how many.
    #[inline]
    fn publish_in_lines(&mut self, batch: &Batch<'_>) -> usize {
        for at in 0..batch.len() {
            if !self.has_line() {
                return at;
            }
            let Shared { memory, geometry, lines, .. } = &*self.shared;
            let index = self.submitted;
            let words = request::words(batch.job(at), self.max_transfer);
            publish(memory.record(geometry.submission(index)), geometry.phase(index), words, || {
                let token = batch.launch(at);
                lines.put(index, token.raw());
            });
            self.submitted = index + 1;
        }
        batch.len()
    }

    /// Rings the doorbell if the device sleeps. Once per batch.
    #[inline]
    fn notify(&self) {
        // Pairs with the device's fence between setting need-wake-up and its last look at the ring (§4.2): either it
        // sees the descriptors published above, or the load below sees that it wants a doorbell. Release and acquire do
        // not suffice: each side stores one word and then loads the other's.
        if self.device_fences {
            // The device's fence is on this thread as well, wherever it is between the two: before the store, and the
            // load sees the wish; or after it, and the device sees the descriptors. Only the compiler must keep the order.
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
        // Relaxed: ordered by the fence.
        if self.shared.memory.read(Geometry::NEED_WAKEUP) != 0 {
            self.transport.ring_doorbell(user_page::SUBMIT, self.submitted);
        }
    }

    /// Queues a command and sends what can be sent.
    fn command(&mut self, command: Waiting) {
        self.backlog.push_back(command);
        if self.flush() {
            self.notify();
        }
    }

    /// Sends waiting commands while there is room, and says whether any was sent.
    #[cold]
    fn flush(&mut self) -> bool {
        let before = self.submitted;
        while let Some(waiting) = self.backlog.front() {
            if !self.has_line() {
                break;
            }
            let purpose = match waiting {
                Waiting::Open(id, _) => Purpose::Open(*id),
                Waiting::Close(id) => Purpose::Close(*id),
                Waiting::Cancel(_) => Purpose::Cancel,
            };
            // The answer to an earlier command for the session wipes its entry: the next one waits until that is over.
            if let Purpose::Open(id) = purpose
                && self.shared.commands.concerns(id)
            {
                break;
            }
            let Some(token) = self.shared.commands.claim(purpose) else {
                break;
            };
            let mut descriptor = Descriptor { token, ..Descriptor::default() };
            match self.backlog.pop_front() {
                Some(Waiting::Open(id, spec)) => {
                    sessions::write(&self.shared.memory, self.shared.geometry, id, &spec);
                    descriptor.opcode = Command::OpenSession as u8;
                    descriptor.session = id.0;
                }
                Some(Waiting::Close(id)) => {
                    descriptor.opcode = Command::CloseSession as u8;
                    descriptor.session = id.0;
                }
                Some(Waiting::Cancel(job)) => {
                    descriptor.opcode = Command::Cancel as u8;
                    descriptor.operand[..4].copy_from_slice(&job.raw().to_le_bytes());
                }
                None => break,
            }
            self.publish_command(&descriptor);
        }
        self.submitted != before
    }
}

/// Writes a descriptor into its line and makes it valid. `launch` runs between.
#[inline]
fn publish(line: &[AtomicU64; 8], phase: bool, words: [u64; 8], launch: impl FnOnce()) {
    let [words @ .., control] = words;
    let [places @ .., valid] = line;
    for (place, word) in places.iter().zip(words) {
        // Relaxed: ordered by the release below.
        place.store(word, Ordering::Relaxed);
    }
    launch();
    let phase = if phase { Descriptor::PHASE } else { 0 };
    // Release: pairs with the device's acquire load of the control word (§4.1), which then sees the words above,
    // the job's source, and, for a device in this process, that the job is in flight.
    valid.store(control | phase, Ordering::Release);
}

// SAFETY: only jobs of the batch are published, each is launched before, and each published job is counted.
unsafe impl Submitter for WarpSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        let before = self.submitted;
        let mut accepted = 0;
        if !self.backlog.is_empty() {
            self.flush();
        }
        if self.backlog.is_empty() {
            accepted = match self.shared.geometry.mode() {
                // The count of jobs and commands sees to it that there are lines, see the module's page.
                Mode::Ring => self.publish_in_ring(batch),
                Mode::Mailbox => self.publish_in_lines(batch),
            };
        }
        if self.submitted != before {
            self.notify();
        }
        Ok(accepted)
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        let (algorithm, direction) = (spec.algorithm(), spec.direction());
        // An entry cannot tell of a window, either.
        if !self.granted.offers(spec) {
            return Err(SessionError::Unsupported { algorithm, direction });
        }
        if id.0 >= self.granted.sessions {
            return Err(SessionError::OutOfRange(id));
        }
        if !sessions::expressible(spec) {
            return Err(SessionError::Refused(Status::Unsupported));
        }
        self.command(Waiting::Open(id, spec.clone()));
        Ok(())
    }

    fn close_session(&mut self, id: SessionId) {
        if id.0 < self.granted.sessions {
            self.command(Waiting::Close(id));
        }
    }

    fn cancel(&mut self, token: Token) -> Cancel {
        self.command(Waiting::Cancel(token));
        Cancel::Requested
    }
}
