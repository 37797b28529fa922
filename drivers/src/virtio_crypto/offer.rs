//! What a device says that it can do (5.9.5).

use uaccel_queue::{Algorithm, AlgorithmSet, Direction, OpenError, TransportError};

use super::LONGEST;
use super::registers::Registers;
use super::request;

/// Words of the device's own structure.
const STATUS: usize = 0;
const MAX_DATAQUEUES: usize = 1;
const CRYPTO_SERVICES: usize = 2;
const CIPHER_ALGO_L: usize = 3;
const MAX_CIPHER_KEY_LEN: usize = 9;
const MAX_SIZE: usize = 12;

/// The bit of the status that says that there is something behind the device.
const HW_READY: u32 = 1 << 0;
/// The bit of the services that are ciphers without authentication (5.9.4).
const CIPHER: u32 = 1 << 0;

/// What can be had of a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) algorithms: AlgorithmSet,
    pub(super) max_transfer: u64,
    /// The number of the control queue: the one behind the data queues (5.9.2).
    pub(super) control: u16,
}

impl Offer {
    pub(super) fn read(registers: &Registers) -> Result<Self, OpenError> {
        let refused = |why: String| OpenError::Transport(TransportError::Refused(why));
        let words = registers.device().ok_or(OpenError::NotReady)?;
        if words[STATUS] & HW_READY == 0 {
            return Err(OpenError::NotReady);
        }
        let (queues, control) = (registers.queues(), words[MAX_DATAQUEUES]);
        let number = u16::try_from(control).ok().filter(|control| *control > 0 && *control < queues);
        let control = number
            .ok_or_else(|| refused(format!("{queues} queues cannot be {control} for data and one for control")))?;
        if words[CRYPTO_SERVICES] & CIPHER == 0 {
            return Err(refused(format!("the device has no ciphers: services {:#x}", words[CRYPTO_SERVICES])));
        }
        let has = |algorithm: Algorithm| {
            let fits = algorithm.key_len().is_some_and(|len| len as u64 <= u64::from(words[MAX_CIPHER_KEY_LEN]));
            fits && request::number(algorithm).is_some_and(|number| words[CIPHER_ALGO_L] >> number & 1 != 0)
        };
        let algorithms: AlgorithmSet = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| has(*algorithm))
            .flat_map(|algorithm| [(algorithm, Direction::Forward), (algorithm, Direction::Inverse)])
            .collect();
        if algorithms.iter().next().is_none() {
            let (set, key) = (words[CIPHER_ALGO_L], words[MAX_CIPHER_KEY_LEN]);
            return Err(refused(format!("none of the device's ciphers is known: {set:#x}, keys of {key} bytes")));
        }
        // Of one request's content: the IV, the source, the destination.
        let content = u64::from(words[MAX_SIZE]) | u64::from(words[MAX_SIZE + 1]) << 32;
        let max_transfer = (content.saturating_sub(request::IV as u64) / 2).min(LONGEST);
        Ok(Self { algorithms, max_transfer, control })
    }
}
