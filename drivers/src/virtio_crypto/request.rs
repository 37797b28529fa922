//! What requests look like (5.9.7; `linux/virtio_crypto.h`).

use uaccel_queue::{Algorithm, Direction, Outcome, RingMemory, Status};
use zeroize::Zeroizing;

/// Bytes of a request's fixed part, in both kinds of queue.
pub(super) const HEADER: usize = 72;
/// Bytes of an IV: a block of AES.
pub(super) const IV: usize = 16;
/// The longest key of those that are known.
pub(super) const LONGEST_KEY: usize = 32;
/// Bytes of the answer to the creation of a session: its number, a status, and four of padding.
pub(super) const CREATED: usize = 16;
/// Bytes of other answers: a status.
pub(super) const STATUS: usize = 1;

/// Operations of the control queue: service 0, ciphers, in the high part.
const CREATE_SESSION: u32 = 0x02;
const DESTROY_SESSION: u32 = 0x03;
/// Operations of data queues.
const ENCRYPT: u32 = 0x00;
const DECRYPT: u32 = 0x01;
/// The direction of a session.
const OP_ENCRYPT: u32 = 1;
const OP_DECRYPT: u32 = 2;
/// The kind of a symmetric session: a cipher alone.
const SYM_OP_CIPHER: u32 = 1;

/// How a request ended.
const OK: u8 = 0;
const ERR: u8 = 1;
const BADMSG: u8 = 2;
const NOTSUPP: u8 = 3;
const INVSESS: u8 = 4;
const NOSPC: u8 = 5;
const KEY_REJECTED: u8 = 6;

/// What no device answers: it stands where an answer is to come.
pub(super) const UNANSWERED: u8 = 0xff;

/// A session as the device knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeviceSession {
    pub(super) number: u64,
    pub(super) algorithm: Algorithm,
    pub(super) direction: Direction,
}

/// A cipher's number, which is its bit in the device's set (5.9.4.1).
pub(super) fn number(algorithm: Algorithm) -> Option<u32> {
    match algorithm {
        Algorithm::Aes128Cbc | Algorithm::Aes256Cbc => Some(3),
        Algorithm::Aes128Ctr | Algorithm::Aes256Ctr => Some(4),
        _ => None,
    }
}

/// A request that is put together from words.
struct Words([u8; HEADER]);

impl Words {
    fn new() -> Self {
        Self([0; HEADER])
    }

    fn with32(mut self, offset: usize, value: u32) -> Self {
        self.0[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn with64(mut self, offset: usize, value: u64) -> Self {
        self.0[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        self
    }
}

/// Creates a session of a cipher with this number for a data queue: fixed part and key.
pub(super) fn create(cipher: u32, direction: Direction, key: &[u8], queue: u16) -> Zeroizing<Vec<u8>> {
    let op = match direction {
        Direction::Forward => OP_ENCRYPT,
        Direction::Inverse => OP_DECRYPT,
    };
    #[allow(clippy::cast_possible_truncation, reason = "keys are short")]
    let len = key.len() as u32;
    let header = Words::new().with32(0, CREATE_SESSION).with32(4, cipher).with32(12, queue.into());
    let fixed = header.with32(16, cipher).with32(20, len).with32(24, op).with32(64, SYM_OP_CIPHER);
    // At once as long as it gets: growing would leave a copy of the key behind.
    let mut request = Zeroizing::new(Vec::with_capacity(HEADER + key.len()));
    request.extend_from_slice(&fixed.0);
    request.extend_from_slice(key);
    request
}

/// Destroys a session.
pub(super) fn destroy(session: u64, queue: u16) -> [u8; HEADER] {
    Words::new().with32(0, DESTROY_SESSION).with32(12, queue.into()).with64(16, session).0
}

/// Encrypts or decrypts `len` bytes: fixed part and IV.
pub(super) fn cipher(session: &DeviceSession, iv: [u8; IV], len: u32) -> [u8; HEADER + IV] {
    let opcode = match session.direction {
        Direction::Forward => ENCRYPT,
        Direction::Inverse => DECRYPT,
    };
    let cipher = number(session.algorithm).unwrap_or(0);
    let header = Words::new().with32(0, opcode).with32(4, cipher).with64(8, session.number);
    #[allow(clippy::cast_possible_truncation, reason = "16")]
    let fixed = header.with32(24, IV as u32).with32(28, len).with32(32, len).with32(64, SYM_OP_CIPHER);
    let mut request = [0; HEADER + IV];
    request[..HEADER].copy_from_slice(&fixed.0);
    request[HEADER..].copy_from_slice(&iv);
    request
}

/// How a job of `len` bytes ended; `None` if there is no such status.
pub(super) fn outcome(status: u8, len: u32) -> Option<Outcome> {
    match status {
        OK => Some(Outcome::ok(len.into(), len.into())),
        status => refusal(status).map(Outcome::failed),
    }
}

/// What a status other than success means.
pub(super) fn refusal(status: u8) -> Option<Status> {
    match status {
        ERR | BADMSG | NOSPC | KEY_REJECTED => Some(Status::DeviceError),
        NOTSUPP => Some(Status::Unsupported),
        INVSESS => Some(Status::BadSession),
        _ => None,
    }
}

/// The number of a session that was created, or how that failed: `None` if there is no such status.
pub(super) fn created(answer: [u8; CREATED]) -> Option<Result<u64, Status>> {
    let [a, b, c, d, e, f, g, h, status @ .., _, _, _, _] = answer;
    match u32::from_le_bytes(status).try_into() {
        Ok(OK) => Some(Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))),
        Ok(status) => refusal(status).map(Err),
        Err(_) => None,
    }
}

/// Writes bytes from the beginning of a word on; the rest of the last word is zeroed.
pub(super) fn put(memory: &RingMemory, offset: usize, bytes: &[u8]) {
    for (at, chunk) in bytes.chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        memory.write(offset + 8 * at, u64::from_ne_bytes(word));
    }
}
