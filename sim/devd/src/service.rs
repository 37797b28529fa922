//! What a client's requests do.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use uaccel_devd_protocol::{HelloFlags, Priority, Refusal, Reply, Request, VERSION, WelcomeFlags};
use uaccel_queue::Quiet;
use uaccel_sim::{AddressSpace, DeviceModel as _, UserPage};

use crate::alert::Alert;
use crate::backing::ClientBacking;
use crate::client::Client;
use crate::device::{self, ClientQueue, Device};
use crate::house::House;
use crate::limits::{Place, Standing};
use crate::memfd;
use crate::memory::ClientMemory;
use crate::peer::Peer;
use crate::reach::{Binding, Gate, Reach};
use crate::refused::Refused;

/// The longest a request may keep its session waiting, whatever the client asks for.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a queue that is closed is waited for at once. Later the session looks now and then.
const CLOSING: Duration = Duration::from_millis(50);

/// What goes back to the client.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply, descriptors: Vec::new() }
    }
}

/// A client and what it has open.
#[derive(Debug)]
pub(crate) struct Service {
    house: Arc<House>,
    alert: Arc<Alert>,
    client: Arc<Client>,
    queues: Vec<OpenQueue>,
    /// Queues that were given back, and that the device still uses.
    closing: Vec<Closing>,
    last_queue: u32,
    last_window: u32,
    window_bytes: u64,
}

/// An open queue.
#[derive(Debug)]
struct OpenQueue {
    number: u32,
    device: usize,
    queue: ClientQueue,
    /// Its place among the queues of the user.
    _place: Place,
}

/// A queue that was given back. The request is answered when the device has let go of it.
#[derive(Debug)]
struct Closing {
    serial: u32,
    open: OpenQueue,
}

