//! Encryption without authentication.

use uaccel_queue::{Algorithm, Direction, Family, JobFlags, Operation, SessionId, SessionSpec, Status};

use crate::Backend;
use crate::oracle::aes;
use crate::request::Request;
use crate::rig::{Rig, checked};
use crate::text::{hex, noise};

/// A published example.
struct Vector {
    algorithm: Algorithm,
    key: &'static str,
    iv: &'static str,
    text: &'static str,
    ciphertext: &'static str,
}

/// The text of all examples in NIST SP 800-38A, appendix F.
const TEXT: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

const VECTORS: [Vector; 7] = [
    // NIST SP 800-38A, F.2.1.
    Vector {
        algorithm: Algorithm::Aes128Cbc,
        key: "2b7e151628aed2a6abf7158809cf4f3c",
        iv: "000102030405060708090a0b0c0d0e0f",
        text: TEXT,
        ciphertext: "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
    },
    // F.2.5.
    Vector {
        algorithm: Algorithm::Aes256Cbc,
        key: "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        iv: "000102030405060708090a0b0c0d0e0f",
        text: TEXT,
        ciphertext: "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
    },
    // F.5.1.
    Vector {
        algorithm: Algorithm::Aes128Ctr,
        key: "2b7e151628aed2a6abf7158809cf4f3c",
        iv: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        text: TEXT,
        ciphertext: "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
    },
    // F.5.5.
    Vector {
        algorithm: Algorithm::Aes256Ctr,
        key: "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        iv: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        text: TEXT,
        ciphertext: "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
    },
    // IEEE 1619, vector 2.
    Vector {
        algorithm: Algorithm::Aes128Xts,
        key: "1111111111111111111111111111111122222222222222222222222222222222",
        iv: "33333333330000000000000000000000",
        text: "4444444444444444444444444444444444444444444444444444444444444444",
        ciphertext: "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
    },
    // IEEE 1619, vector 15: a block and a byte.
    Vector {
        algorithm: Algorithm::Aes128Xts,
        key: "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0bfbebdbcbbbab9b8b7b6b5b4b3b2b1b0",
        iv: "9a785634120000000000000000000000",
        text: "000102030405060708090a0b0c0d0e0f10",
        ciphertext: "6c1625db4671522d3d7599601de7ca09ed",
    },
    // NIST CAVP, XTSGenAES256, the first.
    Vector {
        algorithm: Algorithm::Aes256Xts,
        key: "1ea661c58d943a0e4801e42f4b0947149e7f9f8e3e68d0c7505210bd311a0e7cd6e13ffdf2418d8d1911c004cda58da3d619b7e2b9141e58318eea392cf41b08",
        iv: "adf8d92627464ad2f0428e84a9f87564",
        text: "2eedea52cd8215e1acc647e810bbc3642e87287f8d2e57e36c0a24fbc12a202e",
        ciphertext: "cbaad0e2f6cea3f50b37f934d46a9b130b9d54f07e34f36af793e86f73c6d7db",
    },
];

fn open(rig: &mut Rig, algorithm: Algorithm, direction: Direction, key: &[u8]) -> SessionId {
    rig.session(&SessionSpec::keyed(algorithm, direction, key).expect("a key of the right length"))
}

fn key(algorithm: Algorithm) -> Vec<u8> {
    noise(1, algorithm.key_len().expect("ciphers have a key"))
}

fn request(session: SessionId, direction: Direction, iv: &[u8], source: &[u8]) -> Request {
    let operation = match direction {
        Direction::Forward => Operation::Encrypt,
        Direction::Inverse => Operation::Decrypt,
    };
    Request::new(operation).session(session).immediate(iv).source(source).room(source.len())
}

fn published(backend: &dyn Backend, direction: Direction) {
    let mut rig = Rig::new(backend);
    let algorithms = rig.algorithms(Family::Cipher);
    for vector in VECTORS.iter().filter(|vector| algorithms.contains(&vector.algorithm)) {
        let session = open(&mut rig, vector.algorithm, direction, &hex(vector.key));
        let (source, expected) = match direction {
            Direction::Forward => (hex(vector.text), hex(vector.ciphertext)),
            Direction::Inverse => (hex(vector.ciphertext), hex(vector.text)),
        };
        let reply = rig.run(request(session, direction, &hex(vector.iv), &source));
        if checked(&rig, &reply.outcome) {
            let found = (reply.output(), reply.outcome.consumed);
            assert_eq!(found, (&*expected, source.len() as u64), "{} {direction:?}", vector.algorithm);
        }
    }
}

/// Published examples encrypt to what was published.
pub fn encrypts_published_vectors(backend: &dyn Backend) {
    published(backend, Direction::Forward);
}

/// Published examples decrypt to what was published.
pub fn decrypts_published_vectors(backend: &dyn Backend) {
    published(backend, Direction::Inverse);
}

