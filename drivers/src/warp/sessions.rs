//! Session entries in ring memory (§3.5): written before a session is opened, wiped when the device has read them.

use uaccel_queue::{RingMemory, SessionId, SessionSpec};
use uaccel_warp_abi::{Geometry, SessionEntry};
use zeroize::Zeroizing;

/// Whether a session entry can hold the specification: its key may be too long.
pub(super) fn expressible(spec: &SessionSpec) -> bool {
    spec.key().len() <= SessionEntry::MAX_KEY
}

/// Writes the entry of a session. The command that has it read is published later, and orders these writes.
pub(super) fn write(memory: &RingMemory, geometry: Geometry, id: SessionId, spec: &SessionSpec) {
    let words = Zeroizing::new(entry(spec));
    let place = memory.record::<{ SessionEntry::WORDS }>(geometry.session(id.0));
    for (place, word) in place.iter().zip(words.iter()) {
        place.store(*word, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Wipes the entry of a session: the device has its own form of the key by now, or will never have one.
pub(super) fn wipe(memory: &RingMemory, geometry: Geometry, id: SessionId) {
    let place = memory.record::<{ SessionEntry::WORDS }>(geometry.session(id.0));
    for word in place {
        // An atomic store to shared memory is not optimised away. Relaxed: nobody waits for it but the next write of
        // the entry, which is ordered behind it by the hand-over of the command's place (see `Commands`).
        word.store(0, std::sync::atomic::Ordering::Relaxed);
    }
}

fn entry(spec: &SessionSpec) -> [u64; SessionEntry::WORDS] {
    // The key passes through one array, which is wiped here, and one of words, which is wiped by the caller.
    let mut key = Zeroizing::new([0; SessionEntry::MAX_KEY]);
    let len = spec.key().len().min(SessionEntry::MAX_KEY);
    key[..len].copy_from_slice(&spec.key()[..len]);
    let mut entry = SessionEntry {
        algorithm: spec.algorithm() as u16,
        direction: spec.direction() as u8,
        level: spec.level(),
        #[allow(clippy::cast_possible_truncation, reason = "at most MAX_KEY")]
        key_len: len as u16,
        key: *key,
    };
    let words = entry.encode();
    zeroize::Zeroize::zeroize(&mut entry.key);
    words
}
