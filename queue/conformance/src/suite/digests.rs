//! Digests and MACs.

use uaccel_queue::{Algorithm, Family, Operation, SessionSpec, Status};

use crate::Backend;
use crate::request::Request;
use crate::rig::{Rig, checked};
use crate::text::hex;

/// Algorithm, key, text and digest: FIPS 180-4's examples, RFC 4231's test cases 1, 2 and 6.
const VECTORS: [(Algorithm, &str, &str, &str); 7] = [
    (Algorithm::Sha256, "", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (Algorithm::Sha256, "", "616263", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        Algorithm::Sha512,
        "",
        "",
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    ),
    (
        Algorithm::Sha512,
        "",
        "616263",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
    (
        Algorithm::HmacSha256,
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "4869205468657265",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        Algorithm::HmacSha256,
        "4a656665",
        "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        Algorithm::HmacSha256,
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
];

/// Published examples give what was published; a room that is too small is told.
pub fn published_digests(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let algorithms = rig.algorithms(Family::Digest);
    for (algorithm, key, text, digest) in VECTORS {
        if !algorithms.contains(&algorithm) {
            continue;
        }
        let session = rig.session(&SessionSpec::digest(algorithm, &hex(key)).expect("a key where one is taken"));
        let digest = hex(digest);
        for extra in [0, 7] {
            let request =
                Request::new(Operation::Digest).session(session).source(&hex(text)).room(digest.len() + extra);
            let reply = rig.run(request);
            if checked(&rig, &reply.outcome) {
                assert_eq!((reply.output(), reply.outcome.consumed), (&*digest, text.len() as u64 / 2), "{algorithm}");
            }
        }
        if rig.granted.effective {
            let reply =
                rig.run(Request::new(Operation::Digest).session(session).source(&hex(text)).room(digest.len() - 1));
            reply.expect(Status::OutputTooSmall);
        }
    }
}

/// A million times "a", as FIPS 180-4's examples have it.
pub fn long_digests(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let text = vec![b'a'; 1_000_000];
    if !rig.algorithms(Family::Digest).contains(&Algorithm::Sha256) || rig.granted.max_transfer < text.len() as u64 {
        return;
    }
    let session = rig.session(&SessionSpec::digest(Algorithm::Sha256, &[]).expect("no key"));
    let reply = rig.run(Request::new(Operation::Digest).session(session).source(&text).room(32));
    if checked(&rig, &reply.outcome) {
        assert_eq!(reply.output(), hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
    }
}
