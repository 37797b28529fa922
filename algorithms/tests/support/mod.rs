//! What the tests of this folder share: runtimes to run on, and texts to run with.
#![allow(dead_code, reason = "every test file is a program of its own and uses a part")]

use std::sync::Arc;
use std::time::Duration;

use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_queue::{
    Batch, Capabilities, Cells, DeviceError, DeviceInfo, Driver, Job, JobFlags, OpenError, OpenQueue, Outcome,
    QueueRequest, SessionError, SessionId, SessionSpec, Status, Submitter, Transport,
};
use uaccel_runtime::{Builder, HISI_ZIP_SIMULATOR, Runtime, SIMULATOR, SimulatorBus};
use uaccel_sim::{HisiZipConfig, Plan, PlanHandle, Simulator, ThreadHostConfig, WarpConfig};

/// What a job of the small engine may read, or write.
pub(crate) const SMALL: usize = 64 << 10;

/// The CPU.
pub(crate) fn software() -> Builder {
    builder().device("software")
}

/// A simulated engine with the usual limits: 4 MiB per job.
pub(crate) fn simulator() -> Builder {
    builder().device(SIMULATOR)
}

/// A simulated engine that takes little at a time.
pub(crate) fn small() -> Builder {
    limited(SMALL)
}

/// A simulated engine that takes at most `max_transfer` bytes at a time.
pub(crate) fn limited(max_transfer: usize) -> Builder {
    let config = WarpConfig { max_transfer: u32::try_from(max_transfer).unwrap(), ..WarpConfig::default() };
    let bus = SimulatorBus::new(config, ThreadHostConfig::default(), Plan::default());
    simulator().bus(Arc::new(bus))
}

/// A simulated engine with one queue, and what is to go wrong on it.
pub(crate) fn failing() -> (Builder, PlanHandle) {
    let threads = ThreadHostConfig { device: "fragile".to_owned(), ..ThreadHostConfig::default() };
    let host = Simulator::warp(WarpConfig::default(), threads, Plan::default()).unwrap();
    let plan = host.plan();
    (builder().bus(host).device("fragile").queues(1), plan)
}

/// HiSilicon's engine, simulated: it has streams. Its driver says that it takes little at a time.
pub(crate) fn with_streams() -> (Builder, PlanHandle) {
    little(false)
}

/// The same, whose streams write as much as there is room for each time, and never use anything.
pub(crate) fn with_endless_streams() -> Builder {
    little(true).0
}

fn little(endless: bool) -> (Builder, PlanHandle) {
    let bus = SimulatorBus::hisi_zip(HisiZipConfig::default(), ThreadHostConfig::default(), Plan::default());
    let plan = bus.engine().unwrap().plan();
    (builder().bus(Arc::new(bus)).driver(Arc::new(Little { endless })).device(HISI_ZIP_SIMULATOR), plan)
}

/// The driver of HiSilicon's engine, with jobs of at most [`SMALL`] bytes.
#[derive(Debug)]
struct Little {
    endless: bool,
}

impl Driver for Little {
    fn name(&self) -> &str {
        HisiZipDriver.name()
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        HisiZipDriver.drives(device)
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        let mut offers = HisiZipDriver.advertised(device);
        offers.max_transfer = SMALL as u64;
        offers
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        let mut open = HisiZipDriver.open(transport, cells, request)?;
        open.granted.max_transfer = SMALL as u64;
        if self.endless {
            open.granted.immediate = true;
            open.submitter = Box::new(Endless(open.submitter));
        }
        Ok(open)
    }
}

/// Does jobs of streams at once, and badly.
struct Endless(Box<dyn Submitter>);

// SAFETY: what does the others keeps to it.
unsafe impl Submitter for Endless {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        // SAFETY: the caller's promise.
        unsafe { self.0.submit(batch) }
    }

    unsafe fn perform(&mut self, job: &Job) -> Option<Outcome> {
        let more = Outcome { produced: job.destination_len as u64, ..Outcome::failed(Status::More) };
        job.flags.contains(JobFlags::STREAM).then_some(more)
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        self.0.open_session(id, spec)
    }

    fn close_session(&mut self, id: SessionId) {
        self.0.close_session(id);
    }
}

/// A runtime on every kind of device there is.
pub(crate) fn runtimes() -> Vec<Runtime> {
    [software(), simulator(), small()].map(|builder| builder.build().unwrap()).into()
}

/// The same with one that compresses only, and has streams.
pub(crate) fn compressing() -> Vec<Runtime> {
    let mut runtimes = runtimes();
    runtimes.push(with_streams().0.build().unwrap());
    runtimes
}

/// Machines that run tests may be busy.
fn builder() -> Builder {
    Runtime::builder().deadline(Duration::from_secs(120))
}

/// Bytes nobody can compress; the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// Something like a log.
pub(crate) fn prose(len: usize) -> Vec<u8> {
    let lines = (0u32..)
        .flat_map(|n| format!("{n:07} request {} took {} us\n", n.wrapping_mul(2_654_435_761), n % 977).into_bytes());
    lines.take(len).collect()
}

/// Texts of all characters and awkward lengths.
pub(crate) fn texts() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        vec![0],
        b"to be, or not to be".to_vec(),
        noise(300, 1),
        vec![7; 4096],
        prose(40_000),
        noise(SMALL - 1, 2),
        [prose(SMALL), noise(SMALL, 3), vec![0; SMALL]].concat(),
    ]
}
