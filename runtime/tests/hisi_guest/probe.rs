//! What the kernel's log says of the function's start.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use crate::bench::folder;

/// The name of the function on its bus.
fn function() -> String {
    let link = fs::read_link(folder().join("device")).expect("a device");
    link.file_name().expect("a name").to_string_lossy().into_owned()
}

/// What the kernel has said so far, without what goes before the text of each record: priority, number, time.
fn log() -> Vec<String> {
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").expect("a log");
    let mut record = vec![0; 8192];
    let mut lines = Vec::new();
    loop {
        match file.read(&mut record) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]).into_owned();
                // Further lines are what the record belongs to.
                let first = text.lines().next().unwrap_or_default();
                lines.push(first.split_once(';').map_or(first, |(_, text)| text).to_owned());
            }
            // The oldest records were written over meanwhile.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return lines,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_driver_takes_the_function_without_a_word_of_complaint() {
    let start = format!("hisi_zip {}: ", function());
    let lines = log();
    let said: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(&start)).collect();
    // The first thing that it says is the last of its start. Of errors, limits and missing methods it would have spoken before.
    assert_eq!(said.first(), Some(&"qm register to uacce"), "{said:?}");
    let firmware: Vec<&String> = lines.iter().filter(|line| line.contains("ACPI") && line.contains("rror")).collect();
    assert!(firmware.is_empty(), "{firmware:?}");
}

#[test]
fn it_has_four_interrupts_that_the_iommu_remaps() {
    let text = fs::read_to_string("/proc/interrupts").unwrap();
    let its: Vec<&str> = text.lines().filter(|line| line.ends_with("hisi_zip")).collect();
    assert_eq!(its.len(), 4, "{text}");
    assert!(its.iter().all(|line| line.contains("IR-PCI-MSI")), "{its:?}");
}
