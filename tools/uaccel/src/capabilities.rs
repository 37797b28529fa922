//! What a device offers, in words.

use serde::Serialize;
use uaccel_runtime::{AddressMode, Algorithm, Capabilities, Direction, FaultHandling, OperationSet, Order};

/// An address mode in a word.
#[must_use]
pub fn address_mode(mode: AddressMode) -> &'static str {
    match mode {
        AddressMode::Shared => "shared",
        AddressMode::OnDemandPinned => "on-demand-pinned",
        AddressMode::IdentityPinned => "identity-pinned",
        AddressMode::Bounced => "bounced",
        _ => "unknown",
    }
}

/// In a word, what happens at a page that is not there.
#[must_use]
pub fn faults(handling: FaultHandling) -> &'static str {
    match handling {
        FaultHandling::Resolved => "resolved",
        FaultHandling::Reported => "reported",
        FaultHandling::CallerVouches => "caller-vouches",
        _ => "unknown",
    }
}

/// In a word, in which order jobs complete.
#[must_use]
pub fn order(order: Order) -> &'static str {
    match order {
        Order::Submission => "submission",
        Order::Any => "any",
        _ => "unknown",
    }
}

/// The most bytes of a job, if there is a limit worth the name: beyond the address space there is none.
#[must_use]
pub fn max_transfer(offers: &Capabilities) -> Option<u64> {
    Some(offers.max_transfer).filter(|most| *most < 1 << 47)
}

/// The names of operations.
#[must_use]
pub fn operations(offered: OperationSet) -> Vec<&'static str> {
    offered.iter().map(|operation| operation.name()).collect()
}

/// An algorithm with the directions in which a device has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfferedAlgorithm {
    /// Its name.
    pub name: &'static str,
    /// `forward` (compress, encrypt, digest), `inverse` (decompress, decrypt), or both.
    pub directions: Vec<&'static str>,
}

/// The algorithms, each once.
#[must_use]
pub fn algorithms(offers: &Capabilities) -> Vec<OfferedAlgorithm> {
    let has = |algorithm, direction| offers.algorithms.contains(algorithm, direction);
    Algorithm::ALL
        .into_iter()
        .filter_map(|algorithm| {
            let directions: Vec<_> = [(Direction::Forward, "forward"), (Direction::Inverse, "inverse")]
                .into_iter()
                .filter(|(direction, _)| has(algorithm, *direction))
                .map(|(_, name)| name)
                .collect();
            (!directions.is_empty()).then(|| OfferedAlgorithm { name: algorithm.name(), directions })
        })
        .collect()
}
