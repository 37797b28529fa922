//! Clients that speak the protocol by hand, and mean harm: they get nowhere, and nobody notices.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use memmap2::{MmapOptions, MmapRaw};
use uaccel_devd_protocol::{Channel, HelloFlags, Priority, Reply, Request, VERSION};
use uaccel_warp_abi::{Descriptor, DescriptorFlags, Geometry, Mode, user_page};

use crate::bench::{PATIENCE, eventually};
use crate::pages::{PAGE, Pages};
use crate::process::Tongue;
use crate::server::Server;
use crate::workload::Workload;

/// How long it waits for anything: it has more to do.
const HASTE: Duration = Duration::from_secs(1);

/// Random numbers.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number that somebody might not have thought of.
    fn odd(&mut self) -> u64 {
        match self.below(6) {
            0 => u64::MAX - self.below(4096),
            1 => 1 << self.below(64),
            2 => self.below(4096),
            3 => 0,
            4 => self.next() & 0x7fff_ffff_ffff,
            _ => self.next(),
        }
    }
}

/// A connection that keeps to the rules as far as its owner wants.
struct Hand {
    channel: Channel,
    serial: u32,
    /// A page with the canary. It stays where it is as long as the connection.
    gate: Pages,
}

impl Hand {
    fn connect(socket: &Path) -> Option<Self> {
        let channel = Channel::connect(socket, HASTE).ok()?;
        Some(Self { channel, serial: 0, gate: Pages::untouched(PAGE) })
    }

    fn ask(&mut self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Option<(Reply, Vec<OwnedFd>)> {
        self.serial += 1;
        self.channel.send(&request.encode(self.serial), descriptors, HASTE).ok()?;
        let packet = self.channel.receive(HASTE).ok()?;
        let (_, reply) = Reply::decode(&packet.bytes, packet.descriptors.len()).ok()?;
        Some((reply, packet.descriptors))
    }

    fn greet(&mut self) -> Option<Reply> {
        let canary = [0x5eed, 0xcafe];
        self.gate.write(0, &canary.map(u64::to_ne_bytes).concat());
        let mem = OpenOptions::new().read(true).write(true).open("/proc/self/mem").ok()?;
        let maps = File::open("/proc/self/maps").ok()?;
        let hello = Request::Hello {
            version: VERSION,
            flags: HelloFlags::empty(),
            priority: Priority::High,
            gate: self.gate.start().expose_provenance() as u64,
            canary,
        };
        self.ask(&hello, &[mem.as_fd(), maps.as_fd()]).map(|(reply, _)| reply)
    }
}

fn map(file: &OwnedFd, len: usize) -> Option<MmapRaw> {
    MmapOptions::new().len(len).map_raw(file).ok()
}

/// Stores a word where the daemon may be looking.
fn store(map: &MmapRaw, offset: usize, value: u64) {
    assert!(offset + 8 <= map.len() && offset.is_multiple_of(8));
    // SAFETY: an aligned word within the mapping; the daemon accesses it by atomics as well.
    unsafe { std::sync::atomic::AtomicU64::from_ptr(map.as_mut_ptr().add(offset).cast()) }
        .store(value, std::sync::atomic::Ordering::Release);
}

/// The role: does its worst until it is told to end.
pub(crate) fn role(tongue: &Tongue, socket: &str, seed: u64) {
    let mut dice = Dice(seed);
    tongue.say("ready");
    for _ in 0..60 {
        match dice.below(4) {
            0 => babble(Path::new(socket), &mut dice),
            1 => demand(Path::new(socket), &mut dice),
            _ => scribble(Path::new(socket), &mut dice),
        };
    }
    tongue.say("done");
    tongue.hear();
}

/// Messages that are none, with descriptors of all kinds.
fn babble(socket: &Path, dice: &mut Dice) -> Option<()> {
    let mut hand = Hand::connect(socket)?;
    if dice.below(2) == 0 {
        hand.greet()?;
    }
    let null = File::open("/dev/null").ok()?;
    let zero = File::open("/dev/zero").ok()?;
    let exe = File::open("/proc/self/exe").ok()?;
    for _ in 0..20 {
        let len = dice.below(200) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| dice.next() as u8).collect();
        if dice.below(2) == 0 {
            // As good as right: 64 bytes and a kind that there is.
            bytes.resize(64, 0);
            bytes[..4].copy_from_slice(&(dice.below(13) as u32).to_le_bytes());
            bytes[12..16].fill(0);
        }
        let all = [null.as_fd(), zero.as_fd(), exe.as_fd()];
        hand.channel.send(&bytes, &all[..dice.below(4) as usize], HASTE).ok()?;
        // Answers are not fetched, or now and then.
        if dice.below(3) == 0 {
            hand.channel.receive(Duration::ZERO).ok()?;
        }
    }
    Some(())
}

