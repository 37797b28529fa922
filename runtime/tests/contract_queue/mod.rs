//! A queue at the level of the contract, without a runtime: one job at a time, and streams.
#![allow(dead_code, reason = "each program of tests uses a part")]

mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{
    Batch, Bus, Capabilities, Cells, Completer, Done, Driver, Job, JobFlags, OpenQueue, Outcome, QueueRequest, Quiet,
    SessionId, SessionSpec, Submitter, Token, Transport,
};

pub(crate) use stream::Stream;

/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct ContractQueue {
    pub(crate) granted: Capabilities,
    transport: Arc<dyn Transport>,
    submitter: Box<dyn Submitter>,
    completer: Box<dyn Completer>,
    cells: Arc<Cells>,
    sessions: u16,
}

impl ContractQueue {
    pub(crate) fn open(driver: &dyn Driver, bus: &dyn Bus, device: &str) -> Self {
        let transport = bus.open(device).expect("the device opens");
        let cells = Arc::new(Cells::new(1));
        let opened = driver.open(transport.clone(), cells.clone(), &QueueRequest::new(1)).expect("the queue opens");
        let OpenQueue { granted, submitter, completer } = opened;
        Self { granted, transport, submitter, completer, cells, sessions: 0 }
    }

    /// Opens one more session.
    pub(crate) fn session(&mut self, spec: &SessionSpec) -> SessionId {
        let id = SessionId(self.sessions);
        self.submitter.open_session(id, spec).expect("offered");
        self.sessions += 1;
        id
    }

    /// Runs a job from a source to a room, all of them vouched for unless it is changed.
    pub(crate) fn run(&mut self, source: &[u8], room: &mut [u8], change: impl FnOnce(&mut Job)) -> Outcome {
        // SAFETY: the slot is free: each job is answered before the next one.
        let _: Token = unsafe {
            self.cells.build(0, |job| {
                *job = Job::nop(job.token);
                job.flags = JobFlags::VOUCHED;
                (job.source, job.source_len) = (source.as_ptr(), source.len());
                (job.destination, job.destination_len) = (room.as_mut_ptr(), room.len());
                change(job);
                job.token
            })
        };
        // SAFETY: the memory is borrowed until the job is answered, or the test fails.
        let accepted = unsafe { self.submitter.submit(&Batch::new(&self.cells, &[0])) };
        assert_eq!(accepted.expect("the queue works"), 1);
        let begun = Instant::now();
        loop {
            let mut places = [0];
            // SAFETY: the only completer.
            let mut done = unsafe { Done::new(&self.cells, &mut places) };
            self.completer.poll(&mut done).expect("the queue works");
            if !done.slots().is_empty() {
                // SAFETY: just answered.
                return unsafe { self.cells.outcome(0) };
            }
            if begun.elapsed() > PATIENCE {
                // What it names goes when this unwinds.
                let quiet = self.transport.stop(PATIENCE);
                assert!(matches!(quiet, Ok(Quiet::Proven)), "{quiet:?}");
                panic!("no answer");
            }
            std::thread::yield_now();
        }
    }
}
