//! All limits by name, for a tool that prints them.

use crate::between::BetweenProcesses;
use crate::dynqueue::DynQueue;
use crate::errand::Errand;
use crate::error::RawError;
use crate::limit::Limit;
use crate::mailbox::Mailbox;
use crate::memory::{Clock, CompareAndSwap, CopyHot, ReadOwnProcess};
use crate::partner::Launcher;
use crate::pingpong::{Lines, PingPong};
use crate::placement::Placement;
use crate::rings::{RingShape, Rings};
use crate::wake::{Bell, Wake};

/// How a limit is set up.
#[derive(Clone, Debug)]
enum Open {
    /// With what this process has.
    Here(fn(Placement) -> Result<Box<dyn Limit>, RawError>),
    /// With another process, which does this with so many bytes.
    Between(Launcher, Errand, usize),
}

/// A limit that can be opened.
#[derive(Clone, Debug)]
pub struct Entry {
    name: &'static str,
    two_cpus: bool,
    open: Open,
}

impl Entry {
    /// The limit's name, that of [`Limit::name`]. The part before the slash is the group.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the limit is one between two CPUs.
    #[must_use]
    pub fn needs_two_cpus(&self) -> bool {
        self.two_cpus
    }

    /// Sets the limit up; it can then be measured as often as wished.
    ///
    /// # Errors
    ///
    /// Those of the limit's own constructor.
    pub fn open(&self, placement: Placement) -> Result<Box<dyn Limit>, RawError> {
        match &self.open {
            Open::Here(open) => open(placement),
            Open::Between(launcher, errand, bytes) => {
                BetweenProcesses::new(placement, launcher, *errand, *bytes).map(boxed)
            }
        }
    }
}

fn boxed(limit: impl Limit + 'static) -> Box<dyn Limit> {
    Box::new(limit)
}

/// All limits in the order in which a reader wants them: signalling, null devices, one thread, sleeping, memory.
#[must_use]
pub fn catalogue() -> Vec<Entry> {
    let across = |name, open| Entry { name, two_cpus: true, open: Open::Here(open) };
    let alone = |name, open| Entry { name, two_cpus: false, open: Open::Here(open) };
    vec![
        across("pingpong/one-line", |p| PingPong::new(p, Lines::One).map(boxed)),
        across("pingpong/two-lines", |p| PingPong::new(p, Lines::Two).map(boxed)),
        across("mailbox/depth-1", |p| Mailbox::new(p, 1).map(boxed)),
        across("mailbox/depth-1-of-256", |p| Mailbox::in_row(p, 1, 256).map(boxed)),
        across("mailbox/depth-4", |p| Mailbox::new(p, 4).map(boxed)),
        across("mailbox/depth-32", |p| Mailbox::new(p, 32).map(boxed)),
        across("rings/depth-128-burst-32-by-8", |p| Rings::new(p, RingShape::default()).map(boxed)),
        across("rings/depth-256-burst-32-by-8", |p| {
            Rings::new(p, RingShape { depth: 256, ..RingShape::default() }).map(boxed)
        }),
        alone("dynqueue/burst-1", |p| DynQueue::new(p, 1).map(boxed)),
        alone("dynqueue/burst-4", |p| DynQueue::new(p, 4).map(boxed)),
        alone("dynqueue/burst-32", |p| DynQueue::new(p, 32).map(boxed)),
        across("wake/futex-two-cpus", |p| Wake::across(p, Bell::Futex).map(boxed)),
        alone("wake/futex-one-cpu", |p| Wake::on_one_cpu(p, Bell::Futex).map(boxed)),
        across("wake/eventfd-two-cpus", |p| Wake::across(p, Bell::EventFd).map(boxed)),
        alone("wake/eventfd-one-cpu", |p| Wake::on_one_cpu(p, Bell::EventFd).map(boxed)),
        alone("memory/copy-4KiB", |p| CopyHot::new(p, 4 << 10).map(boxed)),
        alone("memory/copy-64KiB", |p| CopyHot::new(p, 64 << 10).map(boxed)),
        alone("memory/process-vm-readv-4KiB", |p| ReadOwnProcess::new(p, 4 << 10).map(boxed)),
        alone("memory/clock", |p| Ok(boxed(Clock::new(p)))),
        alone("memory/compare-and-swap", |p| Ok(boxed(CompareAndSwap::new(p)))),
    ]
}

