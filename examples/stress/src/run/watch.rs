//! What is looked at while a run goes on: who lives, what was written, what everybody holds.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use super::{HANGS, Run, falls_back};
use crate::checker::{Circumstances, Fate};
use crate::clock;
use crate::log::{History, Name, State};
use crate::vitals::Vitals;
use crate::worker::Role;

impl Run<'_> {
    /// Sees whether somebody has ended who should not.
    pub(super) fn reap(&mut self) {
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if let Some(Ok(Some(status))) = client.child.as_mut().map(Child::try_wait) {
                let (process, role) = (client.orders.process, client.orders.role);
                client.child = None;
                self.fates.insert((process, client.orders.life), Fate::Ended);
                self.problem(format!("process {process} ({role}) ended by itself ({status})"));
            }
        }
        if let Some(daemon) = &mut self.daemon
            && let Ok(Some(status)) = daemon.ended()
        {
            self.daemon = None;
            self.problem(format!("the daemon ended by itself ({status})"));
        }
    }

    /// The histories there are, each thread's segments in their order.
    pub(super) fn histories(&mut self) -> Vec<(Name, PathBuf)> {
        let mut found = Vec::new();
        match fs::read_dir(&self.folder) {
            Ok(entries) => {
                found.extend(
                    entries
                        .filter_map(Result::ok)
                        .filter_map(|entry| Some((Name::of_file(entry.file_name().to_str()?)?, entry.path()))),
                );
            }
            Err(error) => self.problem(format!("{}: {error}", self.folder.display())),
        }
        found.sort_unstable();
        found
    }

    /// Whether a life goes on.
    pub(super) fn lives(&self, name: &Name) -> bool {
        !self.fates.contains_key(&(name.process, name.life))
    }

    /// Looks for threads that have not done anything for long.
    pub(super) fn feel(&mut self) {
        let now = clock::now();
        for (name, path) in self.histories() {
            let stopped = self.clients.get(name.process as usize).is_some_and(|client| client.stopped.is_some());
            if !self.lives(&name) || stopped || self.away.is_some() {
                continue;
            }
            let Ok(glance) = History::glance(&path) else { continue };
            let silent = Duration::from_nanos(now.saturating_sub(glance.alive));
            if glance.state == State::Open && silent > HANGS {
                let Name { process, life, thread, .. } = name;
                self.problem(format!("process {process}, life {life}, thread {thread} hangs: nothing for {silent:?}"));
            }
        }
    }

    /// Reads and checks what is finished, and throws away what is good.
    pub(super) fn read(&mut self) {
        let mut waits: Option<Name> = None;
        for (name, path) in self.histories() {
            let thread = Name { segment: 0, ..name };
            if waits == Some(thread) {
                continue;
            }
            let fate = self.fates.get(&(name.process, name.life)).copied();
            let sealed = History::glance(&path).is_ok_and(|glance| glance.state != State::Open);
            if fate.is_none() && !sealed {
                waits = Some(thread);
                continue;
            }
            let before = self.checker.tally().findings;
            match History::read(&path) {
                Ok(history) => {
                    let circumstances = Circumstances {
                        fate: fate.unwrap_or(Fate::Ended),
                        falls_back: falls_back(name.process),
                        disturbances: &self.disturbances,
                    };
                    self.checker.check(name, &history, &circumstances);
                }
                // Killed before it could write the first word.
                Err(_) if fate == Some(Fate::Killed) => {}
                Err(error) => self.problem(error.to_string()),
            }
            // A file that has something to say is kept, under a name that is not read again.
            let result = if self.checker.tally().findings == before {
                fs::remove_file(&path)
            } else {
                fs::rename(&path, path.with_extension("bad"))
            };
            if let Err(error) = result {
                self.problem(format!("{}: {error}", path.display()));
            }
        }
    }

    /// Looks at what everybody holds.
    pub(super) fn look(&mut self, since: Duration) -> String {
        let mut leaked: HashMap<(u32, u32), u64> = HashMap::new();
        for (name, path) in self.histories() {
            if self.lives(&name)
                && let Ok(glance) = History::glance(&path)
            {
                // Each segment says what its thread has leaked so far.
                let most = leaked.entry((name.process, name.thread)).or_default();
                *most = (*most).max(glance.leaked);
            }
        }
        let mut total = Vitals::default();
        let clients = self.clients.iter().filter_map(|client| {
            // One that becomes another program is a new one each time.
            let pid = client.pid().filter(|_| client.orders.role != Role::Execs)?;
            Some((client.orders.process, pid, Vitals::of(pid)?))
        });
        for (process, pid, vitals) in clients.collect::<Vec<_>>() {
            let leaked = leaked.iter().filter(|((other, _), _)| *other == process).map(|(_, bytes)| bytes).sum();
            self.chart.note(&format!("process {process}"), pid, vitals, leaked);
            total.memory += vitals.memory;
            total.descriptors += vitals.descriptors;
            total.threads += vitals.threads;
        }
        let mut line = format!(
            "{:>6} s: clients {} MiB, {} descriptors, {} threads",
            since.as_secs(),
            total.memory >> 20,
            total.descriptors,
            total.threads
        );
        if let Some(daemon) = self.daemon.as_ref().filter(|daemon| !daemon.stopped) {
            let pid = daemon.pid().as_raw();
            if let Some(vitals) = Vitals::of(pid) {
                self.chart.note("the daemon", pid, vitals, 0);
                line += &format!(
                    "; daemon {} MiB, {} descriptors, {} threads",
                    vitals.memory >> 20,
                    vitals.descriptors,
                    vitals.threads
                );
            }
            match daemon.status() {
                Ok(status) => {
                    line += &format!(
                        ", {} address spaces (highest number {}), {} queues ({} leaked), {} jobs",
                        status.clients.len(),
                        status.highest_pasid(),
                        status.queues(),
                        status.leaked(),
                        status.devices.iter().map(|device| device.jobs).sum::<u64>()
                    );
                    // Each process has one, one that was just killed another, and a child yet another.
                    let most = 4 * self.clients.len() as u64;
                    if status.highest_pasid() > most {
                        self.problem(format!(
                            "{} clients, and an address space with the number {}: numbers do not come back",
                            self.clients.len(),
                            status.highest_pasid()
                        ));
                    }
                }
                Err(error) => self.problem(error.to_string()),
            }
        }
        line
    }
}
