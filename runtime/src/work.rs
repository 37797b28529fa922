//! What one job shall do: with borrowed memory, or with raw pointers.

use std::marker::PhantomData;
use std::ptr;

use uaccel_queue::{Capabilities, Job, JobFlags, Operation, SessionId, stream};

use crate::{Error, Pieces, Session};

/// Bytes an AEAD tag adds to its ciphertext.
pub(crate) const TAG_LEN: usize = 16;

/// One job on borrowed memory: what to do, with what.
///
/// ```
/// use uaccel_runtime::Work;
/// let source = [7u8; 100];
/// let mut destination = [0u8; 100];
/// let work = Work::copy(&source, &mut destination);
/// ```
#[derive(Debug)]
pub struct Work<'a> {
    pub(crate) raw: RawWork<'a>,
    _memory: PhantomData<&'a mut [u8]>,
}

impl<'a> Work<'a> {
    #[inline]
    fn new(operation: Operation) -> Self {
        Self { raw: RawWork { flags: JobFlags::VOUCHED, ..RawWork::new(operation) }, _memory: PhantomData }
    }

    /// Does nothing, and completes.
    #[inline]
    #[must_use]
    pub fn nop() -> Self {
        Self::new(Operation::Nop)
    }

    /// Copies `source` to the start of `destination`.
    #[inline]
    #[must_use]
    pub fn copy(source: &'a [u8], destination: &'a mut [u8]) -> Self {
        Self::new(Operation::Copy).reads(source).writes(destination)
    }

    /// Fills `destination` with `pattern`, little endian, repeated from its start.
    #[inline]
    #[must_use]
    pub fn fill(destination: &'a mut [u8], pattern: u64) -> Self {
        let mut work = Self::new(Operation::Fill).writes(destination);
        work.raw.immediate[..8].copy_from_slice(&pattern.to_le_bytes());
        work
    }

    /// Compares; the outcome's `produced` is the offset of the first difference, or the length.
    #[inline]
    #[must_use]
    pub fn compare(a: &'a [u8], b: &'a [u8]) -> Self {
        Self::new(Operation::Compare).reads(a).with_aux(b)
    }

    /// CRC-32C of `source`, continued from `seed` (0 to begin).
    #[inline]
    #[must_use]
    pub fn crc32c(source: &'a [u8], seed: u32) -> Self {
        Self::new(Operation::Crc32c).reads(source).seeded(seed)
    }

    /// CRC-32 as gzip has it of `source`, continued from `seed` (0 to begin).
    #[inline]
    #[must_use]
    pub fn crc32(source: &'a [u8], seed: u32) -> Self {
        Self::new(Operation::Crc32).reads(source).seeded(seed)
    }

    /// What `session` does, from `source` to `destination`.
    #[inline]
    #[must_use]
    pub fn session(session: &'a Session, source: &'a [u8], destination: &'a mut [u8]) -> Self {
        let mut work = Self::new(session.operation()).reads(source).writes(destination);
        work.raw.session = Some(session);
        work
    }

    /// What `session` does, on `text` where it stands: for sessions that encrypt or decrypt. If the job fails after it was submitted, the
    /// text may be lost; hence it is not run again elsewhere then.
    #[inline]
    #[must_use]
    pub fn session_in_place(session: &'a Session, text: &'a mut [u8]) -> Self {
        let mut work = Self::new(session.operation()).writes(text);
        (work.raw.source, work.raw.source_len) = (work.raw.destination, work.raw.destination_len);
        work.raw.session = Some(session);
        work
    }

