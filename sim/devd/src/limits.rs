//! How much one client, one user and all together may have.

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

#[derive(Debug, Default)]
struct Counts {
    greeters: Count,
    clients: Count,
}

#[derive(Debug, Default)]
struct Count {
    all: usize,
    by_uid: HashMap<u32, usize>,
}

/// As what somebody is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Connected, and nothing else.
    Greeter,
    /// A client with an address space.
    Client,
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
    #[error("{0} clients are connected, and no more are allowed (--max-clients)")]
    All(usize),
    /// For this user.
    #[error("{0} clients of this user are connected, and no more are allowed (--max-clients-per-uid)")]
    Uid(usize),
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
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.of(standing);
        if count.all >= most {
            return Err(Full::All(most));
        }
        let of_uid = count.by_uid.entry(uid).or_default();
        if *of_uid >= most_of_uid {
            return Err(Full::Uid(most_of_uid));
        }
        *of_uid += 1;
        count.all += 1;
        Ok(Place { standing, uid, census: self.clone() })
    }
}

impl Counts {
    fn of(&mut self, standing: Standing) -> &mut Count {
        match standing {
            Standing::Greeter => &mut self.greeters,
            Standing::Client => &mut self.clients,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.census.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.of(self.standing);
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
        assert_eq!(admit(1).unwrap_err(), Full::Uid(2));
        let _third = admit(2).expect("a place");
        assert_eq!(admit(3).unwrap_err(), Full::All(3));
        drop(first);
        let _fourth = admit(1).expect("a place");
        let _greeter = census.admit(Standing::Greeter, 1).expect("counted apart");
    }
}