/// Proper requests with wild figures: rings, registers, windows, queues of others.
fn demand(socket: &Path, dice: &mut Dice) -> Option<()> {
    let mut hand = Hand::connect(socket)?;
    hand.greet()?;
    let mut queues = Vec::new();
    for _ in 0..40 {
        let queue = if dice.below(4) == 0 { dice.odd() as u32 } else { *queues.last().unwrap_or(&0) };
        let request = match dice.below(9) {
            0 => Request::Open { index: dice.below(3) as u32 },
            1 => Request::Ring { queue, len: dice.odd() },
            2 | 3 => Request::Control { queue, offset: user_page::ENABLE as u64, value: dice.below(3) },
            4 => Request::Control { queue, offset: dice.odd(), value: dice.odd() },
            5 => Request::Stop { queue, within: dice.below(1 << 28) },
            6 => Request::Reset { queue, within: dice.below(1 << 28) },
            7 => Request::Close { queue },
            _ => Request::Unwindow { id: dice.odd() },
        };
        let (reply, _) = hand.ask(&request, &[])?;
        if let Reply::Opened { queue } = reply {
            queues.push(queue);
        }
        if dice.below(8) == 0 {
            // A window that is not sealed, is shorter than it says, and shrinks afterwards.
            let file = nix::sys::memfd::memfd_create(c"w", nix::sys::memfd::MFdFlags::MFD_ALLOW_SEALING).ok()?;
            nix::unistd::ftruncate(&file, 4096).ok()?;
            let window = Request::Window { address: dice.odd() & !4095, len: 4096 * (1 + dice.below(8)) };
            hand.ask(&window, &[file.as_fd()])?;
            nix::unistd::ftruncate(&file, 0).ok()?;
        }
    }
    Some(())
}

