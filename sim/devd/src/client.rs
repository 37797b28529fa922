//! One client: its address space, its queues, its windows.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use uaccel_devd_protocol::Priority;
use uaccel_sim::pool::{Account, AccountStats};

use crate::limits::Place;
use crate::memory::ClientMemory;
use crate::pasid::Pasid;

/// One client, as it is known to all: what a status report is made of.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) pasid: Pasid,
    pub(crate) pid: Option<i32>,
    pub(crate) uid: u32,
    pub(crate) command: String,
    pub(crate) priority: Priority,
    pub(crate) memory: ClientMemory,
    pub(crate) connected: Instant,
    /// How many queues are open.
    pub(crate) queues: AtomicUsize,
    /// What each device has done for it. Devices are shared out each for itself.
    accounts: Mutex<Vec<Option<Arc<Account>>>>,
    /// Its place among the clients.
    _place: Place,
}

impl Client {
    pub(crate) fn new(
        pasid: Pasid,
        place: Place,
        (pid, uid, command): (Option<i32>, u32, String),
        priority: Priority,
        memory: ClientMemory,
    ) -> Self {
        Self {
            pasid,
            pid,
            uid,
            command,
            priority,
            memory,
            connected: Instant::now(),
            queues: AtomicUsize::new(0),
            accounts: Mutex::default(),
            _place: place,
        }
    }

    /// Its account with a device.
    pub(crate) fn account(&self, device: usize) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() <= device {
            accounts.resize(device + 1, None);
        }
        accounts[device].get_or_insert_with(|| Arc::new(Account::new(weight(self.priority)))).clone()
    }

    /// What was done for it, by all devices together.
    pub(crate) fn stats(&self) -> AccountStats {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.iter().flatten().map(|account| account.snapshot()).fold(AccountStats::default(), |sum, more| {
            AccountStats {
                jobs: sum.jobs + more.jobs,
                bytes: sum.bytes + more.bytes,
                faults: sum.faults + more.faults,
                wait: sum.wait + more.wait,
                service: sum.service + more.service,
                blocked: sum.blocked || more.blocked,
            }
        })
    }

    /// Notes how many queues are open.
    pub(crate) fn count_queues(&self, open: usize) {
        self.queues.store(open, Ordering::Relaxed);
    }
}

/// The share of a client among those who want a device at the same time.
fn weight(priority: Priority) -> u32 {
    match priority {
        Priority::Low => 1,
        Priority::High => 16,
        _ => 4,
    }
}

/// What the priority is called.
pub(crate) fn priority_name(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::High => "high",
        _ => "normal",
    }
}
