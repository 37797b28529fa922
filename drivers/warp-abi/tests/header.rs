//! The committed C header is the one that the crate generates, and a C compiler takes it.

use std::process::Command;

use uaccel_queue::Algorithm;

#[test]
fn the_committed_header_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/include/warp_abi.h");
    let committed = std::fs::read_to_string(path).expect("the header is committed");
    assert!(
        committed == uaccel_warp_abi::c_header(),
        "run: cargo run -p uaccel-warp-abi --example header > drivers/warp-abi/include/warp_abi.h"
    );
}

#[test]
fn a_compiler_agrees_with_sizes_and_offsets() {
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/include/warp_abi.h");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-x", "c", include])
        .output();
    match compiled {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("skipped, there is no C compiler: {error}"),
    }
}

#[test]
fn the_kernels_driver_names_every_algorithm_as_the_framework_does() {
    let driver = include_str!("../../../sim/kmod/warp.c");
    let header = uaccel_warp_abi::c_header();
    for algorithm in Algorithm::ALL {
        let named = format!(", \"{algorithm}\" }},");
        let entry = driver.lines().find_map(|line| line.trim().strip_prefix("{ ")?.strip_suffix(&named));
        let constant = entry.unwrap_or_else(|| panic!("{algorithm} is missing in sim/kmod/warp.c"));
        let defined =
            header.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(constant)?.split_once("0x"));
        let (_, number) = defined.unwrap_or_else(|| panic!("{constant} is not in the header"));
        assert_eq!(u16::from_str_radix(number, 16), Ok(algorithm as u16), "{constant}");
    }
}
