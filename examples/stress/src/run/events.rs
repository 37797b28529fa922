//! What is done to daemon and clients, when it is due.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Action, Run};
use crate::checker::Fate;
use crate::daemon::Daemon;
use crate::disturbance::Kind;
use crate::schedule::Event;

impl Run<'_> {
    pub(super) fn later(&mut self, after: Duration, action: Action) {
        self.actions.push((Instant::now() + after, action));
    }

    /// Does what is due.
    pub(super) fn act(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        self.actions.retain(|(at, action)| {
            let is_due = *at <= now;
            if is_due {
                due.push((*at, *action));
            }
            !is_due
        });
        due.sort_by_key(|(at, _)| *at);
        for (_, action) in due {
            match action {
                Action::Event(event) => {
                    if self.plan.verbose {
                        println!("{event}");
                    }
                    self.happen(event);
                }
                Action::ContinueClient { process, life } => {
                    let client = &mut self.clients[process as usize];
                    if client.orders.life == life {
                        client.signal(Signal::SIGCONT);
                        let stopped = client.stopped.take();
                        self.calm(stopped);
                    }
                }
                Action::ContinueDaemon => self.continue_daemon(),
                Action::StartDaemon => {
                    if let Err(error) = self.start_daemon() {
                        self.problem(error.to_string());
                    }
                    let away = self.away.take();
                    self.calm(away);
                }
            }
        }
    }

    pub(super) fn continue_daemon(&mut self) {
        if let Some(daemon) = self.daemon.as_mut().filter(|daemon| daemon.stopped) {
            daemon.signal(Signal::SIGCONT);
            let away = self.away.take();
            self.calm(away);
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        // What is stopped or away already is left alone.
        let steady = self.daemon.as_ref().is_some_and(|daemon| !daemon.stopped);
        match event {
            Event::KillClient { process } => {
                self.count("clients killed");
                let client = &mut self.clients[process as usize];
                if let Some(mut child) = client.child.take() {
                    let _ = child.kill();
                    let _ = child.wait();
                }
                self.fates.insert((process, client.orders.life), Fate::Killed);
                let stopped = client.stopped.take();
                client.orders.life += 1;
                self.calm(stopped);
                if let Err(error) = self.start_client(process as usize) {
                    self.problem(format!("starting a client: {error}"));
                }
            }
            Event::StopClient { process, time } if self.clients[process as usize].stopped.is_none() => {
                self.count("clients stopped");
                let disturbance = self.disturb(Some(process), Kind::Stopped);
                let client = &mut self.clients[process as usize];
                client.signal(Signal::SIGSTOP);
                client.stopped = Some(disturbance);
                let life = client.orders.life;
                self.later(time, Action::ContinueClient { process, life });
            }
            Event::StopDaemon { time } if steady => {
                self.count("daemons stopped");
                self.away = Some(self.disturb(None, Kind::Stopped));
                if let Some(daemon) = &mut self.daemon {
                    daemon.signal(Signal::SIGSTOP);
                }
                self.later(time, Action::ContinueDaemon);
            }
            Event::KillDaemon { away } if steady => {
                self.count("daemons killed");
                self.leave();
                if let Some(daemon) = self.daemon.take() {
                    daemon.kill();
                }
                self.later(away, Action::StartDaemon);
            }
            Event::EndDaemon { away } if steady => {
                self.count("daemons told to end");
                self.leave();
                if let Some(Err(error)) = self.daemon.take().map(Daemon::end) {
                    self.problem(error.to_string());
                }
                self.later(away, Action::StartDaemon);
            }
            Event::StopClient { .. }
            | Event::StopDaemon { .. }
            | Event::KillDaemon { .. }
            | Event::EndDaemon { .. } => {
                self.count("left out: already stopped or away");
            }
        }
    }

    /// The daemon goes away, and with it what it did wrong.
    pub(super) fn leave(&mut self) {
        self.away = Some(self.disturb(None, Kind::Gone));
        let faulty = self.faulty.take();
        self.calm(faulty);
    }
}
