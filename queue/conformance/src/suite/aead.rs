//! Authenticated encryption.

use uaccel_queue::{Algorithm, Direction, Family, Operation, SessionId, SessionSpec, Status};

use crate::Backend;
use crate::request::Request;
use crate::rig::{Rig, checked};
use crate::text::{hex, noise};

const TAG: usize = 16;

/// A published example.
struct Vector {
    algorithm: Algorithm,
    key: &'static str,
    nonce: &'static str,
    aux: &'static str,
    text: &'static str,
    sealed: &'static str,
}

const VECTORS: [Vector; 4] = [
    // McGrew and Viega, The Galois/Counter Mode of Operation, test case 4.
    Vector {
        algorithm: Algorithm::Aes128Gcm,
        key: "feffe9928665731c6d6a8f9467308308",
        nonce: "cafebabefacedbaddecaf888",
        aux: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        text: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        sealed: "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
    },
    // The same, test case 1: nothing but a tag.
    Vector {
        algorithm: Algorithm::Aes128Gcm,
        key: "00000000000000000000000000000000",
        nonce: "000000000000000000000000",
        aux: "",
        text: "",
        sealed: "58e2fccefa7e3061367f1d57a4e7455a",
    },
    // The same, test case 16.
    Vector {
        algorithm: Algorithm::Aes256Gcm,
        key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        nonce: "cafebabefacedbaddecaf888",
        aux: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        text: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        sealed: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
    },
    // RFC 8439, section 2.8.2.
    Vector {
        algorithm: Algorithm::ChaCha20Poly1305,
        key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        nonce: "070000004041424344454647",
        aux: "50515253c0c1c2c3c4c5c6c7",
        text: "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069742e",
        sealed: "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
    },
];

fn open(rig: &mut Rig, algorithm: Algorithm, direction: Direction, key: &[u8]) -> SessionId {
    rig.session(&SessionSpec::keyed(algorithm, direction, key).expect("a key of the right length"))
}

fn request(operation: Operation, session: SessionId, nonce: &[u8], aux: &[u8], source: &[u8]) -> Request {
    let room = match operation {
        Operation::Seal => source.len() + TAG,
        _ => source.len() - TAG,
    };
    Request::new(operation).session(session).immediate(nonce).aux(aux).source(source).room(room)
}

fn granted(rig: &Rig) -> impl Iterator<Item = &'static Vector> + use<> {
    let algorithms = rig.algorithms(Family::Aead);
    VECTORS.iter().filter(move |vector| algorithms.contains(&vector.algorithm))
}

/// Published examples seal to what was published.
pub fn seals_published_vectors(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for vector in granted(&rig) {
        let session = open(&mut rig, vector.algorithm, Direction::Forward, &hex(vector.key));
        let text = hex(vector.text);
        let reply = rig.run(request(Operation::Seal, session, &hex(vector.nonce), &hex(vector.aux), &text));
        if checked(&rig, &reply.outcome) {
            assert_eq!(
                (reply.output(), reply.outcome.consumed),
                (&*hex(vector.sealed), text.len() as u64),
                "{}",
                vector.algorithm
            );
        }
    }
}

/// Published examples open to what was published.
pub fn opens_published_vectors(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for vector in granted(&rig) {
        let session = open(&mut rig, vector.algorithm, Direction::Inverse, &hex(vector.key));
        let sealed = hex(vector.sealed);
        let reply = rig.run(request(Operation::Open, session, &hex(vector.nonce), &hex(vector.aux), &sealed));
        if checked(&rig, &reply.outcome) {
            assert_eq!(
                (reply.output(), reply.outcome.consumed),
                (&*hex(vector.text), sealed.len() as u64),
                "{}",
                vector.algorithm
            );
        }
    }
}

/// Texts of all lengths come back.
pub fn opens_what_it_sealed(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for algorithm in rig.algorithms(Family::Aead) {
        let key = noise(1, algorithm.key_len().expect("ciphers have a key"));
        let seal = open(&mut rig, algorithm, Direction::Forward, &key);
        let unseal = open(&mut rig, algorithm, Direction::Inverse, &key);
        for len in [0, 1, 15, 16, 17, 4096, 65_537] {
            let (text, aux, nonce) = (noise(2, len), noise(3, len % 100), noise(len as u64, 12));
            let sealed = rig.run(request(Operation::Seal, seal, &nonce, &aux, &text));
            if !checked(&rig, &sealed.outcome) {
                continue;
            }
            assert!(len < 16 || sealed.output()[..len] != text, "{algorithm} encrypts");
            let opened = rig.run(request(Operation::Open, unseal, &nonce, &aux, sealed.output()));
            assert_eq!(opened.output(), text, "{algorithm}, {len} bytes");
        }
    }
}

/// Whatever was altered, the text is refused, and none of it is left.
pub fn refuses_altered_texts(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.effective {
        return;
    }
    for vector in granted(&rig).filter(|vector| !vector.text.is_empty()) {
        let session = open(&mut rig, vector.algorithm, Direction::Inverse, &hex(vector.key));
        let (nonce, aux, sealed, text) = (hex(vector.nonce), hex(vector.aux), hex(vector.sealed), hex(vector.text));
        let altered = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1;
            bytes
        };
        let attempts = [
            request(Operation::Open, session, &nonce, &aux, &altered(&sealed, 0)),
            request(Operation::Open, session, &nonce, &aux, &altered(&sealed, sealed.len() - 1)),
            request(Operation::Open, session, &nonce, &altered(&aux, 3), &sealed),
            request(Operation::Open, session, &altered(&nonce, 11), &aux, &sealed),
            request(Operation::Open, session, &nonce, &aux[1..], &sealed),
        ];
        for attempt in attempts {
            let reply = rig.run(attempt);
            reply.expect(Status::TagMismatch);
            let shared = reply.room.windows(8).zip(text.windows(8)).filter(|(a, b)| a == b).count();
            assert_eq!(shared, 0, "{}: plaintext was left", vector.algorithm);
        }
    }
}

/// A room that is too small is told with the room that is needed.
pub fn reports_small_cipher_rooms(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.effective {
        return;
    }
    for vector in granted(&rig).filter(|vector| !vector.text.is_empty()) {
        let (text, sealed) = (hex(vector.text), hex(vector.sealed));
        let cases = [
            (Operation::Seal, Direction::Forward, &text, sealed.len()),
            (Operation::Open, Direction::Inverse, &sealed, text.len()),
        ];
        for (operation, direction, source, need) in cases {
            let session = open(&mut rig, vector.algorithm, direction, &hex(vector.key));
            for room in [0, need - 1] {
                let reply =
                    rig.run(request(operation, session, &hex(vector.nonce), &hex(vector.aux), source).room(room));
                reply.expect(Status::OutputTooSmall);
                assert!([0, need as u64].contains(&reply.outcome.produced), "{operation}: {:?}", reply.outcome);
            }
        }
    }
}