/// A queue that works, with everything in it that its owner can write.
fn scribble(socket: &Path, dice: &mut Dice) -> Option<()> {
    let mut hand = Hand::connect(socket)?;
    hand.greet()?;
    let (Reply::Opened { queue }, descriptors) = hand.ask(&Request::Open { index: 0 }, &[])? else { return None };
    let [page, _signal, bell] = <[OwnedFd; 3]>::try_from(descriptors).ok()?;
    let page = map(&page, PAGE)?;
    let geometry = Geometry::new(1 + dice.below(8) as u8, dice.below(20) as u16, Mode::Ring).ok()?;
    let len = geometry.size();
    let (Reply::Ring { address, len, .. }, files) = hand.ask(&Request::Ring { queue, len: len as u64 }, &[])? else {
        return None;
    };
    let file = files.into_iter().next()?;
    let rings = map(&file, len as usize)?;
    // The daemon's memory can be made neither shorter nor longer by whoever has it.
    assert!(nix::unistd::ftruncate(&file, 0).is_err() && nix::unistd::ftruncate(&file, 1 << 30).is_err());
    let base = if dice.below(3) == 0 { address.wrapping_add(dice.odd() & !63) } else { address };
    store(&page, user_page::RING_BASE, base);
    store(&page, user_page::GEOMETRY, if dice.below(4) == 0 { dice.odd() } else { geometry.register() });
    hand.ask(&Request::Control { queue, offset: user_page::ENABLE as u64, value: 1 }, &[])?;
    let target = Pages::untouched(16 * PAGE);
    for _ in 0..200 {
        match dice.below(5) {
            0 => store(&rings, (dice.below(rings.len() as u64 / 8) * 8) as usize, dice.odd()),
            1 => store(&page, (dice.below(512) * 8) as usize, dice.odd()),
            2 => {
                // Rung for nothing, as often as can be.
                for _ in 0..50 {
                    nix::unistd::write(&bell, &1_u64.to_ne_bytes()).ok()?;
                }
            }
            _ => {
                // A descriptor that is right but for one thing. Its memory is its owner's own loss.
                let descriptor = Descriptor {
                    token: dice.next() as u32,
                    opcode: dice.below(24) as u8,
                    flags: DescriptorFlags::from_bits_retain(if dice.below(4) == 0 { dice.next() as u8 } else { 0 }),
                    session: dice.below(24) as u16,
                    source: target.start().addr() as u64 + dice.below(PAGE as u64),
                    source_len: dice.below(8 * PAGE as u64) as u32,
                    destination: target.at_offset(8 * PAGE).addr() as u64 + dice.below(PAGE as u64),
                    destination_len: dice.below(7 * PAGE as u64) as u32,
                    ..Descriptor::default()
                };
                let mut words = descriptor.encode(dice.below(2) == 0);
                if dice.below(3) == 0 {
                    // Not the addresses that are written to: this process shall live.
                    words[[0, 2, 4, 5, 6][dice.below(5) as usize]] = dice.odd();
                    words[2] = words[2] & 0xffff_ffff | (words[2] >> 32).min(7 * PAGE as u64) << 32;
                }
                let entries = geometry.entries() as u64;
                let line = Geometry::SUBMISSIONS + dice.below(entries) as usize * Descriptor::SIZE;
                (line..).step_by(8).zip(words).for_each(|(at, word)| store(&rings, at, word));
                nix::unistd::write(&bell, &1_u64.to_ne_bytes()).ok()?;
            }
        }
    }
    // Leaves as it stands, or politely.
    if dice.below(2) == 0 {
        hand.ask(&Request::Stop { queue, within: 1 << 28 }, &[])?;
        hand.ask(&Request::Close { queue }, &[])?;
    }
    // What jobs may still be written to stays until the daemon has hung up or this process ends.
    std::mem::forget(target);
    std::mem::forget(hand.gate);
    Some(())
}

#[test]
fn clients_that_mean_harm_get_nowhere_and_nobody_notices() {
    let mut server = Server::start();
    let bystander = server.builder().queues(1).build().expect("a runtime");
    let workload = Workload::new(&bystander, 1);
    let mut lease = bystander.lease().expect("a queue");
    let mut clients: Vec<_> = (0..3).map(|seed| server.client("hostile", &seed.to_string())).collect();
    clients.iter_mut().for_each(|client| client.expect("ready"));
    let mut left = clients.len();
    let mut rounds = 0;
    let begun = std::time::Instant::now();
    while left != 0 {
        assert!(begun.elapsed() < PATIENCE, "{left} of them are not done");
        workload.round(&mut lease, rounds).expect("others go on");
        rounds += 1;
        left -= clients.iter().filter(|client| client.has_spoken().is_some()).count();
    }
    clients.iter_mut().for_each(crate::process::Process::kill);
    eventually("they are gone", || server.status().clients.len() == 1);
    let device = server.status().devices.remove(0);
    assert_eq!((device.queues_open, device.leaked_queues), (1, 0));
    workload.round(&mut lease, rounds).expect("others go on");
    assert_eq!(bystander.counters().resets, 0);
}
