//! What sysfs says of the device.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;

use crate::bench::{device_file, folder, number, text};

/// Entries and completions of a ring, as the model's capabilities have them.
const DEPTH: u64 = 1024;
/// Bytes of a page.
const PAGE: u64 = 4096;

#[test]
fn it_is_a_queue_manager_of_version_3_with_shared_addresses() {
    assert!(fs::metadata(device_file()).unwrap().file_type().is_char_device());
    assert_eq!(text("api"), "hisi_qm_v3");
    assert_eq!(number("flags"), 1, "UACCE_DEV_SVA");
    assert_eq!(text("algorithms").lines().collect::<Vec<_>>(), ["zlib", "gzip", "deflate"]);
}

#[test]
fn its_regions_are_as_large_as_its_rings_say() {
    // A window of 64 KiB for each queue's doorbells; entries of 128 bytes, completions of 16, and a page whose end has the stop words.
    assert_eq!(number("region_mmio_size"), 64 << 10);
    assert_eq!(number("region_dus_size"), DEPTH * 128 + DEPTH * 16 + PAGE);
}

#[test]
fn it_is_not_isolated_and_the_number_of_errors_that_isolate_has_limits() {
    assert_eq!(number("isolate"), 0);
    let strategy = folder().join("isolate_strategy");
    let before = text("isolate_strategy");
    fs::write(&strategy, "5").unwrap();
    assert_eq!(number("isolate_strategy"), 5);
    for wrong in ["65536", "many"] {
        assert_eq!(fs::write(&strategy, wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
    }
    fs::write(&strategy, before).unwrap();
}

#[test]
fn the_function_behind_it_is_a_kunpeng_zip() {
    assert_eq!(text("device/vendor"), "0x19e5");
    assert_eq!(text("device/device"), "0xa250");
    assert_eq!(text("device/revision"), "0x30", "version 3");
    let driver = fs::read_link(folder().join("device/driver")).unwrap();
    assert_eq!(driver.file_name().unwrap(), "hisi_zip");
}
