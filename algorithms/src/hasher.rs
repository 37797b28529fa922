//! Digests of what comes in pieces.

use std::io;

use uaccel_runtime::{Error, Operation, Runtime, Session};
use uaccel_units::stream::DigestStream;

use crate::detour::{self, Detour, max_transfer};
use crate::{DigestValue, digest, inflate};

/// Bytes that are kept for one job, where the CPU may go on with what becomes longer.
const KEPT: usize = 64 << 10;

/// The digest or authentication code of what comes in pieces. Made by [`Digest::hasher`](crate::Digest::hasher) and
/// [`Mac::hasher`](crate::Mac::hasher).
///
/// No device keeps a digest's state between jobs. What stays short (64 KiB) is kept, and is one job in the end; what becomes longer is done by
/// the CPU, piece by piece, and counted as one fallback. With [`Fallback::Never`](uaccel_runtime::Fallback::Never) everything is kept, up to what the
/// device takes.
///
/// It is a [`Write`](io::Write), so [`std::io::copy`] can feed it.
#[derive(Debug)]
pub struct Hasher {
    runtime: Runtime,
    session: Session,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Kept(Vec<u8>),
    /// Boxed: a digest's state is some hundred bytes.
    Stream(Box<(DigestStream, Detour)>),
}

impl Hasher {
    pub(crate) fn new(runtime: &Runtime, session: &Session) -> Self {
        Self { runtime: runtime.clone(), session: session.clone(), stage: Stage::Kept(Vec::new()) }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`Error::TooLarge`] with [`Fallback::Never`](uaccel_runtime::Fallback::Never), when all pieces together are more than the device takes. The piece was
    /// not taken then.
    pub fn update(&mut self, piece: &[u8]) -> Result<(), Error> {
        if let Stage::Kept(kept) = &mut self.stage {
            let len = kept.len().saturating_add(piece.len());
            if len <= most_kept(&self.runtime) {
                kept.extend_from_slice(piece);
                return Ok(());
            }
            let detour = Detour::begin(&self.runtime, Operation::Digest, len as u64)?;
            let spec = self.session.spec();
            let stream = DigestStream::new(spec).map_err(|cause| inflate::no_unit(&cause, spec))?;
            let mut both = Box::new((stream, detour));
            advance(&mut both, kept);
            self.stage = Stage::Stream(both);
        }
        if let Stage::Stream(both) = &mut self.stage {
            advance(both, piece);
        }
        Ok(())
    }

    /// The digest of all pieces.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn finalize(self) -> Result<DigestValue, Error> {
        match self.stage {
            Stage::Kept(kept) => digest::run(&self.runtime, &self.session, &kept),
            Stage::Stream(both) => {
                let value = both.0.finalize();
                let mut bytes = [0; DigestValue::MOST];
                let len = value.as_ref().len();
                bytes[..len].copy_from_slice(value.as_ref());
                Ok(DigestValue::new(bytes, len))
            }
        }
    }
}

fn most_kept(runtime: &Runtime) -> usize {
    // Where the device is the CPU, it may as well begin at once.
    match (detour::is_cpu(runtime), detour::allowed(runtime)) {
        (true, _) => 0,
        (false, true) => KEPT.min(max_transfer(runtime)),
        (false, false) => max_transfer(runtime),
    }
}

fn advance((stream, detour): &mut (DigestStream, Detour), piece: &[u8]) {
    stream.update(piece);
    detour.worked_on(piece.len());
}

impl io::Write for Hasher {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.update(piece).map_err(io::Error::other)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
