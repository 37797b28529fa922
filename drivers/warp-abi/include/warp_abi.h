/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The Warp engine's interface. Generated from the crate uaccel-warp-abi, do not edit:
 *     cargo run -p uaccel-warp-abi --example header > drivers/warp-abi/include/warp_abi.h
 * Sections are those of drivers/warp-abi/SPECIFICATION.md. All is little endian.
 */
#ifndef WARP_ABI_H
#define WARP_ABI_H

#include <linux/types.h>

/* 2.1 User page */

#define WARP_INTERFACE "warp_v1"
#define WARP_VERSION                     0x1
#define WARP_IDENT                       0x150524157ULL
#define WARP_PAGE_SIZE                   0x1000
#define WARP_REG_IDENT                   0x0
#define WARP_REG_FEATURES                0x8
#define WARP_REG_LIMITS                  0x10
#define WARP_REG_OPERATIONS              0x18
#define WARP_REG_FORWARD                 0x20
#define WARP_REG_INVERSE                 0x30
#define WARP_REG_RING_BASE               0x40
#define WARP_REG_GEOMETRY                0x48
#define WARP_REG_ENABLE                  0x50
#define WARP_REG_SUBMIT                  0x80
#define WARP_REG_ARM                     0x88
#define WARP_FEATURE_MAILBOX             0x1
#define WARP_FEATURE_CHAINS              0x2
#define WARP_FEATURE_STATEFUL            0x4
#define WARP_FEATURE_FAULTS_RESOLVED     0x8

/* 2.2 Ring memory */

#define WARP_RING_STATE                  0x0
#define WARP_RING_NEED_WAKEUP            0x40
#define WARP_RING_SUBMISSIONS            0x100
#define WARP_LOG2_ENTRIES_MIN            0x1
#define WARP_LOG2_ENTRIES_MAX            0xd
#define WARP_STATE_OFF                   0x0
#define WARP_STATE_READY                 0x1
#define WARP_STATE_STOPPED               0x2
#define WARP_STATE_FAILED                0x3
#define WARP_REASON_GEOMETRY             0x1
#define WARP_REASON_RING_BASE            0x2
#define WARP_REASON_RING_FAULT           0x3
#define WARP_REASON_DEVICE               0x4

/* 3.2 Descriptor */

struct warp_descriptor {
	__le64 source;
	__le64 destination;
	__le32 source_len;
	__le32 destination_len;
	__le64 aux;
	__le32 aux_len;
	__le32 operand_high;
	__le64 context;
	__le64 operand_low;
	__le64 control;
};

_Static_assert(sizeof(struct warp_descriptor) == 64, "warp_descriptor");
_Static_assert(__builtin_offsetof(struct warp_descriptor, source) == 0x0, "warp_descriptor.source");
_Static_assert(__builtin_offsetof(struct warp_descriptor, destination) == 0x8, "warp_descriptor.destination");
_Static_assert(__builtin_offsetof(struct warp_descriptor, source_len) == 0x10, "warp_descriptor.source_len");
_Static_assert(__builtin_offsetof(struct warp_descriptor, destination_len) == 0x14, "warp_descriptor.destination_len");
_Static_assert(__builtin_offsetof(struct warp_descriptor, aux) == 0x18, "warp_descriptor.aux");
_Static_assert(__builtin_offsetof(struct warp_descriptor, aux_len) == 0x20, "warp_descriptor.aux_len");
_Static_assert(__builtin_offsetof(struct warp_descriptor, operand_high) == 0x24, "warp_descriptor.operand_high");
_Static_assert(__builtin_offsetof(struct warp_descriptor, context) == 0x28, "warp_descriptor.context");
_Static_assert(__builtin_offsetof(struct warp_descriptor, operand_low) == 0x30, "warp_descriptor.operand_low");
_Static_assert(__builtin_offsetof(struct warp_descriptor, control) == 0x38, "warp_descriptor.control");

#define WARP_PHASE                       0x8000000000000000ULL
#define WARP_OPCODE_SHIFT                0x20
#define WARP_FLAGS_SHIFT                 0x28
#define WARP_SESSION_SHIFT               0x30
#define WARP_MAX_SESSIONS                0x8000
#define WARP_FLAG_VOUCHED                0x1
#define WARP_FLAG_UNINIT_DESTINATION     0x2
#define WARP_FLAG_CHAINED                0x4

/* 3.3 Opcodes */

#define WARP_OP_NOP                      0x0
#define WARP_OP_COPY                     0x1
#define WARP_OP_FILL                     0x2
#define WARP_OP_COMPARE                  0x3
#define WARP_OP_CRC32C                   0x4
#define WARP_OP_CRC32                    0x5
#define WARP_OP_COMPRESS                 0x10
#define WARP_OP_DECOMPRESS               0x11
#define WARP_OP_SEAL                     0x12
#define WARP_OP_OPEN                     0x13
#define WARP_OP_DIGEST                   0x14
#define WARP_OP_ENCRYPT                  0x15
#define WARP_OP_DECRYPT                  0x16
#define WARP_CMD_OPEN_SESSION            0x80
#define WARP_CMD_CLOSE_SESSION           0x81
#define WARP_CMD_CANCEL                  0x82

/* 3.4 Completion */

