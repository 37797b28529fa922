//! What is known of a stream between two of its jobs.

use std::ptr;

use uaccel_hisi_abi::zip::{Carried, stream};
use uaccel_queue::Job;
use uaccel_queue::stream::STATE_ALIGN;

/// Bytes of a state that are the driver's. What follows is the device's (UADK keeps its buffer so, `RSV_OFFSET`).
const OWN: usize = 64;

/// Bytes of a state.
pub(in crate::hisi::zip) const LEN: usize = OWN + stream::LEN;

/// What the driver knows of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) stage: Stage,
    /// What the engine said last.
    pub(super) carried: Carried,
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Stage {
    /// The engine knows nothing of it. Not 0: memory that nobody wrote to is no state.
    Fresh = 1,
    /// The engine has begun.
    Going = 2,
    /// It has ended.
    Over = 3,
}

impl State {
    /// Of a stream of which the engine knows nothing.
    pub(super) const FRESH: Self =
        Self { stage: Stage::Fresh, carried: Carried { context_words: [0; 3], running_len: 0, checksum: 0 } };
}

/// Where the state of a job's stream is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(*mut [u32; WORDS]);

/// Words of the driver's part that say something: those of the context where UADK has them, length, checksum, stage.
const WORDS: usize = 6;

const _: () = assert!(size_of::<[u32; WORDS]>() <= OWN && STATE_ALIGN.is_multiple_of(align_of::<u32>()));

impl Place {
    /// That of a job; `None` if what it names is none.
    ///
    /// # Safety
    /// The job has [`JobFlags::STREAM`](uaccel_queue::JobFlags::STREAM) and was handed to `submit`. The value is not used while the device has the job, nor when the job is answered.
    pub(super) unsafe fn of(job: &Job) -> Option<Self> {
        let start = job.aux.cast_mut();
        let sound = !start.is_null() && job.aux_len >= LEN && start.addr().is_multiple_of(STATE_ALIGN);
        sound.then_some(Self(start.cast()))
    }

    /// Where the device's part begins.
    pub(super) fn context(self) -> u64 {
        self.0.expose_provenance() as u64 + OWN as u64
    }

    /// Reads what is known; `None` if that makes no sense. The device can write here as anywhere: nothing is believed but that it is a number.
    pub(super) fn load(self) -> Option<State> {
        // SAFETY: `of`'s caller: a state is vouched for, long enough, aligned, and nobody else's.
        let [a, b, c, running_len, checksum, stage] = unsafe { ptr::read(self.0) };
        let stage = [Stage::Fresh, Stage::Going, Stage::Over].into_iter().find(|known| *known as u32 == stage)?;
        Some(State { stage, carried: Carried { context_words: [a, b, c], running_len, checksum } })
    }

    /// Writes it down.
    pub(super) fn store(self, State { stage, carried }: State) {
        let [a, b, c] = carried.context_words;
        let words = [a, b, c, carried.running_len, carried.checksum, stage as u32];
        // SAFETY: as in `load`; a job of a stream writes its state.
        unsafe { ptr::write(self.0, words) };
    }
}
