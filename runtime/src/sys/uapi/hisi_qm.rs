//! HiSilicon's queue manager under uacce: `include/uapi/misc/uacce/hisi_qm.h`.

use super::iowr;

/// `struct hisi_qp_ctx`: which queue it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QpCtx {
    /// The queue's number, told by the kernel.
    pub(crate) id: u16,
    /// What the queue is for, told to the kernel. It has no effect on a queue that was started.
    pub(crate) qc_type: u16,
}

/// `struct hisi_qp_info`: the rings of a queue, told by the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QpInfo {
    /// Bytes of a submission entry.
    pub(crate) sqe_size: u32,
    /// Places of the submission ring.
    pub(crate) sq_depth: u16,
    /// Places of the completion ring.
    pub(crate) cq_depth: u16,
    /// Left alone by the kernel.
    pub(crate) reserved: u64,
}

/// `UACCE_CMD_QM_SET_QP_CTX`, with a [`QpCtx`].
pub(crate) const SET_QP_CTX: u64 = iowr(b'H', 10, size_of::<QpCtx>());

/// `UACCE_CMD_QM_SET_QP_INFO`, with a [`QpInfo`]. It sets nothing: the kernel answers. Older kernels do not know it and say `EINVAL`.
pub(crate) const SET_QP_INFO: u64 = iowr(b'H', 11, size_of::<QpInfo>());

const _: () = {
    assert!(SET_QP_CTX == 0xc004_480a);
    assert!(SET_QP_INFO == 0xc010_480b);
    assert!(size_of::<QpCtx>() == 4 && size_of::<QpInfo>() == 16);
};
