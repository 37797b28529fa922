//! Addresses that cannot be read or written, on devices that report them.

use uaccel_queue::{FaultHandling, FaultKind, JobFlags, Operation, Status, Token};

use crate::Backend;
use crate::page::{Access, Pages};
use crate::request::Request;
use crate::rig::Rig;
use crate::text::noise;

const PAGE: usize = Pages::SIZE;

/// A queue that reports faults, and offers `Copy`.
fn reporting(backend: &dyn Backend) -> Option<Rig> {
    let rig = Rig::new(backend);
    let reports = rig.granted.faults != FaultHandling::CallerVouches && rig.granted.effective;
    (reports && rig.offers(Operation::Copy)).then_some(rig)
}

/// Nobody vouches for this copy.
fn copy(rig: &mut Rig, from: *const u8, to: *mut u8, len: usize) -> Token {
    rig.submit_raw(|job| {
        job.operation = Operation::Copy;
        job.flags = JobFlags::empty();
        (job.source, job.source_len) = (from, len);
        (job.destination, job.destination_len) = (to, len);
    })
}

/// A source that is not mapped is reported with its address.
pub fn missing_sources(backend: &dyn Backend) {
    let pages = Pages::new(&[Access::Nothing, Access::Everything]);
    let Some(mut rig) = reporting(backend) else { return };
    let token = copy(&mut rig, pages.at(100), pages.at(PAGE), 64);
    let fault = rig.wait(token).fault();
    assert_eq!((fault.kind, fault.address), (FaultKind::Read, pages.at(100).addr() as u64));
}

/// A destination that is not mapped is reported with its address.
pub fn missing_destinations(backend: &dyn Backend) {
    let pages = Pages::new(&[Access::Everything, Access::Nothing]);
    let Some(mut rig) = reporting(backend) else { return };
    let token = copy(&mut rig, pages.at(0), pages.at(PAGE + 100), 64);
    let fault = rig.wait(token).fault();
    assert_eq!((fault.kind, fault.address), (FaultKind::Write, pages.at(PAGE + 100).addr() as u64));
}

/// A destination that may only be read is reported, and not written.
pub fn protected_destinations(backend: &dyn Backend) {
    let pages = Pages::new(&[Access::Everything, Access::Reading]);
    let Some(mut rig) = reporting(backend) else { return };
    // SAFETY: a page of ours that may be written, and that no job names yet.
    unsafe { pages.at(0).write_bytes(0x5a, PAGE) };
    let token = copy(&mut rig, pages.at(0), pages.at(PAGE), PAGE);
    let fault = rig.wait(token).fault();
    assert_eq!((fault.kind, fault.address), (FaultKind::Write, pages.at(PAGE).addr() as u64));
    // SAFETY: a page of ours that may be read, and the job is answered.
    let written = unsafe { std::slice::from_raw_parts(pages.at(PAGE), PAGE) }.iter().any(|byte| *byte != 0);
    assert!(!written, "read-only memory was written");
}

/// The address reported is the first that could not be accessed.
pub fn faults_half_way(backend: &dyn Backend) {
    let pages =
        Pages::new(&[Access::Everything, Access::Nothing, Access::Everything, Access::Everything, Access::Nothing]);
    let Some(mut rig) = reporting(backend) else { return };
    let token = copy(&mut rig, pages.at(PAGE - 1000), pages.at(2 * PAGE), 3000);
    let fault = rig.wait(token).fault();
    assert_eq!((fault.kind, fault.address), (FaultKind::Read, pages.at(PAGE).addr() as u64));
    let token = copy(&mut rig, pages.at(2 * PAGE), pages.at(4 * PAGE - 1000), 3000);
    let fault = rig.wait(token).fault();
    assert_eq!((fault.kind, fault.address), (FaultKind::Write, pages.at(4 * PAGE).addr() as u64));
}

/// Jobs beside one that faults are as ever, and so is the queue.
pub fn neighbours_of_faults(backend: &dyn Backend) {
    let pages = Pages::new(&[Access::Nothing, Access::Everything]);
    let Some(mut rig) = reporting(backend) else { return };
    for round in 0..100 {
        let bytes = noise(round, 500);
        let bad = copy(&mut rig, pages.at(0), pages.at(PAGE), 64);
        let good = rig.submit(&[Request::copy(&bytes).unvouched()]);
        let replies = rig.wait_all();
        for (token, reply) in replies {
            if token == bad {
                reply.expect(Status::Fault);
            } else {
                assert!(good.contains(&token));
                assert_eq!(reply.output(), bytes);
            }
        }
    }
}
