//! Room for the data of one job, in memory that the device reaches.

use std::ptr::NonNull;

use uaccel_queue::{Fault, FaultKind, Job, JobFlags, Outcome, RingMemory, Status};

use crate::extent::{self, Extent};
use crate::sys::careful_copy;

/// Bytes for each of a job's memories.
pub(super) const AREA: usize = 256 << 10;

/// Room for the data of one job, at most [`AREA`] bytes for each of its memories.
#[derive(Debug)]
pub(super) struct Bay {
    memory: RingMemory,
    areas: usize,
}

impl Bay {
    /// A bay of so many areas, as many as `memory` has.
    pub(super) fn new(memory: RingMemory, areas: usize) -> Self {
        Self { memory, areas }
    }

    /// Brings a job's sources here.
    ///
    /// # Errors
    /// How the job ends whose sources cannot be had, or do not fit.
    ///
    /// # Safety
    /// The job is in flight, and nobody else uses the bay.
    pub(super) unsafe fn bring(&self, job: &Job) -> Result<(), Outcome> {
        for (area, extent) in self.extents(job)? {
            if extent.access == FaultKind::Read {
                // SAFETY: the bay is the caller's, and has room for `AREA` bytes, which is not less; sources are readable until the job is answered, or
                // are not vouched for.
                unsafe { copy(job, extent.start, extent.len, self.start(area), FaultKind::Read) }
                    .map_err(Outcome::faulted)?;
            }
        }
        Ok(())
    }

    /// Makes the job that the device gets of a job whose sources are here.
    pub(super) fn rewrite(&self, outer: &Job, inner: &mut Job) {
        // The bay is there for as long as anybody has it, and it is initialised.
        *inner = Job { token: inner.token, flags: JobFlags::VOUCHED, ..*outer };
        let address = |area| self.device_address(area);
        inner.source = std::ptr::with_exposed_provenance(address(0));
        inner.destination = std::ptr::with_exposed_provenance_mut(address(1));
        inner.aux = std::ptr::with_exposed_provenance(address(2));
    }

    /// Brings what the device produced to where the job wants it, and says how the job ends.
    ///
    /// # Safety
    /// The job is in flight, and was answered by the device, with this outcome, for the job that [`rewrite`](Self::rewrite) made of it.
    pub(super) unsafe fn deliver(&self, job: &Job, outcome: Outcome) -> Outcome {
        let mut outcome = outcome;
        outcome.fault = outcome.fault.and_then(|fault| self.translate(job, fault));
        let written = extent::of(job).into_iter().flatten().any(|extent| extent.access == FaultKind::Write);
        if !written || !matches!(outcome.status, Status::Ok | Status::Partial) {
            return outcome;
        }
        let Some(len) = usize::try_from(outcome.produced).ok().filter(|len| *len <= job.destination_len.min(AREA))
        else {
            // More than there is room for: the device is not believed.
            return Outcome::failed(Status::DeviceError);
        };
        let start = job.destination.expose_provenance();
        // SAFETY: the bay holds the bytes, which the device has finished with; the destination is writable until the job is answered, or is not vouched for.
        match unsafe { copy(job, start, len, self.start(1), FaultKind::Write) } {
            Ok(()) => outcome,
            Err(fault) => Outcome::faulted(fault),
        }
    }

    /// The memories of a job that fits, with their areas.
    fn extents(&self, job: &Job) -> Result<impl Iterator<Item = (usize, Extent)>, Outcome> {
        let extents = extent::of(job);
        let areas = self.areas;
        let fits = |(area, extent): (usize, &Option<Extent>)| {
            extent.as_ref().is_none_or(|extent| extent.len <= AREA && area < areas)
        };
        if job.flags.intersects(JobFlags::CHAINED.union(JobFlags::SCATTER).union(JobFlags::STREAM))
            || !extents.iter().enumerate().all(fits)
        {
            return Err(Outcome::failed(Status::InvalidJob));
        }
        Ok(extents.into_iter().enumerate().filter_map(|(area, extent)| Some((area, extent?))))
    }

    /// A device's fault, in the job's own addresses. `None` for an address that the device was not given.
    fn translate(&self, job: &Job, fault: Fault) -> Option<Fault> {
        let starts = [job.source.addr(), job.destination.addr(), job.aux.addr()];
        (0..self.areas).find_map(|area| {
            let inside = fault.address.checked_sub(self.device_address(area) as u64)?;
            (inside < AREA as u64).then(|| Fault { address: starts[area] as u64 + inside, kind: fault.kind })
        })
    }

    fn start(&self, area: usize) -> NonNull<u8> {
        self.memory.buffer(area * AREA)
    }

    fn device_address(&self, area: usize) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "a device's address for a job's pointer, on 64-bit systems")]
        let address = self.memory.device_address(area * AREA) as usize;
        address
    }
}

/// Copies between a job's memory and a bay: to the bay for [`FaultKind::Read`], else from it.
///
/// # Safety
/// The bay has so many bytes, which nobody else uses. If the job is vouched for, so has the other memory; else it may be anything.
unsafe fn copy(job: &Job, start: usize, len: usize, bay: NonNull<u8>, kind: FaultKind) -> Result<(), Fault> {
    if len == 0 {
        return Ok(());
    }
    match (job.flags.contains(JobFlags::VOUCHED), kind == FaultKind::Read) {
        // SAFETY: the bay is the caller's.
        (false, true) => unsafe { careful_copy::read(start, bay, len) },
        // SAFETY: as above.
        (false, false) => unsafe { careful_copy::write(bay, start, len) },
        (true, true) => {
            let source = std::ptr::with_exposed_provenance::<u8>(start);
            // SAFETY: the caller's promise. Bays are no memory of a job, so the two are apart.
            unsafe { std::ptr::copy_nonoverlapping(source, bay.as_ptr(), len) };
            Ok(())
        }
        (true, false) => {
            let destination = std::ptr::with_exposed_provenance_mut::<u8>(start);
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(bay.as_ptr(), destination, len) };
            Ok(())
        }
    }
}
