//! Why a limit could not be measured.

use std::io;

/// Why a limit could not be set up or measured.
///
/// None of these says anything about the speed of the machine; a caller prints them in place of a figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// The limit is one between two CPUs, and this process may use only one.
    #[error("{limit} is measured between two CPUs, but this process may use only CPU {only}")]
    NeedsTwoCpus {
        /// Name of the limit.
        limit: String,
        /// The CPU that is usable.
        only: usize,
    },

    /// The set of usable CPUs could not be read.
    #[error("the CPUs usable by this process could not be read")]
    UsableCpus(#[source] io::Error),

    /// The kernel did not let a thread move to a CPU: it does not exist, is off-line, or is outside the cpuset.
    #[error("a thread could not be pinned to CPU {cpu}")]
    Pin {
        /// The CPU asked for.
        cpu: usize,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },

    /// The engine thread could not be started.
    #[error("the engine thread of {limit} could not be started")]
    Spawn {
        /// Name of the limit.
        limit: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },

    /// The engine, a thread or a process, ended by itself. The limit cannot be used any more.
    #[error("the engine of {limit} has ended by itself")]
    EngineGone {
        /// Name of the limit.
        limit: String,
    },

    /// The other process could not be started, or is not what it should be.
    #[error("the other process of {limit}: {what}")]
    Partner {
        /// Name of the limit.
        limit: String,
        /// What is wrong with it.
        what: String,
    },

    /// A job came back that is not the one whose turn it was: the protocol is broken, the figure is worthless.
    #[error("{limit}: a job was lost, doubled or out of order")]
    OutOfOrder {
        /// Name of the limit.
        limit: String,
    },

    /// A parameter is outside what the limit can do.
    #[error("{what} must be from {least} to {most}, not {given}")]
    BadParameter {
        /// The parameter.
        what: &'static str,
        /// Smallest value accepted.
        least: u64,
        /// Largest value accepted.
        most: u64,
        /// The value given.
        given: u64,
    },

    /// A parameter must be a power of two.
    #[error("{what} must be a power of two, not {given}")]
    NotPowerOfTwo {
        /// The parameter.
        what: &'static str,
        /// The value given.
        given: u64,
    },

    /// A system call that is being measured, or that is needed to measure, failed.
    #[error("{call} failed")]
    Os {
        /// The call.
        call: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },

    /// One side of a pair gave a figure from which no ratio can be made (zero, negative, infinite or not a number).
    #[error("a repetition gave {figure}, from which no ratio can be made")]
    BadFigure {
        /// The figure.
        figure: f64,
    },
}

/// `Ok` when `given` lies in `least..=most`.
pub(crate) fn within(what: &'static str, given: u64, least: u64, most: u64) -> Result<(), RawError> {
    if (least..=most).contains(&given) { Ok(()) } else { Err(RawError::BadParameter { what, least, most, given }) }
}
