//! Why a unit cannot be made.

use uaccel_queue::Algorithm;

/// Why a [`Unit`](crate::Unit) or a stream cannot be made from a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// This build has no unit for the algorithm, or none for it in that direction.
    #[error("this build has no unit for {0} in the direction asked for")]
    Unsupported(Algorithm),
    /// The key does not fit the algorithm. A [`SessionSpec`](uaccel_queue::SessionSpec) cannot hold such a key.
    #[error("{0} refuses the key")]
    Key(Algorithm),
}
