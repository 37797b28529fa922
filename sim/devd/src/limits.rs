//! How much one client, one user and all together may have.

use core::fmt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Connections that have not said who they are, of all users and of one.
const GREETERS: usize = 256;
const GREETERS_PER_UID: usize = 64;

/// How much one client, one user and all together may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Clients at a time.
    pub clients: usize,
    /// Clients at a time of one user.
    pub clients_per_uid: usize,
    /// Queues that one client may have open.
    pub queues_per_client: u32,
    /// Queues of one device that the clients of one user may have open; all of them if the number is larger.
    pub queues_per_uid: usize,
    /// Windows that one client may have registered.
    pub windows_per_client: u32,
    /// Bytes of all windows of one client.
    pub window_bytes_per_client: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 1024,
            clients_per_uid: 512,
            queues_per_client: 64,
            queues_per_uid: 192,
            windows_per_client: 256,
            window_bytes_per_client: 4 << 30,
        }
    }
}

/// Who is connected, counted.
#[derive(Debug)]
pub(crate) struct Census {
    limits: Limits,
    counts: Mutex<Counts>,
}

type Counts = HashMap<Standing, Count>;

#[derive(Debug, Default)]
struct Count {
    all: usize,
    by_uid: HashMap<u32, usize>,
}

/// As what somebody is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// Connected, and nothing else.
    Greeter,
    /// A client with an address space.
    Client,
    /// A queue of this device.
    Queue(usize),
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    standing: Standing,
    uid: u32,
    census: Arc<Census>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// For anybody.
    #[error("there are {1} {0}, and no more are allowed{option}", option = .0.option())]
    All(Standing, usize),
    /// For this user.
    #[error("there are {1} {0} of this user, and no more are allowed{option}", option = .0.option_for_uid())]
    Uid(Standing, usize),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeter => "connections without a greeting",
            Self::Client => "clients",
            Self::Queue(_) => "queues of the device",
        })
    }
}

impl Standing {
    /// The option that allows more.
    fn option(self) -> &'static str {
        match self {
            Self::Client => " (--max-clients)",
            Self::Greeter | Self::Queue(_) => "",
        }
    }

    fn option_for_uid(self) -> &'static str {
        match self {
            Self::Greeter => "",
            Self::Client => " (--max-clients-per-uid)",
            Self::Queue(_) => " (--max-queues-per-uid)",
        }
    }
}

impl Census {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default() })
    }

    /// Takes a place.
    pub(crate) fn admit(self: &Arc<Self>, standing: Standing, uid: u32) -> Result<Place, Full> {
        let (most, most_of_uid) = match standing {
            Standing::Greeter => (GREETERS, GREETERS_PER_UID),
            Standing::Client => (self.limits.clients, self.limits.clients_per_uid),
            // How many there are is up to the device.
            Standing::Queue(_) => (usize::MAX, self.limits.queues_per_uid),
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(standing).or_default();
        if count.all >= most {
            return Err(Full::All(standing, most));
        }
        let of_uid = count.by_uid.entry(uid).or_default();
        if *of_uid >= most_of_uid {
            return Err(Full::Uid(standing, most_of_uid));
        }
        *of_uid += 1;
        count.all += 1;
        Ok(Place { standing, uid, census: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.census.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = counts.get_mut(&self.standing) else { return };
        count.all -= 1;
        if let Some(of_uid) = count.by_uid.get_mut(&self.uid) {
            *of_uid -= 1;
            if *of_uid == 0 {
                count.by_uid.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_the_places_of_others_and_places_come_back() {
        let census = Census::new(Limits { clients: 3, clients_per_uid: 2, ..Limits::default() });
        let admit = |uid| census.admit(Standing::Client, uid);
        let first = admit(1).expect("a place");
        let _second = admit(1).expect("a place");
        assert_eq!(admit(1).unwrap_err(), Full::Uid(Standing::Client, 2));
        let _third = admit(2).expect("a place");
        assert_eq!(admit(3).unwrap_err(), Full::All(Standing::Client, 3));
        drop(first);
        let _fourth = admit(1).expect("a place");
        let _greeter = census.admit(Standing::Greeter, 1).expect("counted apart");
    }
}