struct warp_completion {
	__le64 result;
	__le64 control;
};

_Static_assert(sizeof(struct warp_completion) == 16, "warp_completion");
_Static_assert(__builtin_offsetof(struct warp_completion, result) == 0x0, "warp_completion.result");
_Static_assert(__builtin_offsetof(struct warp_completion, control) == 0x8, "warp_completion.control");

#define WARP_STATUS_SHIFT                0x20
#define WARP_READ_FAULT                  0x10000000000ULL
#define WARP_WRITE_FAULT                 0x20000000000ULL
#define WARP_ANSWERED                    0x800000000000ULL
#define WARP_ANSWER_OFFSET               0x30

/* 3.5 Session entry */

struct warp_session_entry {
	__le16 algorithm;
	__u8 direction;
	__u8 level;
	__le16 key_len;
	__le16 reserved;
	__u8 key[248];
};

_Static_assert(sizeof(struct warp_session_entry) == 256, "warp_session_entry");
_Static_assert(__builtin_offsetof(struct warp_session_entry, algorithm) == 0x0, "warp_session_entry.algorithm");
_Static_assert(__builtin_offsetof(struct warp_session_entry, direction) == 0x2, "warp_session_entry.direction");
_Static_assert(__builtin_offsetof(struct warp_session_entry, level) == 0x3, "warp_session_entry.level");
_Static_assert(__builtin_offsetof(struct warp_session_entry, key_len) == 0x4, "warp_session_entry.key_len");
_Static_assert(__builtin_offsetof(struct warp_session_entry, reserved) == 0x6, "warp_session_entry.reserved");
_Static_assert(__builtin_offsetof(struct warp_session_entry, key) == 0x8, "warp_session_entry.key");


/* 5 Algorithms */

#define WARP_ALG_DEFLATE                 0x1
#define WARP_ALG_ZLIB                    0x2
#define WARP_ALG_GZIP                    0x3
#define WARP_ALG_LZ4_BLOCK               0x4
#define WARP_ALG_ZSTD                    0x5
#define WARP_ALG_AES_128_GCM             0x20
#define WARP_ALG_AES_256_GCM             0x21
#define WARP_ALG_CHACHA20_POLY1305       0x22
#define WARP_ALG_AES_128_CBC             0x30
#define WARP_ALG_AES_256_CBC             0x31
#define WARP_ALG_AES_128_CTR             0x32
#define WARP_ALG_AES_256_CTR             0x33
#define WARP_ALG_AES_128_XTS             0x34
#define WARP_ALG_AES_256_XTS             0x35
#define WARP_ALG_SHA_256                 0x40
#define WARP_ALG_SHA_512                 0x41
#define WARP_ALG_HMAC_SHA_256            0x60

/* 6 Statuses */

#define WARP_STATUS_OK                   0x0
#define WARP_STATUS_PARTIAL              0x1
#define WARP_STATUS_OUTPUT_TOO_SMALL     0x2
#define WARP_STATUS_CORRUPT              0x3
#define WARP_STATUS_TRUNCATED            0x4
#define WARP_STATUS_TAG_MISMATCH         0x5
#define WARP_STATUS_INVALID_JOB          0x6
#define WARP_STATUS_UNSUPPORTED          0x7
#define WARP_STATUS_BAD_SESSION          0x8
#define WARP_STATUS_FAULT                0x9
#define WARP_STATUS_DEVICE_ERROR         0xa
#define WARP_STATUS_CANCELED             0xb
#define WARP_STATUS_ABORTED              0xc

/* 8.4 Control page */

#define WARP_CONTROL_VERSION             0x1
#define WARP_CONTROL_IDENT               0x14c544357ULL
#define WARP_CONTROL_SIZE                0x1000
#define WARP_CONTROL_REG_IDENT           0x0
#define WARP_CONTROL_REG_QUEUES          0x8
#define WARP_CONTROL_REG_RESET           0x10
#define WARP_CONTROL_REG_TRANSLATIONS    0x20
#define WARP_CONTROL_REG_PAGE_REQUESTS   0x28
#define WARP_CONTROL_REG_GRANTED         0x30
#define WARP_CONTROL_REG_REFUSED         0x38
#define WARP_CONTROL_REG_INVALIDATIONS   0x40
#define WARP_CONTROL_REG_ASSIGN          0x400
#define WARP_CONTROL_REG_QUEUE_STATE     0x408
#define WARP_CONTROL_STRIDE              0x20
#define WARP_CONTROL_MAX_QUEUES          0x40
#define WARP_ASSIGNED                    0x8000000000000000ULL
#define WARP_ASSIGN_BUSY                 0x4000000000000000ULL
#define WARP_ASSIGN_AWAITS_PAGES         0x1000000000000000ULL
#define WARP_ASSIGN_NO_PASID             0x2000000000000000ULL
#define WARP_ASSIGN_PASID                0xfffff

/* 8.5 PCI function */

#define WARP_PCI_VENDOR                  0x1234
#define WARP_PCI_DEVICE                  0x5741
#define WARP_PCI_REVISION                0x1
#define WARP_PCI_CLASS                   0x1200
#define WARP_PCI_PAGES_BAR               0x0
#define WARP_PCI_MSIX_BAR                0x4

#endif /* WARP_ABI_H */