/// The limits between two processes, of which `launcher` starts the second.
#[must_use]
pub fn catalogue_of_processes(launcher: &Launcher) -> Vec<Entry> {
    let between =
        |name, errand, bytes| Entry { name, two_cpus: true, open: Open::Between(launcher.clone(), errand, bytes) };
    vec![
        between("processes/mailbox", Errand::Answer, 1),
        between("processes/copy-by-call-256B", Errand::CopyByCall, 256),
        between("processes/copy-by-call-4KiB", Errand::CopyByCall, 4 << 10),
        between("processes/copy-by-call-64KiB", Errand::CopyByCall, 64 << 10),
        between("processes/copy-by-file-4KiB", Errand::CopyByFile, 4 << 10),
        between("processes/copy-by-file-64KiB", Errand::CopyByFile, 64 << 10),
        between("processes/copy-in-place-4KiB", Errand::CopyInPlace, 4 << 10),
        between("processes/futex", Errand::Wake, 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_gives_a_finite_positive_figure_each_time() {
        let _alone = crate::limit::alone();
        let placement = Placement::detect().expect("placement");
        for entry in catalogue() {
            let mut limit = match entry.open(placement) {
                Err(RawError::NeedsTwoCpus { .. }) if entry.needs_two_cpus() && placement.engine().is_none() => {
                    continue;
                }
                // A sandbox may filter the call; that is what the error is for.
                Err(RawError::Os { call: "process_vm_readv", .. }) => continue,
                other => other.unwrap_or_else(|e| panic!("{}: {e}", entry.name())),
            };
            assert_eq!(limit.name(), entry.name());
            assert!(!limit.explanation().is_empty());
            assert!(limit.suggested_operations() > 0);
            for operations in [1, 5, 20] {
                let ns = limit.measure(operations).unwrap_or_else(|e| panic!("{}: {e}", entry.name()));
                assert!(ns.is_finite() && ns > 0.0, "{}: {ns}", entry.name());
            }
            assert!(matches!(limit.measure(0), Err(RawError::BadParameter { .. })));
        }
    }

    #[test]
    fn on_one_cpu_the_limits_between_two_say_so_and_the_others_work() {
        let _alone = crate::limit::alone();
        let cpu = Placement::detect().expect("placement").caller();
        for entry in catalogue() {
            match entry.open(Placement::on_one_cpu(cpu)) {
                Err(RawError::NeedsTwoCpus { limit, only }) => {
                    assert!(entry.needs_two_cpus());
                    assert_eq!((limit.as_str(), only), (entry.name(), cpu));
                }
                Err(RawError::Os { call: "process_vm_readv", .. }) => {}
                other => {
                    assert!(!entry.needs_two_cpus(), "{} did not notice", entry.name());
                    other.unwrap_or_else(|e| panic!("{}: {e}", entry.name()));
                }
            }
        }
    }

    #[test]
    fn limits_of_one_kind_can_stand_side_by_side_and_move_to_another_thread() {
        let _alone = crate::limit::alone();
        let placement = Placement::detect().expect("placement");
        if placement.engine().is_none() {
            return;
        }
        let mut one = Mailbox::new(placement, 1).expect("mailbox");
        let mut other = Mailbox::new(placement, 3).expect("mailbox");
        let moved = std::thread::spawn(move || {
            for _ in 0..3 {
                one.measure(20).expect("first");
                other.measure(20).expect("second");
            }
        });
        moved.join().expect("no panic");
    }
}
