//! The interface as a C header, for code that is not Rust: the guest's kernel module, other people's device models.

use std::fmt::Write;

use crate::user_page as page;
use crate::{
    Assignment, CONTROL_VERSION, Command, Completion, Descriptor, DescriptorFlags, FailReason, Features, Geometry,
    INTERFACE, SessionEntry, State, VERSION, control_ident, control_page as control, ident, pci,
};

/// A field of a record: name, offset, bytes of one element, elements.
///
/// Tests hold these tables against the encoders, so that the header cannot say anything else.
pub(crate) type Field = (&'static str, usize, usize, usize);

/// The fields of a descriptor (section 3.2).
pub(crate) const DESCRIPTOR: [Field; 10] = [
    ("source", 0x00, 8, 1),
    ("destination", 0x08, 8, 1),
    ("source_len", 0x10, 4, 1),
    ("destination_len", 0x14, 4, 1),
    ("aux", 0x18, 8, 1),
    ("aux_len", 0x20, 4, 1),
    ("operand_high", 0x24, 4, 1),
    ("context", 0x28, 8, 1),
    ("operand_low", 0x30, 8, 1),
    ("control", Descriptor::CONTROL, 8, 1),
];

/// The fields of a completion (section 3.4).
pub(crate) const COMPLETION: [Field; 2] = [("result", 0x0, 8, 1), ("control", Completion::CONTROL, 8, 1)];

/// The fields of a session entry (section 3.5).
pub(crate) const SESSION: [Field; 6] = [
    ("algorithm", 0x00, 2, 1),
    ("direction", 0x02, 1, 1),
    ("level", 0x03, 1, 1),
    ("key_len", 0x04, 2, 1),
    ("reserved", 0x06, 2, 1),
    ("key", 0x08, 1, SessionEntry::MAX_KEY),
];

/// Opcodes of jobs (section 3.3).
pub(crate) const JOBS: [(&str, u8); 13] = [
    ("NOP", 0x00),
    ("COPY", 0x01),
    ("FILL", 0x02),
    ("COMPARE", 0x03),
    ("CRC32C", 0x04),
    ("CRC32", 0x05),
    ("COMPRESS", 0x10),
    ("DECOMPRESS", 0x11),
    ("SEAL", 0x12),
    ("OPEN", 0x13),
    ("DIGEST", 0x14),
    ("ENCRYPT", 0x15),
    ("DECRYPT", 0x16),
];

/// Statuses (section 6).
pub(crate) const STATUSES: [(&str, u8); 13] = [
    ("OK", 0),
    ("PARTIAL", 1),
    ("OUTPUT_TOO_SMALL", 2),
    ("CORRUPT", 3),
    ("TRUNCATED", 4),
    ("TAG_MISMATCH", 5),
    ("INVALID_JOB", 6),
    ("UNSUPPORTED", 7),
    ("BAD_SESSION", 8),
    ("FAULT", 9),
    ("DEVICE_ERROR", 10),
    ("CANCELED", 11),
    ("ABORTED", 12),
];

/// Algorithms (section 5).
pub(crate) const ALGORITHMS: [(&str, u16); 17] = [
    ("DEFLATE", 1),
    ("ZLIB", 2),
    ("GZIP", 3),
    ("LZ4_BLOCK", 4),
    ("ZSTD", 5),
    ("AES_128_GCM", 32),
    ("AES_256_GCM", 33),
    ("CHACHA20_POLY1305", 34),
    ("AES_128_CBC", 48),
    ("AES_256_CBC", 49),
    ("AES_128_CTR", 50),
    ("AES_256_CTR", 51),
    ("AES_128_XTS", 52),
    ("AES_256_XTS", 53),
    ("SHA_256", 64),
    ("SHA_512", 65),
    ("HMAC_SHA_256", 96),
];

/// The whole header.
#[must_use]
pub fn c_header() -> String {
    let mut header = Header::default();
    header.line("/* SPDX-License-Identifier: MIT OR Apache-2.0 */");
    header.line("/*");
    header.line(" * The Warp engine's interface. Generated from the crate uaccel-warp-abi, do not edit:");
    header.line(" *     cargo run -p uaccel-warp-abi --example header > drivers/warp-abi/include/warp_abi.h");
    header.line(" * Sections are those of drivers/warp-abi/SPECIFICATION.md. All is little endian.");
    header.line(" */");
    header.line("#ifndef WARP_ABI_H");
    header.line("#define WARP_ABI_H");
    header.line("");
    header.line("#include <linux/types.h>");

    header.section("2.1 User page");
    header.line(&format!("#define WARP_INTERFACE \"{INTERFACE}\""));
    header.number("WARP_VERSION", u64::from(VERSION));
    header.number("WARP_IDENT", ident(VERSION));
    for (name, offset) in [
        ("PAGE_SIZE", page::SIZE),
        ("REG_IDENT", page::IDENT),
        ("REG_FEATURES", page::FEATURES),
        ("REG_LIMITS", page::LIMITS),
        ("REG_OPERATIONS", page::OPERATIONS),
        ("REG_FORWARD", page::FORWARD),
        ("REG_INVERSE", page::INVERSE),
        ("REG_RING_BASE", page::RING_BASE),
        ("REG_GEOMETRY", page::GEOMETRY),
        ("REG_ENABLE", page::ENABLE),
        ("REG_SUBMIT", page::SUBMIT),
        ("REG_ARM", page::ARM),
    ] {
        header.number(&format!("WARP_{name}"), offset as u64);
    }
    for (name, feature) in Features::all().iter_names() {
        header.number(&format!("WARP_FEATURE_{name}"), feature.bits());
    }

    header.section("2.2 Ring memory");
    header.number("WARP_RING_STATE", Geometry::STATE as u64);
    header.number("WARP_RING_NEED_WAKEUP", Geometry::NEED_WAKEUP as u64);
    header.number("WARP_RING_SUBMISSIONS", Geometry::SUBMISSIONS as u64);
    header.number("WARP_LOG2_ENTRIES_MIN", u64::from(*Geometry::LOG2_ENTRIES.start()));
    header.number("WARP_LOG2_ENTRIES_MAX", u64::from(*Geometry::LOG2_ENTRIES.end()));
    for (name, state) in
        [("OFF", State::Off), ("READY", State::Ready), ("STOPPED", State::Stopped), ("FAILED", State::Failed(0))]
    {
        header.number(&format!("WARP_STATE_{name}"), state.encode());
    }
    for (name, reason) in [
        ("GEOMETRY", FailReason::Geometry),
        ("RING_BASE", FailReason::RingBase),
        ("RING_FAULT", FailReason::RingFault),
        ("DEVICE", FailReason::Device),
    ] {
        header.number(&format!("WARP_REASON_{name}"), reason as u64);
    }

    header.section("3.2 Descriptor");
    header.record("warp_descriptor", &DESCRIPTOR, Descriptor::SIZE);
    header.number("WARP_PHASE", Descriptor::PHASE);
    header.number("WARP_OPCODE_SHIFT", 32);
    header.number("WARP_FLAGS_SHIFT", 40);
    header.number("WARP_SESSION_SHIFT", 48);
    header.number("WARP_MAX_SESSIONS", u64::from(Descriptor::MAX_SESSIONS));
    for (name, flag) in DescriptorFlags::all().iter_names() {
        header.number(&format!("WARP_FLAG_{name}"), u64::from(flag.bits()));
    }

    header.section("3.3 Opcodes");
    for (name, opcode) in JOBS {
        header.number(&format!("WARP_OP_{name}"), u64::from(opcode));
    }
    for command in Command::ALL {
        let name = match command {
            Command::OpenSession => "OPEN_SESSION",
            Command::CloseSession => "CLOSE_SESSION",
            Command::Cancel => "CANCEL",
        };
        header.number(&format!("WARP_CMD_{name}"), command as u64);
    }

    header.section("3.4 Completion");
    header.record("warp_completion", &COMPLETION, Completion::SIZE);
    header.number("WARP_STATUS_SHIFT", 32);
    header.number("WARP_READ_FAULT", Completion::READ_FAULT);
    header.number("WARP_WRITE_FAULT", Completion::WRITE_FAULT);
    header.number("WARP_ANSWERED", Completion::ANSWERED);
    header.number("WARP_ANSWER_OFFSET", Descriptor::ANSWER as u64);

    header.section("3.5 Session entry");
    header.record("warp_session_entry", &SESSION, SessionEntry::SIZE);

    header.section("5 Algorithms");
    for (name, algorithm) in ALGORITHMS {
        header.number(&format!("WARP_ALG_{name}"), u64::from(algorithm));
    }

    header.section("6 Statuses");
    for (name, status) in STATUSES {
        header.number(&format!("WARP_STATUS_{name}"), u64::from(status));
    }

    header.section("8.4 Control page");
    header.number("WARP_CONTROL_VERSION", u64::from(CONTROL_VERSION));
    header.number("WARP_CONTROL_IDENT", control_ident(CONTROL_VERSION));
    for (name, offset) in [
        ("SIZE", control::SIZE),
        ("REG_IDENT", control::IDENT),
        ("REG_QUEUES", control::QUEUES),
        ("REG_RESET", control::RESET),
        ("REG_TRANSLATIONS", control::TRANSLATIONS),
        ("REG_PAGE_REQUESTS", control::PAGE_REQUESTS),
        ("REG_GRANTED", control::PAGE_REQUESTS_GRANTED),
        ("REG_REFUSED", control::PAGE_REQUESTS_REFUSED),
        ("REG_INVALIDATIONS", control::INVALIDATIONS),
        ("REG_ASSIGN", control::ASSIGN),
        ("REG_QUEUE_STATE", control::QUEUE_STATE),
        ("STRIDE", control::STRIDE),
        ("MAX_QUEUES", control::MAX_QUEUES),
    ] {
        header.number(&format!("WARP_CONTROL_{name}"), offset as u64);
    }
    header.number("WARP_ASSIGNED", Assignment::ASSIGNED);
    header.number("WARP_ASSIGN_BUSY", Assignment::BUSY);
    header.number("WARP_ASSIGN_AWAITS_PAGES", Assignment::AWAITS_PAGES);
    header.number("WARP_ASSIGN_NO_PASID", Assignment::WITHOUT_PASID);
    header.number("WARP_ASSIGN_PASID", Assignment::PASID_MASK);

    header.section("8.5 PCI function");
    for (name, value) in [
        ("VENDOR", pci::VENDOR),
        ("DEVICE", pci::DEVICE),
        ("REVISION", u16::from(pci::REVISION)),
        ("CLASS", pci::CLASS),
        ("PAGES_BAR", u16::from(pci::PAGES_BAR)),
        ("MSIX_BAR", u16::from(pci::MSIX_BAR)),
    ] {
        header.number(&format!("WARP_PCI_{name}"), u64::from(value));
    }

    header.line("");
    header.line("#endif /* WARP_ABI_H */");
    header.0
}

/// Lines of C.
#[derive(Default)]
struct Header(String);

impl Header {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.line("");
        self.line(&format!("/* {title} */"));
        self.line("");
    }

    fn number(&mut self, name: &str, value: u64) {
        // Beyond 32 bits a plain literal would have another type than its neighbours.
        let suffix = if value > u64::from(u32::MAX) { "ULL" } else { "" };
        self.line(&format!("#define {name:<32} {value:#x}{suffix}"));
    }

    fn record(&mut self, name: &str, fields: &[Field], size: usize) {
        self.line(&format!("struct {name} {{"));
        for (field, _, bytes, count) in fields {
            let kind = match bytes {
                1 => "__u8",
                2 => "__le16",
                4 => "__le32",
                _ => "__le64",
            };
            let array = if *count == 1 { String::new() } else { format!("[{count}]") };
            self.line(&format!("\t{kind} {field}{array};"));
        }
        self.line("};");
        self.line("");
        let mut asserts = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(asserts, "_Static_assert(sizeof(struct {name}) == {size}, \"{name}\");");
        for (field, offset, ..) in fields {
            let _ = writeln!(
                asserts,
                "_Static_assert(__builtin_offsetof(struct {name}, {field}) == {offset:#x}, \"{name}.{field}\");"
            );
        }
        self.line(&asserts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Fills one field at a time and looks where its bytes come out.
    fn check(fields: &[Field], size: usize, encode: impl Fn(&str) -> Vec<u8>) {
        let mut end = 0;
        for (name, offset, element, count) in fields {
            assert_eq!(*offset, end, "{name} follows the field before");
            end = offset + element * count;
            let bytes = encode(name);
            assert_eq!(bytes.len(), size);
            for (at, byte) in bytes.iter().enumerate() {
                assert_eq!(
                    *byte,
                    if (*offset..end).contains(&at) && *name != "reserved" { 0xff } else { 0 },
                    "{name}, byte {at}"
                );
            }
        }
        assert_eq!(end, size);
    }

    #[test]
    fn descriptor_fields_are_where_the_encoder_puts_them() {
        check(&DESCRIPTOR, Descriptor::SIZE, |name| {
            let mut descriptor = Descriptor::default();
            let mut phase = false;
            match name {
                "source" => descriptor.source = u64::MAX,
                "destination" => descriptor.destination = u64::MAX,
                "source_len" => descriptor.source_len = u32::MAX,
                "destination_len" => descriptor.destination_len = u32::MAX,
                "aux" => descriptor.aux = u64::MAX,
                "aux_len" => descriptor.aux_len = u32::MAX,
                "operand_high" => descriptor.operand[8..].fill(0xff),
                "context" => descriptor.context = u64::MAX,
                "operand_low" => descriptor.operand[..8].fill(0xff),
                "control" => {
                    (descriptor.token, descriptor.opcode, descriptor.session, phase) = (u32::MAX, 0xff, 0x7fff, true);
                    descriptor.flags = DescriptorFlags::from_bits_retain(0xff);
                }
                other => panic!("{other}"),
            }
            bytes(&descriptor.encode(phase))
        });
    }

    #[test]
    fn session_fields_are_where_the_encoder_puts_them() {
        check(&SESSION, SessionEntry::SIZE, |name| {
            let mut entry =
                SessionEntry { algorithm: 0, direction: 0, level: 0, key_len: 0, key: [0; SessionEntry::MAX_KEY] };
            match name {
                "algorithm" => entry.algorithm = 0xffff,
                "direction" => entry.direction = 0xff,
                "level" => entry.level = 0xff,
                "key_len" => entry.key_len = 0xffff,
                "reserved" => {}
                "key" => entry.key.fill(0xff),
                other => panic!("{other}"),
            }
            bytes(&entry.encode())
        });
    }

    #[test]
    fn numbers_are_the_frameworks() {
        use uaccel_queue::{Algorithm, Operation, Status};
        for (name, opcode) in JOBS {
            let operation = Operation::from_raw(opcode).expect(name);
            assert_eq!(format!("{operation:?}").to_uppercase(), name);
        }
        assert_eq!(JOBS.len(), Operation::ALL.len());
        for (name, status) in STATUSES {
            let status = Status::from_raw(status).expect(name);
            assert_eq!(format!("{status:?}").to_uppercase(), name.replace('_', ""));
        }
        // That of streams is none of the engine's.
        assert_eq!((Status::from_raw(13), Status::from_raw(14)), (Some(Status::More), None));
        for (name, algorithm) in ALGORITHMS {
            let algorithm = Algorithm::from_raw(algorithm).expect(name);
            assert_eq!(format!("{algorithm:?}").to_uppercase(), name.replace('_', ""));
        }
        assert_eq!(ALGORITHMS.len(), Algorithm::ALL.len());
    }
}
