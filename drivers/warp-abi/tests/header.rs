//! The committed C header is the one that the crate generates, and a C compiler takes it.

use std::process::Command;

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
