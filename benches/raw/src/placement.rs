//! Where the two threads of a measurement run.

use std::fmt;
use std::io;
use std::marker::PhantomData;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::error::RawError;

/// The CPUs the calling thread may run on, in ascending order.
///
/// # Errors
///
/// [`RawError::UsableCpus`] if the kernel refuses to say, as it does on machines with more CPUs than a `cpu_set_t`
/// has bits.
pub fn usable_cpus() -> Result<Vec<usize>, RawError> {
    Ok(numbers(&affinity()?))
}

fn affinity() -> Result<CpuSet, RawError> {
    // Process 0 is the calling thread.
    sched_getaffinity(Pid::from_raw(0)).map_err(|e| RawError::UsableCpus(e.into()))
}

fn numbers(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect()
}

/// Keeps the calling thread on one CPU until it is dropped, then gives the thread its former CPU set back.
///
/// Pins may be nested; they must be dropped in the reverse order, as local variables are.
#[derive(Debug)]
#[must_use = "the thread is pinned only as long as this value lives"]
pub struct Pin {
    cpu: usize,
    before: CpuSet,
    /// A pin belongs to the thread that took it: neither `Send` nor `Sync`.
    thread: PhantomData<*const ()>,
}

/// Moves the calling thread to `cpu` and keeps it there as long as the result lives.
///
/// # Errors
///
/// [`RawError::Pin`] if the kernel refuses; the thread then stays where it was.
pub fn pin(cpu: usize) -> Result<Pin, RawError> {
    let refused = |e: nix::Error| RawError::Pin { cpu, source: e.into() };
    let before = affinity()?;
    let mut only = CpuSet::new();
    only.set(cpu).map_err(refused)?;
    if before != only {
        sched_setaffinity(Pid::from_raw(0), &only).map_err(refused)?;
    }
    Ok(Pin { cpu, before, thread: PhantomData })
}

impl Pin {
    /// The CPU.
    #[must_use]
    pub fn cpu(&self) -> usize {
        self.cpu
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // It can fail only if the former CPUs have been taken away in the meantime. The thread then stays where it
        // is, which is all that could be done anyway.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

/// The two CPUs of a measurement: one for the caller, one for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    caller: usize,
    engine: Option<usize>,
}

impl Placement {
    /// Takes the first usable CPU for the caller and, for the engine, the first other usable one that is not a
    /// hardware thread of the same core. If there is none, it takes another thread of that core.
    ///
    /// With one usable CPU the placement has no engine CPU: limits between two CPUs then say
    /// [`RawError::NeedsTwoCpus`]; the others work.
    ///
    /// # Errors
    ///
    /// [`RawError::UsableCpus`].
    pub fn detect() -> Result<Self, RawError> {
        let cpus = usable_cpus()?;
        let (&caller, others) = cpus
            .split_first()
            .ok_or_else(|| RawError::UsableCpus(io::Error::other("the set of usable CPUs is empty")))?;
        let own_core = core_of(caller);
        let engine = others
            .iter()
            .copied()
            .find(|&cpu| own_core.is_none() || core_of(cpu) != own_core)
            .or_else(|| others.first().copied());
        Ok(Self { caller, engine })
    }

    /// A placement chosen by hand. Two equal numbers give [`Placement::on_one_cpu`].
    ///
    /// Whether the CPUs are usable is found out when a thread is pinned to them.
    #[must_use]
    pub fn between(caller: usize, engine: usize) -> Self {
        Self { caller, engine: (caller != engine).then_some(engine) }
    }

    /// A placement with no CPU for an engine.
    #[must_use]
    pub fn on_one_cpu(caller: usize) -> Self {
        Self { caller, engine: None }
    }

    /// CPU of the calling thread.
    #[must_use]
    pub fn caller(&self) -> usize {
        self.caller
    }

    /// CPU of the engine thread, if there is a second CPU.
    #[must_use]
    pub fn engine(&self) -> Option<usize> {
        self.engine
    }

    /// The engine's CPU, for a limit that cannot do without.
    pub(crate) fn engine_for(&self, limit: &str) -> Result<usize, RawError> {
        self.engine.ok_or_else(|| RawError::NeedsTwoCpus { limit: limit.to_owned(), only: self.caller })
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(engine) = self.engine else {
            return write!(f, "caller on CPU {}, no second CPU", self.caller);
        };
        let relation = match (core_of(self.caller), core_of(engine)) {
            (Some(a), Some(b)) if a == b => "two threads of one core",
            (Some(a), Some(b)) if a.package == b.package => "two cores of one package",
            (Some(_), Some(_)) => "two packages",
            _ => "relation unknown",
        };
        write!(f, "caller on CPU {}, engine on CPU {engine} ({relation})", self.caller)
    }
}

/// Which core a CPU is a thread of, as the kernel says.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Core {
    package: u64,
    core: u64,
}

fn core_of(cpu: usize) -> Option<Core> {
    let read = |what: &str| {
        std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/{what}")).ok()?.trim().parse().ok()
    };
    Some(Core { package: read("physical_package_id")?, core: read("core_id")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_holds_while_it_lives_and_the_old_set_comes_back() {
        let before = usable_cpus().expect("usable CPUs");
        let last = *before.last().expect("one CPU at least");
        let outer = pin(before[0]).expect("a usable CPU");
        {
            let inner = pin(last).expect("a usable CPU outside the present set");
            assert_eq!(inner.cpu(), last);
            assert_eq!(usable_cpus().expect("usable CPUs"), [last]);
        }
        assert_eq!(usable_cpus().expect("usable CPUs"), [outer.cpu()]);
        drop(outer);
        assert_eq!(usable_cpus().expect("usable CPUs"), before);
    }

    #[test]
    fn a_refused_pin_is_an_error_and_moves_nothing() {
        let before = usable_cpus().expect("usable CPUs");
        let beyond = CpuSet::count();
        assert!(matches!(pin(beyond), Err(RawError::Pin { cpu, .. }) if cpu == beyond));
        if !before.contains(&(beyond - 1)) {
            assert!(matches!(pin(beyond - 1), Err(RawError::Pin { .. })));
        }
        assert_eq!(usable_cpus().expect("usable CPUs"), before);
    }

    #[test]
    fn the_detected_cpus_are_usable_and_differ() {
        let cpus = usable_cpus().expect("usable CPUs");
        let placement = Placement::detect().expect("placement");
        assert!(cpus.contains(&placement.caller()));
        assert_eq!(placement.engine().is_some(), cpus.len() > 1);
        if let Some(engine) = placement.engine() {
            assert!(cpus.contains(&engine));
            assert_ne!(engine, placement.caller());
        }
        assert!(placement.to_string().contains(&format!("CPU {}", placement.caller())));
    }

    #[test]
    fn the_same_cpu_twice_is_one_cpu() {
        assert_eq!(Placement::between(3, 3), Placement::on_one_cpu(3));
        assert!(matches!(Placement::between(3, 3).engine_for("x"), Err(RawError::NeedsTwoCpus { only: 3, .. })));
        assert_eq!(Placement::between(0, 1).engine(), Some(1));
    }
}
