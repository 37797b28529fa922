//! Opening and closing sessions.

use uaccel_queue::{Algorithm, Direction, Family, Operation, SessionError, SessionId, SessionSpec, Status};

use crate::Backend;
use crate::request::{Reply, Request};
use crate::rig::Rig;
use crate::text::noise;

/// A digest session and how to use it, for back ends that have one.
fn keyed(key: &[u8]) -> SessionSpec {
    SessionSpec::digest(Algorithm::HmacSha256, key).expect("any key")
}

fn mac(rig: &mut Rig, session: SessionId) -> Reply {
    rig.run(Request::new(Operation::Digest).session(session).source(b"text").room(32))
}

fn rig_with_macs(backend: &dyn Backend) -> Option<Rig> {
    let rig = Rig::new(backend);
    (rig.algorithms(Family::Digest).contains(&Algorithm::HmacSha256) && rig.granted.effective).then_some(rig)
}

/// A number used again stands for the new session.
pub fn reopened_sessions_have_the_new_key(backend: &dyn Backend) {
    let Some(mut rig) = rig_with_macs(backend) else { return };
    let mut macs = Vec::new();
    for round in 0..100_u8 {
        let session = SessionId(u16::from(round % 2));
        if round >= 2 {
            rig.submitter.close_session(session);
        }
        rig.submitter.open_session(session, &keyed(&[round; 24])).expect("a free number");
        let first = mac(&mut rig, session).output().to_vec();
        assert_eq!(mac(&mut rig, session).output(), first, "the same session, the same MAC");
        assert!(!macs.contains(&first), "another key, another MAC");
        macs.push(first);
    }
}

/// A job of a session that was closed, or never open, is told so.
pub fn closed_sessions_are_refused(backend: &dyn Backend) {
    let Some(mut rig) = rig_with_macs(backend) else { return };
    mac(&mut rig, SessionId(0)).expect(Status::BadSession);
    rig.submitter.open_session(SessionId(0), &keyed(b"key")).expect("a free number");
    mac(&mut rig, SessionId(0)).expect(Status::Ok);
    rig.submitter.close_session(SessionId(0));
    mac(&mut rig, SessionId(0)).expect(Status::BadSession);
    let sessions = rig.granted.sessions;
    for id in [sessions - 1, sessions, 0x7fff] {
        mac(&mut rig, SessionId(id)).expect(Status::BadSession);
    }
}

/// A session does one thing.
pub fn wrong_operation_is_refused(backend: &dyn Backend) {
    let Some(mut rig) = rig_with_macs(backend) else { return };
    let session = rig.session(&keyed(b"key"));
    for operation in [
        Operation::Compress,
        Operation::Decompress,
        Operation::Seal,
        Operation::Open,
        Operation::Encrypt,
        Operation::Decrypt,
    ] {
        if rig.offers(operation) {
            let reply = rig.run(Request::new(operation).session(session).source(&noise(1, 64)).room(256));
            reply.expect(Status::BadSession);
        }
    }
    mac(&mut rig, session).expect(Status::Ok);
}

/// What was not granted is not opened.
pub fn unknown_algorithms_are_refused(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for algorithm in Algorithm::ALL {
        for direction in [Direction::Forward, Direction::Inverse] {
            let key = noise(1, algorithm.key_len().unwrap_or(20));
            let spec = match algorithm.family() {
                Family::Compression => SessionSpec::compression(algorithm, direction, None),
                Family::Digest if direction == Direction::Forward => SessionSpec::digest(algorithm, &key),
                Family::Aead | Family::Cipher => SessionSpec::keyed(algorithm, direction, &key),
                _ => continue,
            };
            let spec = spec.expect("a session that can be");
            let result = rig.submitter.open_session(SessionId(0), &spec);
            match rig.granted.algorithms.contains(algorithm, direction) {
                true => {
                    result.unwrap_or_else(|error| panic!("{algorithm} {direction:?}: {error}"));
                    rig.submitter.close_session(SessionId(0));
                }
                false => assert!(matches!(result, Err(SessionError::Unsupported { .. })), "{algorithm} {direction:?}"),
            }
        }
    }
}

/// There are as many sessions as were granted.
pub fn numbers_beyond_the_grant_are_refused(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let Some(algorithm) = rig.algorithms(Family::Compression).first().copied() else { return };
    let spec = SessionSpec::compression(algorithm, Direction::Forward, None).expect("the default level");
    for id in [rig.granted.sessions, u16::MAX] {
        let result = rig.submitter.open_session(SessionId(id), &spec);
        assert!(matches!(result, Err(SessionError::OutOfRange(refused)) if refused.0 == id), "{id}: {result:?}");
    }
    rig.submitter.open_session(SessionId(rig.granted.sessions - 1), &spec).expect("the last number");
}

/// Many sessions, opened at a stretch, are kept apart.
pub fn many_sessions(backend: &dyn Backend) {
    let Some(mut rig) = rig_with_macs(backend) else { return };
    let count = rig.granted.sessions.min(200);
    for id in 0..count {
        rig.submitter.open_session(SessionId(id), &keyed(&id.to_le_bytes())).expect("a free number");
    }
    let requests: Vec<_> =
        (0..count).map(|id| Request::new(Operation::Digest).session(SessionId(id)).source(b"text").room(32)).collect();
    let macs: Vec<Vec<u8>> = rig.run_all(&requests).iter().map(|reply| reply.output().to_vec()).collect();
    for (id, mac) in macs.iter().enumerate() {
        assert!(!macs[..id].contains(mac), "session {id} has a key of its own");
    }
    for id in 0..count {
        rig.submitter.close_session(SessionId(id));
    }
    rig.submitter.open_session(SessionId(0), &keyed(&7_u16.to_le_bytes())).expect("a free number");
    if count > 7 {
        assert_eq!(mac(&mut rig, SessionId(0)).output(), macs[7], "the key decides, not the number");
    }
}
