//! A kernel with one uacce device that does not exist: its sysfs is a folder, and behind its node is a simulated engine.
#![allow(dead_code, reason = "every test uses another part")]

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use uaccel_queue::{Bus, Quiet, Region, RingMemory, Transport, TransportError, Wake};
use uaccel_runtime::uacce::{Layout, Node, Nodes, UacceBus};
use uaccel_sim::{Plan, PlanHandle, Simulator, ThreadHost, ThreadHostConfig, Warp, WarpConfig};

/// The name of the device.
pub(crate) const DEVICE: &str = "warp-0";

/// How a stopped queue behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// As before December 2025: it is no queue any more.
    Old,
    /// As since then.
    New,
}

/// A folder with `sys` and `dev`, gone with the value.
#[derive(Debug)]
pub(crate) struct Tree(PathBuf);

impl Tree {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("uacce-{}-{number}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder))
    }

    /// With a usable device of this name.
    pub(crate) fn with_device(self, name: &str) -> Self {
        for (attribute, text) in [
            ("api", "warp_v1\n"),
            ("flags", "1\n"),
            ("available_instances", "16\n"),
            ("algorithms", "copy\ndeflate\nsha-256\n"),
            ("region_mmio_size", "4096\n"),
            ("isolate", "0\n"),
            ("device/numa_node", "-1\n"),
        ] {
            self.set(name, attribute, text);
        }
        fs::create_dir_all(self.device(name).join("device/iommu_group")).expect("a folder");
        let node = self.node(name);
        fs::create_dir_all(node.parent().expect("a folder")).expect("a folder");
        fs::write(node, "").expect("a node");
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn device(&self, name: &str) -> PathBuf {
        self.0.join("sys/class/uacce").join(name)
    }

    pub(crate) fn node(&self, name: &str) -> PathBuf {
        self.0.join("dev").join(name)
    }

    pub(crate) fn set(&self, name: &str, attribute: &str, text: &str) {
        let file = self.device(name).join(attribute);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("an attribute");
    }

    pub(crate) fn remove(&self, name: &str, attribute: &str) {
        let file = self.device(name).join(attribute);
        if file.is_dir() { fs::remove_dir_all(file) } else { fs::remove_file(file) }.expect("it was there");
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The kernel: opens nodes of an engine, keeps to the rules of uacce, and finds out who breaks them.
#[derive(Debug)]
pub(crate) struct FakeKernel {
    engine: Arc<ThreadHost<Warp>>,
    kernel: Kernel,
    removed: Arc<AtomicBool>,
    /// What opening fails with, if it does.
    pub(crate) refuses: Mutex<Option<Errno>>,
    pub(crate) stops: Arc<AtomicUsize>,
}

impl FakeKernel {
    pub(crate) fn new(kernel: Kernel, config: WarpConfig) -> Arc<Self> {
        let engine = Simulator::warp(config, ThreadHostConfig::default(), Plan::default()).expect("the engine starts");
        let (removed, refuses, stops) = (Arc::default(), Mutex::default(), Arc::default());
        Arc::new(Self { engine, kernel, removed, refuses, stops })
    }

    pub(crate) fn plan(&self) -> PlanHandle {
        self.engine.plan()
    }

    /// The device is pulled out.
    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::SeqCst);
        self.engine.unplug();
    }
}

impl Nodes for FakeKernel {
    fn open(&self, _: &Path, layout: Layout) -> io::Result<Box<dyn Node>> {
        assert_eq!(layout.mmio, 4096);
        if let Some(errno) = *self.refuses.lock().expect("whole") {
            return Err(errno.into());
        }
        if self.removed.load(Ordering::SeqCst) {
            return Err(Errno::ENXIO.into());
        }
        let queue = self.engine.open(&self.engine.devices()[0].name).map_err(as_errno)?;
        let (regions, state) = (queue.regions().to_vec(), Mutex::new(State::Init));
        let (kernel, removed, stops) = (self.kernel, self.removed.clone(), self.stops.clone());
        Ok(Box::new(FakeNode { queue, regions, state, kernel, removed, stops }))
    }
}

fn as_errno(error: TransportError) -> io::Error {
    match error {
        TransportError::Busy(_) => Errno::EBUSY,
        TransportError::Gone => Errno::ENXIO,
        _ => Errno::EIO,
    }
    .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Init,
    Started,
    /// Stopped under a new kernel.
    Stopped,
    /// Stopped under an old kernel.
    Zombie,
}

#[derive(Debug)]
struct FakeNode {
    queue: Arc<dyn Transport>,
    regions: Vec<Region>,
    state: Mutex<State>,
    kernel: Kernel,
    removed: Arc<AtomicBool>,
    stops: Arc<AtomicUsize>,
}

impl FakeNode {
    /// What every call says of a queue that is none.
    fn check(&self) -> io::Result<()> {
        let zombie = *self.state.lock().expect("whole") == State::Zombie;
        if zombie || self.removed.load(Ordering::SeqCst) { Err(Errno::ENXIO.into()) } else { Ok(()) }
    }
}

impl Node for FakeNode {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn store(&self, _: &Region, offset: usize, value: u64) {
        // Registers of a queue that was not started have no effect, and those of a stopped one are not mapped.
        if *self.state.lock().expect("whole") == State::Started {
            self.queue.ring_doorbell(offset, value);
        }
    }

    fn ring_memory(&self, len: usize) -> io::Result<RingMemory> {
        self.queue.ring_memory(len).map_err(as_errno)
    }

    fn start(&self) -> io::Result<()> {
        self.check()?;
        let mut state = self.state.lock().expect("whole");
        if *state != State::Init {
            return Err(Errno::EINVAL.into());
        }
        *state = State::Started;
        Ok(())
    }

    fn put(&self) -> io::Result<()> {
        self.check()?;
        self.stops.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.queue.stop(Duration::from_secs(60)).expect("a stop"), Quiet::Proven);
        *self.state.lock().expect("whole") = if self.kernel == Kernel::Old { State::Zombie } else { State::Stopped };
        Ok(())
    }

    fn give_back(&self) -> io::Result<()> {
        assert_ne!(*self.state.lock().expect("whole"), State::Started, "a queue is stopped before it goes back");
        Ok(())
    }

    fn reopen(&self) -> io::Result<()> {
        let mut state = self.state.lock().expect("whole");
        assert_ne!(*state, State::Started, "a queue is stopped before another one is taken");
        self.queue.reset(Duration::from_secs(60)).map_err(as_errno)?;
        *state = State::Init;
        Ok(())
    }

    fn is_present(&self) -> bool {
        self.check().is_ok()
    }

    fn wait(&self, within: Duration) -> io::Result<bool> {
        if self.removed.load(Ordering::SeqCst) {
            // The kernel tells nobody.
            std::thread::sleep(within);
            return Ok(false);
        }
        Ok(self.queue.sleep(Some(Instant::now() + within)).map_err(as_errno)? == Wake::Signalled)
    }

    fn wake_fd(&self) -> BorrowedFd<'_> {
        self.queue.wake_fd().expect("an engine that wakes")
    }
}

/// A device on a machine of its own.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) tree: Tree,
    pub(crate) kernel: Arc<FakeKernel>,
}

impl Machine {
    pub(crate) fn new(kernel: Kernel, config: WarpConfig) -> Self {
        Self { tree: Tree::new().with_device(DEVICE), kernel: FakeKernel::new(kernel, config) }
    }

    pub(crate) fn bus(&self) -> Arc<UacceBus> {
        Arc::new(UacceBus::at(self.tree.path()).with_nodes(self.kernel.clone()))
    }
}
