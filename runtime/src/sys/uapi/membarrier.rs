//! membarrier: `include/uapi/linux/membarrier.h`.

/// `MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED`.
pub(crate) const REGISTER_GLOBAL_EXPEDITED: i32 = 1 << 2;

const _: () = assert!(REGISTER_GLOBAL_EXPEDITED == 4);
