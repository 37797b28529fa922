//! What the daemon answers.

use bitflags::bitflags;
use zerocopy::IntoBytes;

use crate::record::{Record, narrow};
use crate::refusal::Refusal;
use crate::{DecodeError, MESSAGE, RECORD, TEXT};

bitflags! {
    /// What the daemon does for a client.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct WelcomeFlags: u64 {
        /// Before a worker sleeps, it fences on the client's threads too: see
        /// [`HelloFlags::FENCED`](crate::HelloFlags::FENCED).
        const FENCES = 1 << 0;
    }
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// The client's address space is bound.
    Welcome {
        /// The version that the daemon speaks.
        version: u32,
        /// What it does for the client.
        flags: WelcomeFlags,
        /// The number of the client's address space.
        pasid: u32,
        /// The most queues a client may have.
        queues: u32,
        /// The most windows a client may have.
        windows: u32,
        /// The most bytes of windows a client may have.
        window_bytes: u64,
    },
    /// About a device.
    Device {
        /// How many devices there are.
        count: u32,
        /// How many queues this one has.
        queues: u32,
        /// How many of them are free.
        free: u32,
        /// Its name.
        name: String,
        /// The name of its programming interface.
        interface: String,
    },
    /// A queue is open. Three descriptors: its user page (a memfd of 4096 bytes that can neither shrink nor grow), a socket of which a byte is a signal, and
    /// an eventfd whose write is a doorbell.
    Opened {
        /// Which.
        queue: u32,
    },
    /// Ring memory. One descriptor: a memfd that can neither shrink nor grow.
    Ring {
        /// Of which queue.
        queue: u32,
        /// Where the device has it.
        address: u64,
        /// Bytes.
        len: u64,
    },
    /// It is done.
    Done,
    /// The queue takes no more jobs.
    Stopped {
        /// Whether the device is known to touch nothing of it any more.
        quiet: bool,
    },
    /// A window is registered.
    Window {
        /// Which.
        id: u64,
    },
    /// The daemon's state. One descriptor: a sealed memfd with an object in JSON.
    Status {
        /// Bytes.
        len: u64,
    },
    /// It was not done.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The same for people, and what to do about it. What is longer than [`TEXT`] is cut off.
        text: String,
    },
}

const WELCOME: u32 = 1;
const DEVICE: u32 = 2;
const OPENED: u32 = 3;
const RING: u32 = 4;
const DONE: u32 = 5;
const STOPPED: u32 = 6;
const WINDOW: u32 = 7;
const STATUS: u32 = 8;
const REFUSED: u32 = 9;

impl Reply {
    /// The message. Text that is too long is cut off.
    #[must_use]
    pub fn encode(&self, serial: u32) -> Vec<u8> {
        let mut text = String::new();
        let record = match self {
            Self::Welcome { version, flags, pasid, queues, windows, window_bytes } => {
                let (version, pasid) = (u64::from(*version), u64::from(*pasid));
                let words = [version, flags.bits(), pasid, u64::from(*queues), u64::from(*windows), *window_bytes];
                Record::new(WELCOME, 0, serial, 0, words)
            }
            Self::Device { count, queues, free, name, interface } => {
                text = format!("{name}\n{interface}");
                Record::new(DEVICE, 0, serial, 0, [count, queues, free].map(|number| u64::from(*number)))
            }
            Self::Opened { queue } => Record::new(OPENED, *queue, serial, 0, []),
            Self::Ring { queue, address, len } => Record::new(RING, *queue, serial, 0, [*address, *len]),
            Self::Done => Record::new(DONE, 0, serial, 0, []),
            Self::Stopped { quiet } => Record::new(STOPPED, 0, serial, 0, [u64::from(*quiet)]),
            Self::Window { id } => Record::new(WINDOW, 0, serial, 0, [*id]),
            Self::Status { len } => Record::new(STATUS, 0, serial, 0, [*len]),
            Self::Refused { refusal, text: why } => {
                text.clone_from(why);
                let (code, word) = refusal.encode();
                Record::new(REFUSED, 0, serial, code, [word])
            }
        };
        let mut message = Vec::with_capacity(MESSAGE);
        message.extend_from_slice(record.as_bytes());
        message.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(TEXT)]);
        message
    }

    /// The reply in a message that came with `descriptors` descriptors, and the serial of the request that it answers.
    ///
    /// # Errors
    /// [`DecodeError`] if it is none.
    pub fn decode(message: &[u8], descriptors: usize) -> Result<(u32, Self), DecodeError> {
        let (record, text) = Record::of(message)?;
        if text.len() > TEXT {
            return Err(DecodeError::Length { expected: MESSAGE, found: message.len() });
        }
        let text = std::str::from_utf8(text).map_err(|_| DecodeError::Text("is not UTF-8"))?;
        let kind = record.kind.get();
        if !matches!(kind, DEVICE | REFUSED) && !text.is_empty() {
            return Err(DecodeError::Length { expected: RECORD, found: message.len() });
        }
        if !matches!(kind, OPENED | RING) {
            record.no_queue()?;
        }
        let queue = record.queue.get();
        if kind != REFUSED {
            crate::record::reserved("code", record.code.get().into())?;
        }
        let reply = match kind {
            WELCOME => {
                let [version, flags, pasid, queues, windows, window_bytes] = record.words()?;
                Self::Welcome {
                    version: narrow("version", version)?,
                    // What this version does not know of is no harm to it.
                    flags: WelcomeFlags::from_bits_truncate(flags),
                    pasid: narrow("PASID", pasid)?,
                    queues: narrow("queues", queues)?,
                    windows: narrow("windows", windows)?,
                    window_bytes,
                }
            }
            DEVICE => {
                let [count, queues, free] = record.words()?;
                let (name, interface) = text.split_once('\n').ok_or(DecodeError::Text("is no name and interface"))?;
                Self::Device {
                    count: narrow("devices", count)?,
                    queues: narrow("queues", queues)?,
                    free: narrow("free queues", free)?,
                    name: name.to_owned(),
                    interface: interface.to_owned(),
                }
            }
            OPENED => {
                let [] = record.words()?;
                Self::Opened { queue }
            }
            RING => {
                let [address, len] = record.words()?;
                Self::Ring { queue, address, len }
            }
            DONE => {
                let [] = record.words()?;
                Self::Done
            }
            STOPPED => match record.words()? {
                [quiet @ (0 | 1)] => Self::Stopped { quiet: quiet == 1 },
                [value] => return Err(DecodeError::Value { field: "quiet", value }),
            },
            WINDOW => {
                let [id] = record.words()?;
                Self::Window { id }
            }
            STATUS => {
                let [len] = record.words()?;
                Self::Status { len }
            }
            REFUSED => {
                let [word] = record.words()?;
                Self::Refused { refusal: Refusal::decode(record.code.get(), word)?, text: text.to_owned() }
            }
            _ => return Err(DecodeError::Kind(kind)),
        };
        let expected = reply.descriptors();
        if descriptors != expected {
            return Err(DecodeError::Descriptors { expected, found: descriptors });
        }
        Ok((record.serial.get(), reply))
    }

    /// How many descriptors go with it.
    #[must_use]
    pub const fn descriptors(&self) -> usize {
        match self {
            Self::Opened { .. } => 3,
            Self::Ring { .. } | Self::Status { .. } => 1,
            _ => 0,
        }
    }
}