/// Texts of all lengths, and counters near their end, against AES as the standard describes it.
pub fn agrees_with_the_textbook(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for algorithm in rig.algorithms(Family::Cipher) {
        let (key, lengths) = (key(algorithm), algorithm.text_lengths().expect("a cipher"));
        let encrypt = open(&mut rig, algorithm, Direction::Forward, &key);
        let decrypt = open(&mut rig, algorithm, Direction::Inverse, &key);
        let carries = [(48, vec![0xff; 16]), (48, [vec![0x12; 12], vec![0xff; 4]].concat())];
        let lens = [0, 1, 15, 16, 17, 31, 32, 33, 500, 1024, 1040, 4111].into_iter();
        for (len, iv) in lens.map(|len| (len, noise(len, 16))).chain(carries) {
            if lengths.contains(len) {
                let text = noise(2, usize::try_from(len).expect("small"));
                let iv = <[u8; 16]>::try_from(iv).expect("16 bytes");
                let ciphertext = aes::encrypt(algorithm, &key, iv, &text);
                let encrypted = rig.run(request(encrypt, Direction::Forward, &iv, &text));
                if checked(&rig, &encrypted.outcome) {
                    assert!(encrypted.output() == ciphertext, "{algorithm} encrypts {len} bytes");
                }
                let decrypted = rig.run(request(decrypt, Direction::Inverse, &iv, &ciphertext));
                if checked(&rig, &decrypted.outcome) {
                    assert!(decrypted.output() == text, "{algorithm} decrypts {len} bytes");
                }
            }
        }
    }
}

/// Where it was granted, a text is transformed where it stands, and what is behind it is left alone.
pub fn transforms_in_place(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for algorithm in rig.algorithms(Family::Cipher) {
        let (key, iv) = (key(algorithm), [5; 16]);
        let texts = [16, 48, 4096, 8192].map(|len| {
            let text = noise(3, len);
            let ciphertext = aes::encrypt(algorithm, &key, iv, &text);
            (text, ciphertext)
        });
        for (direction, operation) in
            [(Direction::Forward, Operation::Encrypt), (Direction::Inverse, Operation::Decrypt)]
        {
            if !rig.granted.in_place.contains(operation) {
                continue;
            }
            let session = open(&mut rig, algorithm, direction, &key);
            for (text, ciphertext) in &texts {
                let len = text.len();
                let (source, expected) = match direction {
                    Direction::Forward => (text, ciphertext),
                    Direction::Inverse => (ciphertext, text),
                };
                for vouched in [true, false] {
                    let request = request(session, direction, &iv, source).room(len + 100).in_place();
                    let reply = rig.run(if vouched { request } else { request.unvouched() });
                    if checked(&rig, &reply.outcome) {
                        assert!(reply.output() == *expected, "{algorithm} {direction:?}, {len} bytes");
                        let behind = &reply.room[len..];
                        assert!(behind.iter().all(|byte| *byte == behind[0]), "{algorithm}: bytes behind the text");
                    }
                }
            }
        }
    }
}

/// A text of a length that the algorithm does not take is refused, and nothing is written.
pub fn refuses_text_lengths(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.effective {
        return;
    }
    for algorithm in rig.algorithms(Family::Cipher) {
        let lengths = algorithm.text_lengths().expect("a cipher");
        for direction in [Direction::Forward, Direction::Inverse] {
            let session = open(&mut rig, algorithm, direction, &key(algorithm));
            for len in [0, 1, 15, 17, 4095].into_iter().filter(|len| !lengths.contains(*len)) {
                let source = noise(4, usize::try_from(len).expect("small"));
                let reply = rig.run(request(session, direction, &[0; 16], &source).room(4200));
                reply.expect(Status::InvalidJob);
                assert!(reply.room.iter().all(|byte| *byte == reply.room[0]), "{algorithm}, {len} bytes");
            }
        }
    }
}

/// A room that is too small is told with the room that is needed; one that is larger is not filled.
pub fn respects_text_rooms(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.effective {
        return;
    }
    for algorithm in rig.algorithms(Family::Cipher) {
        for direction in [Direction::Forward, Direction::Inverse] {
            let session = open(&mut rig, algorithm, direction, &key(algorithm));
            let request = request(session, direction, &[6; 16], &noise(5, 64));
            for room in [0, 63] {
                let reply = rig.run(request.clone().room(room));
                reply.expect(Status::OutputTooSmall);
                assert!([0, 64].contains(&reply.outcome.produced), "{algorithm}: {:?}", reply.outcome);
            }
            let reply = rig.run(request.room(100).flag(JobFlags::UNINIT_DESTINATION));
            assert_eq!(reply.output().len(), 64);
            assert!(reply.room[64..].iter().all(|byte| *byte == reply.room[64]), "{algorithm}: bytes behind the text");
        }
    }
}
