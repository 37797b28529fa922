//! From a job to its descriptor.

use uaccel_queue::{ByOperation, Job, JobFlags, Operation};
use uaccel_warp_abi::{Descriptor, DescriptorFlags};

/// What a descriptor can say of a job's flags. Both sides have these, under the same bits.
const FLAGS: JobFlags = JobFlags::VOUCHED.union(JobFlags::UNINIT_DESTINATION).union(JobFlags::CHAINED);

const _: () = {
    assert!(JobFlags::VOUCHED.bits() == DescriptorFlags::VOUCHED.bits());
    assert!(JobFlags::UNINIT_DESTINATION.bits() == DescriptorFlags::UNINIT_DESTINATION.bits());
    assert!(JobFlags::CHAINED.bits() == DescriptorFlags::CHAINED.bits());
    assert!(FLAGS.bits() == DescriptorFlags::all().bits());
};

/// Which of a job's fields an operation uses, each as the bits that are kept of it. What is masked needs no branches, and no values that wait on the
/// stack for their turn: stores, of which a processor has so many under way at a time, and the lines of the ring are to be among them.
#[derive(Clone, Copy)]
struct Uses {
    source: u64,
    destination: u64,
    aux: u64,
    /// Bytes 0 to 7 of the small operand.
    operand: u64,
    /// Bytes 8 to 11 in the high half, 12 to 15 in the low one, as word 4 has them.
    operand_end: u64,
    session: u64,
    /// Whether it is an operation that this driver knows.
    known: bool,
}

const USES: ByOperation<Uses> = {
    use Operation::{
        Compare, Compress, Copy, Crc32, Crc32c, Decompress, Decrypt, Digest, Encrypt, Fill, Nop, Open, Seal,
    };

    const ALL: u64 = u64::MAX;
    const LOW: u64 = u32::MAX as u64;
    let unknown = Uses { source: 0, destination: 0, aux: 0, operand: 0, operand_end: 0, session: 0, known: false };
    let nothing = Uses { known: true, ..unknown };
    let both = Uses { source: ALL, destination: ALL, ..nothing };
    let in_session = Uses { session: ALL, ..both };
    // An operation that a later version of the contract names: this driver was not granted it.
    ByOperation::all(unknown)
        .with(&[Nop], nothing)
        .with(&[Fill], Uses { destination: ALL, operand: ALL, ..nothing })
        .with(&[Compare], Uses { source: ALL, aux: ALL, ..nothing })
        .with(&[Crc32, Crc32c], Uses { source: ALL, operand: LOW, ..nothing })
        .with(&[Copy], both)
        .with(&[Compress, Decompress, Digest], in_session)
        .with(&[Encrypt, Decrypt], Uses { operand: ALL, operand_end: ALL, ..in_session })
        .with(&[Seal, Open], Uses { aux: ALL, operand: ALL, operand_end: !LOW, ..in_session })
};

/// The words of a job's descriptor, without a phase; of one that the device must refuse ([`Descriptor::refused`]) if the job cannot be said in a
/// descriptor.
///
/// Fields that the operation does not use are zero: a job's slot keeps what an earlier job left there, and that is no
/// business of the device's.
#[inline]
pub(super) fn words(job: &Job, max_transfer: u32) -> [u64; 8] {
    let uses = USES.get(job.operation);
    let source_len = job.source_len as u64 & uses.source;
    let destination_len = job.destination_len as u64 & uses.destination;
    let aux_len = job.aux_len as u64 & uses.aux;
    let limit = u64::from(max_transfer);
    let sayable = uses.known & FLAGS.contains(job.flags);
    if !(sayable & (source_len <= limit) & (destination_len <= limit) & (aux_len <= limit)) {
        return refused(job);
    }
    let [a, b, c, d, e, f, g, h, end @ ..] = job.immediate;
    let operand = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    [
        job.source.expose_provenance() as u64 & uses.source,
        job.destination.expose_provenance() as u64 & uses.destination,
        source_len | destination_len << 32,
        job.aux.expose_provenance() as u64 & uses.aux,
        // Where there is a second source, the end of the operand is no wider than the other half.
        u64::from_le_bytes(end).rotate_left(32) & uses.operand_end | aux_len,
        0,
        operand & uses.operand,
        u64::from(job.token.raw())
            | u64::from(job.operation as u8) << 32
            | u64::from(job.flags.bits()) << 40
            | (u64::from(job.session.0 & (Descriptor::MAX_SESSIONS - 1)) & uses.session) << 48,
    ]
}

#[cold]
fn refused(job: &Job) -> [u64; 8] {
    Descriptor::refused(job.token.raw()).encode(false)
}