/// What a client says of itself.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) version: u32,
    pub(crate) flags: HelloFlags,
    pub(crate) priority: Priority,
    pub(crate) gate: u64,
    pub(crate) canary: [u64; 2],
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Service {
    /// Binds the address space of a client.
    pub(crate) fn bind(
        house: &Arc<House>,
        alert: &Arc<Alert>,
        peer: &Peer,
        hello: Introduction,
    ) -> Result<(Self, Reply), Refused> {
        if hello.version != VERSION {
            let text = format!(
                "the server speaks version {VERSION}, the client version {}; update the older one",
                hello.version
            );
            return Err(Refused::new(Refusal::Version, text).for_good());
        }
        let gate = Gate::new(hello.gate, hello.canary)
            .ok_or_else(|| Refused::bad(format!("there can be no gate at {:#x}", hello.gate)))?;
        let is_own = peer.uid == house.uid;
        if hello.priority == Priority::High && !is_own && peer.uid != 0 {
            let text = "high priority is for the server's own user and root; ask for normal";
            return Err(Refused::new(Refusal::NotPermitted, text));
        }
        let place = house.census.admit(Standing::Client, peer.uid)?;
        let [mem, maps] =
            <[OwnedFd; 2]>::try_from(hello.descriptors).map_err(|_| Refused::bad("two descriptors are needed"))?;
        let binding = Binding::verify(mem, maps).map_err(Refused::bad)?;
        // Other users' processes are never reached by number: a server with more rights must not use them for its clients.
        let pid = peer.pid.filter(|_| is_own);
        let reach = Reach::establish(pid, binding, gate).map_err(|error| Refused::new(Refusal::NotPermitted, error))?;
        let fences = hello.flags.contains(HelloFlags::FENCED) && house.fences();
        let identity = (peer.pid.map(nix::unistd::Pid::as_raw), peer.uid, peer.command());
        let pasid = house.pasids.take();
        let memory = ClientMemory::new(reach, pasid.number());
        let client = Client::new(pasid, place, identity, hello.priority, memory);
        let reply = Reply::Welcome {
            version: VERSION,
            flags: if fences { WelcomeFlags::FENCES } else { WelcomeFlags::empty() },
            pasid: client.pasid.number(),
            queues: house.limits.queues_per_client,
            windows: house.limits.windows_per_client,
            window_bytes: house.limits.window_bytes_per_client,
        };
        let service = Self {
            house: house.clone(),
            alert: alert.clone(),
            client: Arc::new(client),
            queues: Vec::new(),
            closing: Vec::new(),
            last_queue: 0,
            last_window: 0,
            window_bytes: 0,
        };
        Ok((service, reply))
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Carries a request out. `None` if it is answered later.
    pub(crate) fn carry_out(
        &mut self,
        request: Request,
        serial: u32,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Option<Answer>, Refused> {
        match request {
            Request::Open { index } => self.open(index).map(Some),
            Request::Ring { queue, len } => self.ring(queue, len).map(Some),
            Request::Control { queue, offset, value } => self.control(queue, offset, value).map(answered),
            Request::Stop { queue, within } => {
                let (device, open) = self.find(queue)?;
                let quiet = device.stop(&open.queue, bounded(within)) == Quiet::Proven;
                Ok(answered(Reply::Stopped { quiet }))
            }
            Request::Reset { queue, within } => {
                let (device, open) = self.find(queue)?;
                device.reset(&open.queue, bounded(within))?;
                Ok(answered(Reply::Done))
            }
            Request::Close { queue } => self.close(queue, serial),
            Request::Window { address, len } => self.window(address, len, &descriptors).map(answered),
            Request::Unwindow { id } => self.unwindow(id).map(answered),
            _ => Err(Refused::bad("a connection has one address space, and it is bound already")),
        }
    }

    /// Queues that were given back and that the device has let go of by now: the serials of the requests that wait for it.
    pub(crate) fn closed(&mut self) -> Vec<u32> {
        let house = &self.house;
        let done = self.closing.extract_if(.., |closing| release(house, &closing.open, Duration::ZERO));
        let serials = done.map(|closing| closing.serial).collect();
        self.count_queues();
        serials
    }

    /// Whether a queue was given back that the device still uses.
    pub(crate) fn is_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// Fails all queues: their client's memory does not answer.
    pub(crate) fn fail(&self) {
        for open in &self.queues {
            self.house.devices[open.device].fail_queue(&open.queue, uaccel_warp_abi::FailReason::Device as u32);
        }
    }

    /// Closes all queues. Whether the device has let go of all of them; if not, try again.
    pub(crate) fn close_all(&mut self, within: Duration) -> bool {
        self.queues.extend(self.closing.drain(..).map(|closing| closing.open));
        let house = &self.house;
        // All are stopped before any is waited for.
        self.queues.retain(|open| !release(house, open, Duration::ZERO));
        if !within.is_zero() {
            self.queues.retain(|open| !release(house, open, within));
        }
        self.count_queues();
        self.queues.is_empty()
    }

    /// The windows go; no queue is left that could use them.
    pub(crate) fn drop_windows(&self) {
        self.client.memory.windows().clear();
    }

    fn open(&mut self, index: u32) -> Result<Answer, Refused> {
        let (at, device) = find_device(&self.house, index)?;
        let most = self.house.limits.queues_per_client;
        if self.queues.len() + self.closing.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
            let text = format!("a client may have {most} queues open (--max-queues-per-client); close some");
            return Err(Refused::new(Refusal::Limit, text));
        }
        let place = self.house.census.admit(Standing::Queue(at), self.client.uid)?;
        let failed = |error| Refused::system("make a queue", &error);
        let memory = self.client.memory.clone();
        let (backing, ends) = ClientBacking::new(memory, self.alert.clone()).map_err(failed)?;
        let bell = backing.bell().try_clone_to_owned().map_err(failed)?;
        // Before anything can be published. If it comes to nothing, the bell goes with the last descriptor of it.
        device.add_bell(backing.bell()).map_err(|error| Refused::system("watch a doorbell", &error))?;
        let space = AddressSpace(self.client.pasid.number());
        let queue = device.open(backing, self.client.account(at), space, 0)?;
        self.last_queue = self.last_queue.wrapping_add(1).max(1);
        let number = self.last_queue;
        self.queues.push(OpenQueue { number, device: at, queue, _place: place });
        self.count_queues();
        Ok(Answer { reply: Reply::Opened { queue: number }, descriptors: vec![ends.page, ends.signal, bell] })
    }

    fn ring(&self, number: u32, len: u64) -> Result<Answer, Refused> {
        let (device, open) = self.find(number)?;
        let (address, len, file) = open.queue.backing().hand_out(len, device::largest_rings(device))?;
        Ok(Answer { reply: Reply::Ring { queue: number, address, len: len as u64 }, descriptors: vec![file] })
    }

    fn control(&self, number: u32, offset: u64, value: u64) -> Result<Reply, Refused> {
        let (device, open) = self.find(number)?;
        let offset = usize::try_from(offset)
            .ok()
            .filter(|offset| *offset < UserPage::SIZE && offset.is_multiple_of(8))
            .ok_or_else(|| Refused::new(Refusal::BadRequest, format!("there is no register at {offset:#x}")))?;
        device.doorbell(&open.queue, offset, value);
        Ok(Reply::Done)
    }

    fn close(&mut self, number: u32, serial: u32) -> Result<Option<Answer>, Refused> {
        let at = self.position(number)?;
        if release(&self.house, &self.queues[at], CLOSING) {
            self.queues.swap_remove(at);
            self.count_queues();
            return Ok(answered(Reply::Done));
        }
        let open = self.queues.swap_remove(at);
        self.closing.push(Closing { serial, open });
        Ok(None)
    }

    fn window(&mut self, address: u64, len: u64, descriptors: &[OwnedFd]) -> Result<Reply, Refused> {
        let limits = &self.house.limits;
        let windows = self.client.memory.windows();
        if windows.len() >= usize::try_from(limits.windows_per_client).unwrap_or(usize::MAX) {
            let most = limits.windows_per_client;
            let text = format!("a client may have {most} windows (--max-windows-per-client); unregister some");
            return Err(Refused::new(Refusal::Limit, text));
        }
        let bytes = self.window_bytes.checked_add(len).filter(|bytes| *bytes <= limits.window_bytes_per_client);
        let Some(bytes) = bytes else {
            let most = limits.window_bytes_per_client;
            let text =
                format!("{len} bytes more are too many: windows may have {most} (--max-window-bytes-per-client)");
            return Err(Refused::new(Refusal::Limit, text));
        };
        let [file] = descriptors else { return Err(Refused::bad("one descriptor is needed")) };
        let id = self.last_window.checked_add(1).ok_or_else(|| Refused::new(Refusal::Limit, "no number is left"))?;
        self.client.memory.register(id, address, len, file.as_fd())?;
        self.last_window = id;
        self.window_bytes = bytes;
        Ok(Reply::Window { id: id.into() })
    }

    fn unwindow(&mut self, id: u64) -> Result<Reply, Refused> {
        let len = u32::try_from(id).ok().and_then(|id| self.client.memory.windows().remove(id));
        let len = len.ok_or_else(|| Refused::new(Refusal::BadRequest, format!("there is no window {id}")))?;
        self.window_bytes -= len;
        Ok(Reply::Done)
    }

    fn find(&self, number: u32) -> Result<(&Device, &OpenQueue), Refused> {
        let open = &self.queues[self.position(number)?];
        Ok((&self.house.devices[open.device], open))
    }

    fn position(&self, number: u32) -> Result<usize, Refused> {
        self.queues
            .iter()
            .position(|open| open.number == number)
            .ok_or_else(|| Refused::new(Refusal::BadRequest, format!("there is no queue {number}")))
    }

    fn count_queues(&self) {
        self.client.count_queues(self.queues.len() + self.closing.len());
    }
}

/// About a device.
pub(crate) fn describe(house: &House, index: u32) -> Result<Reply, Refused> {
    let (_, device) = find_device(house, index)?;
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (queues, free) = device::queues(device);
    Ok(Reply::Device {
        count: narrow(house.devices.len()),
        queues: narrow(queues),
        free: narrow(free),
        name: device.name().to_owned(),
        interface: device.model().interface().to_owned(),
    })
}

/// The server's state, for a user.
pub(crate) fn report(house: &House, viewer: u32) -> Result<Answer, Refused> {
    let text = serde_json::to_vec(&house.status(viewer)).map_err(|error| Refused::new(Refusal::Failed, error))?;
    let file = memfd::freeze(c"uaccel-status", &text).map_err(|error| Refused::system("make a report", &error))?;
    Ok(Answer { reply: Reply::Status { len: text.len() as u64 }, descriptors: vec![file] })
}

/// Closes a queue, if the device lets go of it in time.
fn release(house: &House, open: &OpenQueue, within: Duration) -> bool {
    let device = &house.devices[open.device];
    let quiet = device.close(&open.queue, within) == Quiet::Proven;
    if quiet {
        // The client has this eventfd too, so it would stay in the set when it is closed here.
        device.remove_bell(open.queue.backing().bell());
    }
    quiet
}

fn find_device(house: &House, index: u32) -> Result<(usize, &Device), Refused> {
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    let device = house.devices.get(at).ok_or_else(|| {
        let text = format!("there is no device {index}; the server has {}, from 0 on", house.devices.len());
        Refused::new(Refusal::NoSuchDevice, text)
    })?;
    Ok((at, device))
}

fn answered(reply: Reply) -> Option<Answer> {
    Some(reply.into())
}

fn bounded(within: u64) -> Duration {
    Duration::from_nanos(within).min(LONGEST)
}