    /// What `session` does, from memory in pieces to memory in pieces, which count as if each side were one piece.
    ///
    /// Where the device takes lists ([`Capabilities::scatter`]) nothing is copied. Elsewhere, and on the CPU, a call that runs one job brings together what is read, in memory of its own, and spreads
    /// what is written; [`Counters::gathered`](crate::Counters::gathered) counts it. A [scope](crate::Scope) does not: there such a job is refused, with [`Error::NotInPieces`].
    ///
    /// ```
    /// # fn main() -> Result<(), uaccel_runtime::Error> {
    /// # use uaccel_runtime::{Algorithm, Direction, Pieces, Runtime, SessionSpec, Work};
    /// # let runtime = Runtime::builder().device("software").build()?;
    /// let session = runtime.session(SessionSpec::compression(Algorithm::Gzip, Direction::Forward, None)?)?;
    /// let (head, body, mut packed) = ([b'a'; 16], vec![b'b'; 5000], [0; 200]);
    /// let mut pieces = Pieces::new([&head[..], &body], [&mut packed[..]]);
    /// let outcome = runtime.run(Work::session_in_pieces(&session, &mut pieces))?;
    /// assert_eq!(outcome.consumed, 5016);
    /// assert_eq!(packed[..2], [0x1f, 0x8b]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn session_in_pieces(session: &'a Session, pieces: &'a mut Pieces<'_>) -> Self {
        let mut work = Self::new(session.operation());
        let raw = &mut work.raw;
        raw.session = Some(session);
        if let (Some(source), Some(destination)) = (pieces.only_source(), pieces.only_destination()) {
            (raw.source, raw.source_len) = (source.0.as_ptr(), source.1);
            (raw.destination, raw.destination_len) = (destination.0.as_ptr(), destination.1);
        } else {
            raw.flags.insert(JobFlags::SCATTER);
            (raw.source_len, raw.destination_len) = (pieces.source_len(), pieces.room());
            raw.source = ptr::from_mut(pieces).cast();
        }
        work
    }

    /// The initialisation vector of a cipher job.
    #[inline]
    #[must_use]
    pub fn with_iv(mut self, iv: [u8; 16]) -> Self {
        self.raw.immediate = iv;
        self
    }

    /// The nonce and the associated data of an AEAD job.
    #[inline]
    #[must_use]
    pub fn with_nonce(mut self, nonce: [u8; 12], associated_data: &'a [u8]) -> Self {
        self.raw.immediate[..12].copy_from_slice(&nonce);
        self.with_aux(associated_data)
    }

    #[inline]
    fn reads(mut self, source: &'a [u8]) -> Self {
        (self.raw.source, self.raw.source_len) = (source.as_ptr(), source.len());
        self
    }

    #[inline]
    fn writes(mut self, destination: &'a mut [u8]) -> Self {
        (self.raw.destination, self.raw.destination_len) = (destination.as_mut_ptr(), destination.len());
        self
    }

    #[inline]
    fn with_aux(mut self, aux: &'a [u8]) -> Self {
        (self.raw.aux, self.raw.aux_len) = (aux.as_ptr(), aux.len());
        self
    }

    #[inline]
    fn seeded(mut self, seed: u32) -> Self {
        self.raw.immediate[..4].copy_from_slice(&seed.to_le_bytes());
        self
    }
}

/// One job on raw pointers, for those who have no slices: foreign callers, tests of bad pointers.
///
/// Fields an operation does not use stay zero. See [`Operation`] for what each means.
// In this order the small operand is aligned: a processor does not forward it, once stored, to a load that is not.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[repr(C)]
pub struct RawWork<'s> {
    /// Pattern, checksum to continue from, nonce, or initialisation vector.
    pub immediate: [u8; 16],
    /// The session, for operations that need one.
    pub session: Option<&'s Session>,
    /// First byte to read.
    pub source: *const u8,
    /// Bytes to read.
    pub source_len: usize,
    /// First byte to write.
    pub destination: *mut u8,
    /// Room to write.
    pub destination_len: usize,
    /// Second source.
    pub aux: *const u8,
    /// Its length.
    pub aux_len: usize,
    /// What to do.
    pub operation: Operation,
    /// With [`JobFlags::SCATTER`], which only [`Work::session_in_pieces`] sets, `source` is where the [`Pieces`] are that the job has for itself; the lengths are bytes all the same.
    pub(crate) flags: JobFlags,
}

impl<'s> RawWork<'s> {
    /// A job of this operation, with everything else zero.
    #[must_use]
    pub const fn new(operation: Operation) -> Self {
        Self {
            operation,
            session: None,
            source: ptr::null(),
            source_len: 0,
            destination: ptr::null_mut(),
            destination_len: 0,
            aux: ptr::null(),
            aux_len: 0,
            immediate: [0; 16],
            flags: JobFlags::empty(),
        }
    }

