//! From a job to its descriptor.

use uaccel_queue::{Job, JobFlags, Operation};
use uaccel_warp_abi::{Descriptor, DescriptorFlags};

/// The descriptor of a job; one that the device must refuse ([`Descriptor::refused`]) if the job cannot be said in a
/// descriptor.
///
/// Fields that the operation does not use are zero: a job's slot keeps what an earlier job left there, and that is no
/// business of the device's.
#[inline]
pub(super) fn descriptor(job: &Job, max_transfer: u32) -> Descriptor {
    express(job, max_transfer).unwrap_or_else(|| Descriptor::refused(job.token.raw()))
}

#[inline]
fn express(job: &Job, max_transfer: u32) -> Option<Descriptor> {
    if job.flags.contains(JobFlags::SCATTER) {
        return None;
    }
    let length = |bytes: usize| u32::try_from(bytes).ok().filter(|bytes| *bytes <= max_transfer);
    let mut descriptor = Descriptor {
        token: job.token.raw(),
        opcode: job.operation as u8,
        flags: flags(job.flags),
        ..Descriptor::default()
    };
    let (source, destination, aux) = match job.operation {
        Operation::Nop => (false, false, false),
        Operation::Fill => (false, true, false),
        Operation::Compare => (true, false, true),
        Operation::Crc32 | Operation::Crc32c => (true, false, false),
        Operation::Copy
        | Operation::Compress
        | Operation::Decompress
        | Operation::Digest
        | Operation::Encrypt
        | Operation::Decrypt => (true, true, false),
        Operation::Seal | Operation::Open => (true, true, true),
        // An operation that a later version of the contract names: this driver was not granted it.
        _ => return None,
    };
    if source {
        descriptor.source = job.source.expose_provenance() as u64;
        descriptor.source_len = length(job.source_len)?;
    }
    if destination {
        descriptor.destination = job.destination.expose_provenance() as u64;
        descriptor.destination_len = length(job.destination_len)?;
    }
    if aux {
        descriptor.aux = job.aux.expose_provenance() as u64;
        descriptor.aux_len = length(job.aux_len)?;
    }
    match job.operation {
        Operation::Fill => descriptor.operand[..8].copy_from_slice(&job.pattern().to_le_bytes()),
        Operation::Crc32 | Operation::Crc32c => descriptor.operand[..4].copy_from_slice(&job.seed().to_le_bytes()),
        Operation::Seal | Operation::Open => descriptor.operand = job.nonce(),
        Operation::Encrypt | Operation::Decrypt => descriptor.set_wide_operand(job.iv()),
        _ => {}
    }
    if job.operation.needs_session() {
        descriptor.session = job.session.0;
    }
    Some(descriptor)
}

/// Flags mean the same on both sides, but each side numbers its own.
#[inline]
fn flags(job: JobFlags) -> DescriptorFlags {
    let mut flags = DescriptorFlags::empty();
    flags.set(DescriptorFlags::VOUCHED, job.contains(JobFlags::VOUCHED));
    flags.set(DescriptorFlags::UNINIT_DESTINATION, job.contains(JobFlags::UNINIT_DESTINATION));
    flags.set(DescriptorFlags::CHAINED, job.contains(JobFlags::CHAINED));
    flags
}
