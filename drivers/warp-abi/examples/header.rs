//! Prints the interface as a C header.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

fn main() {
    print!("{}", uaccel_warp_abi::c_header());
}
