//! What a function is.

use uaccel_hisi_abi::registers::{self, capability};
use uaccel_hisi_abi::{Dus, zip};

/// How many interrupt vectors a function has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vectors {
    /// One, for events. Nobody is told of asynchronous events and errors.
    One,
    /// Four: events, asynchronous events, messages, errors.
    #[default]
    Four,
}

impl Vectors {
    /// How many that are.
    #[must_use]
    pub const fn count(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Four => 4,
        }
    }
}

/// Where an engine tells of its errors.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRegisters {
    /// Writing bits here clears them.
    pub source: usize,
    /// Errors that raise no interrupt.
    pub mask: usize,
    /// Errors there are.
    pub status: usize,
    /// Errors that shut the function down.
    pub shutdown: usize,
}

/// What the kernel finds of the engine behind the queue manager.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Registers that are not 0, and their values.
    pub registers: &'static [(usize, u32)],
    /// Where it tells of its errors.
    pub errors: ErrorRegisters,
}

impl Engine {
    /// ZIP: raw deflate, zlib and gzip for users, nothing for the kernel itself. The values are those of `zip_main.c` (`zip_basic_cap_info`, hardware
    /// version 3).
    pub const ZIP: Self = Self {
        registers: &[
            (zip::registers::NONFATAL_ERRORS, 0x1ffe),
            (zip::registers::RESET_ERRORS, 0x7fe),
            (zip::registers::CORRECTED_ERRORS, 0x1),
            // One cluster with two types of cores: two that compress, three that decompress.
            (zip::registers::CORES, 0x1205_0203),
            (zip::registers::CORES_ENABLED, 0x001c_0003),
            (
                zip::registers::USER_ALGORITHMS,
                zip::registers::algorithms::ZLIB
                    | zip::registers::algorithms::GZIP
                    | zip::registers::algorithms::DEFLATE,
            ),
            (zip::registers::CORE_ALGORITHMS, 0xd5),
            (zip::registers::CORE_ALGORITHMS + 0x4, 0xd5),
            (zip::registers::CORE_ALGORITHMS + 0x8, 0x2a),
            (zip::registers::CORE_ALGORITHMS + 0xc, 0x2a),
            (zip::registers::CORE_ALGORITHMS + 0x10, 0x2a),
        ],
        errors: ErrorRegisters {
            source: zip::registers::ERROR_SOURCE,
            mask: zip::registers::ERROR_MASK,
            status: zip::registers::ERRORS,
            shutdown: zip::registers::SHUTDOWN_ERRORS,
        },
    };
}

/// What a function is.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Queues, 1 to [`MAX_QUEUES`](Self::MAX_QUEUES).
    pub queues: u16,
    /// Interrupt vectors.
    pub vectors: Vectors,
    /// The engine.
    pub engine: Engine,
}

/// Why a function cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There are no queues, or too many.
    #[error("a function has 1 to {max} queues, not {0}", max = Config::MAX_QUEUES)]
    Queues(u16),
}

impl Config {
    /// The most queues of a function: what the kernel's driver asks for by default. More it would not use.
    pub const MAX_QUEUES: u16 = 64;

    /// A ZIP engine with this many queues.
    #[must_use]
    pub const fn zip(queues: u16) -> Self {
        Self { queues, vectors: Vectors::Four, engine: Engine::ZIP }
    }

    pub(super) const fn check(&self) -> Result<(), ConfigError> {
        if self.queues == 0 || self.queues > Self::MAX_QUEUES {
            return Err(ConfigError::Queues(self.queues));
        }
        Ok(())
    }

    /// The queue manager's registers that are not 0 at power-on, and their values. Version 1 of the capabilities, as many capabilities as can be had without
    /// virtual functions, and the values of `qm.c` (`qm_basic_info`, `qm_cap_query_info`, hardware version 3) for the rest.
    pub(super) fn registers(&self) -> Vec<(usize, u32)> {
        let queues = u32::from(self.queues);
        let depth = u32::from(Dus::DEPTH);
        // Type in the upper half, 0 if there is none; vector in the lower one.
        let vector = |vector: u32| 1 << 16 | vector;
        let only_of_four = |value| if self.vectors == Vectors::Four { value } else { 0 };
        vec![
            (registers::ISOLATION, 1),
            (registers::QUEUES, queues | queues << 11),
            (registers::VFT_READY, 1),
            (registers::CAPABILITIES, 1 | capability::QOS | capability::STOP_QUEUE | capability::STOP_FUNCTION),
            (registers::EVENT_DEPTHS, 0x0400_0800),
            (registers::QUEUE_DEPTHS, depth << 16 | depth),
            (registers::EVENT_INTERRUPT, vector(0)),
            (registers::ASYNC_INTERRUPT, only_of_four(vector(1))),
            (registers::MESSAGE_INTERRUPT, only_of_four(vector(2))),
            (registers::ERROR_INTERRUPT, only_of_four(vector(3))),
            (registers::VECTORS, if self.vectors == Vectors::Four { 4 << 16 | 3 } else { 1 << 16 | 1 }),
            (registers::EXTENSION, 0x14),
            (registers::NONFATAL_ERRORS, 0x7c77),
            (registers::RESET_ERRORS, 0x6c77),
            (registers::CORRECTED_ERRORS, 0x8),
        ]
    }
}
