//! What goes over the bus between the engine and the IOMMU, line by line.

use core::fmt;
use std::io::{self, Write};

use crate::emulator::{NO_PASID, Refusal, Translation};

/// What goes over the bus between the engine and the IOMMU, one line on standard error for each message, if it is switched on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace(Option<&'static str>);

/// How an address space is written in a line.
pub(crate) struct Named(pub(crate) u32);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NO_PASID => f.write_str("no pasid"),
            pasid => write!(f, "pasid {pasid}"),
        }
    }
}

/// How an access is written in a line.
const fn access(write: bool) -> &'static str {
    if write { "write" } else { "read" }
}

impl Trace {
    /// The trace of a device of this type, on or off.
    #[must_use]
    pub const fn new(device: &'static str, on: bool) -> Self {
        Self(if on { Some(device) } else { None })
    }

    /// A translation request and its answer.
    pub fn translation(self, pasid: u32, page: u64, write: bool, answer: &Result<Translation, Refusal>) {
        match answer {
            Ok(translation) => {
                self.line(format_args!("ats        {} page {page:#x} {} -> {translation}", Named(pasid), access(write)))
            }
            Err(refusal) => {
                self.line(format_args!("ats        {} page {page:#x} {} -> {refusal}", Named(pasid), access(write)))
            }
        }
    }

    /// A page request, and whether it could be sent.
    pub fn page_request(self, pasid: u32, page: u64, write: bool, group: u16, sent: &Result<(), Refusal>) {
        match sent {
            Ok(()) => {
                self.line(format_args!("pri        {} page {page:#x} {} group {group}", Named(pasid), access(write)))
            }
            Err(refusal) => self.line(format_args!(
                "pri        {} page {page:#x} {} group {group} not sent: {refusal}",
                Named(pasid),
                access(write)
            )),
        }
    }

    /// The answer to a page request.
    pub fn page_response(self, pasid: u32, group: u16, granted: bool, known: bool) {
        let answer = if granted { "success" } else { "refused" };
        let note = if known { "" } else { ", nobody waits for it" };
        self.line(format_args!("response   {} group {group} {answer}{note}", Named(pasid)));
    }

    /// An invalidation of `len` bytes; 0 stands for the whole address space.
    pub fn invalidation(self, pasid: u32, address: u64, len: u64) {
        match len {
            0 => self.line(format_args!("invalidate {} all", Named(pasid))),
            len => self.line(format_args!("invalidate {} address {address:#x} size {len:#x}", Named(pasid))),
        }
    }

    /// A command of the kernel's to the function.
    pub fn command(self, what: fmt::Arguments<'_>) {
        self.line(format_args!("command    {what}"));
    }

    /// Something that happened to a queue.
    pub fn queue(self, queue: usize, what: fmt::Arguments<'_>) {
        self.line(format_args!("queue      {queue} {what}"));
    }

    fn line(self, text: fmt::Arguments<'_>) {
        if let Some(device) = self.0 {
            // One write per line, so that lines of the guest's console stay whole. If nobody can be told, nothing is lost but the line.
            let _ = io::stderr().lock().write_all(format!("{device}: {text}\n").as_bytes());
        }
    }
}
