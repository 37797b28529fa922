//! What processes hold, over time: memory, descriptors, threads. What grows without end is a leak.

use std::collections::BTreeMap;
use std::fs;

/// What a process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Bytes of memory of its own that are present.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

/// Memory that may come on top: allocators keep some, and buffers come and go.
const SLACK: u64 = 32 << 20;
/// Descriptors that may come on top: queues are opened when they are needed.
const DESCRIPTORS: u64 = 16;
/// Looks at a process before the one that later ones are compared with: until then it fills its caches.
const SETTLING: usize = 6;
/// Looks at a process from there on, below which nothing is said of it.
const ENOUGH: usize = 6;

impl Vitals {
    /// Looks at a process. `None` if it is gone.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        // proc_pid_status(5): anonymous resident memory, in kibibytes.
        let memory = field("RssAnon:")? * 1024;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        Some(Self { memory, descriptors, threads: field("Threads:")? })
    }
}

/// What processes held whenever they were looked at.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    seen: BTreeMap<(String, i32), Vec<(Vitals, u64)>>,
}

impl Chart {
    /// Notes a look at a process, and how much it has leaked on purpose.
    pub fn note(&mut self, name: &str, pid: i32, vitals: Vitals, leaked: u64) {
        self.seen.entry((name.to_owned(), pid)).or_default().push((vitals, leaked));
    }

    /// Whoever holds more and more.
    #[must_use]
    pub fn growing(&self) -> Vec<String> {
        self.seen.iter().filter_map(|((name, pid), looks)| growth(name, *pid, looks)).collect()
    }
}

fn growth(name: &str, pid: i32, looks: &[(Vitals, u64)]) -> Option<String> {
    let settled = looks.get(SETTLING..)?;
    let ((first, leaked_before), (last, leaked)) = (*settled.first()?, *settled.last()?);
    // The least of the last looks: a peak is no growth.
    let least = |value: fn(&Vitals) -> u64| settled.iter().rev().take(3).map(|(vitals, _)| value(vitals)).min();
    let memory = least(|vitals| vitals.memory)?.saturating_sub(leaked.saturating_sub(leaked_before));
    let descriptors = least(|vitals| vitals.descriptors)?;
    if settled.len() < ENOUGH {
        return None;
    }
    if memory > first.memory + first.memory / 4 + SLACK {
        return Some(format!("{name} (pid {pid}) grows: from {} to {memory} bytes of memory", first.memory));
    }
    if descriptors > first.descriptors + DESCRIPTORS || last.threads > first.threads + DESCRIPTORS {
        return Some(format!(
            "{name} (pid {pid}) grows: from {} to {descriptors} descriptors, from {} to {} threads",
            first.descriptors, first.threads, last.threads
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(memory: impl Iterator<Item = u64>, leaked: u64) -> Chart {
        let mut chart = Chart::default();
        for (look, memory) in (0..).zip(memory) {
            chart.note("a", 1, Vitals { memory, descriptors: 10, threads: 3 }, leaked * look);
        }
        chart
    }

    #[test]
    fn growth_is_growth_and_a_peak_is_not() {
        let step = 20 << 20;
        assert_eq!(chart((0..20).map(|_| step), 0).growing().len(), 0);
        assert_eq!(chart((0..20).map(|look| look * step), 0).growing().len(), 1);
        assert_eq!(chart((0..20).map(|look| look * step), step).growing().len(), 0, "leaked on purpose");
        assert_eq!(chart((0..20).map(|look| if look == 19 { 100 * step } else { step }), 0).growing().len(), 0);
        assert_eq!(chart((0..11).map(|look| look * 100 * step), 0).growing().len(), 0, "it fills its caches");
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let pid = std::process::id().cast_signed();
        assert!(Vitals::of(pid).is_some_and(|vitals| vitals.memory > 0 && vitals.threads > 0));
        assert_eq!(Vitals::of(i32::MAX), None);
    }
}
