//! The end of a run.

use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{HANGS, Run};
use crate::checker::Fate;
use crate::daemon;
use crate::record::Verdict;
use crate::worker::STOP;

impl Run<'_> {
    /// Lets everybody end, and reads the rest.
    pub(super) fn finish(&mut self) {
        self.actions.clear();
        let folder = self.folder.clone();
        if let Err(error) = fs::write(folder.join(STOP), "") {
            self.problem(format!("{}: {error}", folder.join(STOP).display()));
        }
        self.continue_daemon();
        if self.program.is_some() && self.daemon.is_none() && self.report.problems.is_empty() {
            if let Err(error) = self.start_daemon() {
                self.problem(error.to_string());
            }
            let away = self.away.take();
            self.calm(away);
        }
        for index in 0..self.clients.len() {
            self.clients[index].signal(Signal::SIGCONT);
            let stopped = self.clients[index].stopped.take();
            self.calm(stopped);
        }
        let begun = Instant::now();
        while self.clients.iter().any(|client| client.child.is_some()) && begun.elapsed() < HANGS {
            thread::sleep(Duration::from_millis(10));
            for index in 0..self.clients.len() {
                let client = &mut self.clients[index];
                if let Some(Ok(Some(status))) = client.child.as_mut().map(Child::try_wait) {
                    client.child = None;
                    let (process, life) = (client.orders.process, client.orders.life);
                    self.fates.insert((process, life), Fate::Ended);
                    if !status.success() {
                        self.problem(format!("process {process} ended badly ({status})"));
                    }
                }
            }
        }
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            let (process, life, role) = (client.orders.process, client.orders.life, client.orders.role);
            if let Some(mut child) = client.child.take() {
                self.problem(format!("process {process} ({role}) did not end within {HANGS:?}"));
                let _ = child.kill();
                let _ = child.wait();
                // What it waited for stands in its history, and is found there.
                self.fates.insert((process, life), Fate::Ended);
            }
        }
        self.end_daemon();
        self.read();
        if self.checker.tally().with(Verdict::Right) == 0 {
            self.problem("not one job was done".to_owned());
        }
        if self.plan.soak {
            for growing in self.chart.growing() {
                self.problem(growing);
            }
        }
    }

    /// When all clients are gone, so are their address spaces and queues; and the daemon ends when it is told to.
    pub(super) fn end_daemon(&mut self) {
        let Some(daemon) = self.daemon.take() else { return };
        let begun = Instant::now();
        loop {
            match daemon.status() {
                Ok(status) if status.clients.is_empty() && status.queues() == 0 => break,
                Ok(status) if begun.elapsed() > daemon::PATIENCE => {
                    self.problem(format!(
                        "all clients are gone, and the daemon has {} address spaces and {} queues: {status:?}",
                        status.clients.len(),
                        status.queues()
                    ));
                    break;
                }
                Ok(_) => thread::sleep(Duration::from_millis(20)),
                Err(error) => {
                    self.problem(error.to_string());
                    break;
                }
            }
        }
        if let Err(error) = daemon.end() {
            self.problem(error.to_string());
        }
    }
}