    /// Whether it writes where it reads, so that its source may be gone once it has begun. A copy onto itself changes nothing.
    #[inline]
    pub(crate) fn is_in_place(&self) -> bool {
        ptr::eq(self.source, self.destination) && self.source_len != 0 && self.operation != Operation::Copy
    }

    /// The pieces of a job in pieces.
    #[inline]
    pub(crate) fn pieces(&self) -> Option<&Pieces<'_>> {
        // SAFETY: whoever sets the flag has lent them to the job, which changes them only while it is built.
        self.flags.contains(JobFlags::SCATTER).then(|| unsafe { &*self.source.cast::<Pieces<'_>>() })
    }

    /// Bytes the job is charged for: what it reads, or for a fill what it writes.
    pub(crate) fn len(&self) -> usize {
        if self.operation == Operation::Fill { self.destination_len } else { self.source_len }
    }

    /// The one place where requests are checked; drivers rely on it. Says how much of the destination's room the device is offered:
    /// no more than the operation can use, or, where that is not known, than the device writes at a time.
    #[inline]
    pub(crate) fn check(&self, device: &str, granted: &Capabilities) -> Result<usize, Error> {
        let operation = self.operation;
        let invalid = |reason| Err(Error::InvalidInput { operation, reason });
        match self.session {
            None if operation.needs_session() => return invalid("needs a session"),
            Some(_) if !operation.needs_session() => return invalid("takes no session"),
            Some(session) if session.operation() != operation => {
                return Err(Error::WrongSession { operation, session: session.operation() });
            }
            _ => {}
        }
        // Slices and owned buffers are not null, and overlap only as a whole.
        if self.is_in_place() {
            self.check_in_place(device, granted)?;
        }
        if self.flags.intersection(JobFlags::VOUCHED.union(JobFlags::SCATTER)) != JobFlags::VOUCHED {
            self.check_memory(device, granted)?;
        }
        match operation {
            Operation::Compare if self.aux_len != self.source_len => {
                return invalid("compares ranges of different lengths");
            }
            Operation::Open if self.source_len < TAG_LEN => return invalid("ciphertext is shorter than its tag"),
            Operation::Encrypt | Operation::Decrypt => self.check_text()?,
            _ => {}
        }
        let needed = room_needed(self);
        if let Some(needed) = needed
            && self.destination_len < needed
        {
            return Err(Error::OutputTooSmall {
                operation,
                needed: Some(needed as u64),
                room: self.destination_len as u64,
            });
        }
        if !granted.operations.contains(operation) {
            return Err(Error::UnsupportedOperation { device: device.into(), operation });
        }
        if let Some(session) = self.session
            && !granted.offers(session.spec())
        {
            return Err(Error::not_offered(device, granted, session.spec()));
        }
        let is_stream = self.flags.contains(JobFlags::STREAM);
        if is_stream {
            self.check_stream(device, granted)?;
        }
        // Bytes of the destination that count against the limit are those that are written in any case: more room than the operation
        // can use is no reason to refuse it.
        let written = match needed {
            Some(needed) => needed,
            None if operation == Operation::Fill => self.destination_len,
            None => 0,
        };
        let aux_len = if is_stream { 0 } else { self.aux_len };
        let (len, limit) = (self.source_len.max(aux_len).max(written) as u64, granted.max_transfer);
        if len > limit {
            return Err(Error::TooLarge { operation, len, limit });
        }
        Ok(needed.unwrap_or_else(|| self.destination_len.min(usize::try_from(limit).unwrap_or(usize::MAX))))
    }

    /// Checks that the cipher takes a text of this length.
    #[inline]
    fn check_text(&self) -> Result<(), Error> {
        let Some(algorithm) = self.session.map(|session| session.spec().algorithm()) else { return Ok(()) };
        let len = self.source_len as u64;
        match algorithm.text_lengths() {
            Some(lengths) if !lengths.contains(len) => Err(Error::TextLength { algorithm, len }),
            _ => Ok(()),
        }
    }

    /// Checks that the operation can write where it reads, and that this device can do so.
    #[cold]
    fn check_in_place(&self, device: &str, granted: &Capabilities) -> Result<(), Error> {
        let operation = self.operation;
        if !matches!(operation, Operation::Encrypt | Operation::Decrypt) {
            return Err(Error::InvalidInput { operation, reason: "source and destination overlap" });
        }
        if !granted.in_place.contains(operation) {
            return Err(Error::NotInPlace { device: device.into(), operation });
        }
        Ok(())
    }

    /// Checks memory that is not simply two slices.
    #[cold]
    fn check_memory(&self, device: &str, granted: &Capabilities) -> Result<(), Error> {
        let Some(pieces) = self.pieces() else { return self.check_pointers() };
        if pieces.are_taken(granted) {
            return Ok(());
        }
        Err(Error::NotInPieces { device: device.into(), operation: self.operation, pieces: pieces.most() })
    }

    /// Checks that the device keeps a state of this kind between jobs, and that there is room enough to get on.
    #[cold]
    fn check_stream(&self, device: &str, granted: &Capabilities) -> Result<(), Error> {
        let operation = self.operation;
        let Some(spec) = self.session.map(Session::spec) else {
            return Err(Error::InvalidInput { operation, reason: "needs a session" });
        };
        let algorithm = spec.algorithm();
        if !granted.streams.contains(algorithm, spec.direction()) || self.aux_len != granted.stream_state {
            return Err(Error::UnsupportedStream { device: device.into(), algorithm, operation });
        }
        if self.destination_len < stream::ROOM {
            let (needed, room) = (Some(stream::ROOM as u64), self.destination_len as u64);
            return Err(Error::OutputTooSmall { operation, needed, room });
        }
        Ok(())
    }

    /// Checks pointers that nobody vouches for.
    #[cold]
    fn check_pointers(&self) -> Result<(), Error> {
        let invalid = |reason| Err(Error::InvalidInput { operation: self.operation, reason });
        for (start, len) in [
            (self.source, self.source_len),
            (self.aux, self.aux_len),
            (self.destination.cast_const(), self.destination_len),
        ] {
            if len != 0 && start.is_null() {
                return invalid("null pointer with a length");
            }
            if start.addr().checked_add(len).is_none() {
                return invalid("range goes past the end of the address space");
            }
        }
        let destination = (self.destination.cast_const(), self.destination_len);
        if !self.is_in_place() && overlap((self.source, self.source_len), destination)
            || overlap((self.aux, self.aux_len), destination)
        {
            return invalid("source and destination overlap");
        }
        Ok(())
    }

    /// Writes the checked job into its slot; `room` is what [`check`](Self::check) said.
    #[inline]
    pub(crate) fn fill(&self, job: &mut Job, session: Option<SessionId>, room: usize) {
        job.operation = self.operation;
        job.flags = self.flags;
        job.session = session.unwrap_or(SessionId(0));
        job.source = self.source;
        job.source_len = self.source_len;
        job.destination = self.destination;
        job.destination_len = room;
        job.aux = self.aux;
        job.aux_len = self.aux_len;
        job.immediate = self.immediate;
        if self.flags.contains(JobFlags::SCATTER) {
            self.name_pieces(job, room);
        }
    }

    /// Names the lists of a job in pieces.
    #[cold]
    fn name_pieces(&self, job: &mut Job, room: usize) {
        // SAFETY: they are the job's own, and nothing refers to them while it is built: it is not in flight, and not built again before it was answered or refused.
        let pieces = unsafe { &mut *self.source.cast::<Pieces<'_>>().cast_mut() };
        pieces.name_in(job, room);
    }
}

/// The room an operation needs, where that does not depend on the data.
#[inline]
pub(crate) fn room_needed(work: &RawWork<'_>) -> Option<usize> {
    match work.operation {
        Operation::Copy | Operation::Encrypt | Operation::Decrypt => Some(work.source_len),
        Operation::Seal => work.source_len.checked_add(TAG_LEN),
        Operation::Open => work.source_len.checked_sub(TAG_LEN),
        Operation::Digest => work.session.and_then(Session::digest_len),
        _ => None,
    }
}

fn overlap(a: (*const u8, usize), b: (*const u8, usize)) -> bool {
    a.1 != 0 && b.1 != 0 && a.0.addr() < b.0.addr().saturating_add(b.1) && b.0.addr() < a.0.addr().saturating_add(a.1)
}
