//! The lab itself, each test one boot: what comes back is the program's own, and what goes wrong is told apart.
//!
//! They fetch what they need, so they are run on request only: `cargo test -p sva-lab --test guest -- --ignored`.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the lab.
fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sva-lab")).args(arguments).output().unwrap()
}

/// Runs the lab's action `run` with these words after it.
fn run(arguments: &[&str]) -> Output {
    lab(&[&["run"], arguments].concat())
}

/// Runs shell commands in a guest without the engine.
fn shell(options: &[&str], commands: &str) -> Output {
    run(&[&["--no-engine"], options, &["--", "sh", "-c", commands]].concat())
}

#[track_caller]
fn expect(output: &Output, code: i32, text: &str) {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "output:\n{said}\nerrors:\n{errors}");
    assert_eq!(said, text, "errors:\n{errors}");
}

#[track_caller]
fn expect_error(output: &Output, code: i32, text: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(errors.contains(text), "{errors}");
}

#[test]
#[ignore = "boots a guest"]
fn output_errors_and_exit_code_are_the_programs() {
    let output = shell(&["--quiet"], "echo out; echo err >&2; exit 7");
    expect(&output, 7, "out\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "err\n");
}

#[test]
#[ignore = "boots a guest"]
fn every_byte_comes_back_unharmed() {
    // All 256 bytes, then more than any buffer on the way holds.
    let output = shell(
        &[],
        "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done; head -c 200000 /dev/zero",
    );
    assert!(output.status.success());
    let expected: Vec<u8> = (0..=255).chain(std::iter::repeat_n(0, 200_000)).collect();
    assert!(
        output.stdout == expected,
        "{} bytes, {:02x?}",
        output.stdout.len(),
        &output.stdout[..256.min(output.stdout.len())]
    );
}

#[test]
#[ignore = "boots a guest"]
fn a_signal_is_told_from_an_exit_code() {
    expect_error(&shell(&[], "kill -SEGV $$"), 128 + 11, "signal 11");
}

#[test]
#[ignore = "boots a guest"]
fn a_program_that_does_not_end_is_ended() {
    expect_error(&shell(&["--timeout", "20"], "sleep 1000"), 124, "20 s");
}

#[test]
#[ignore = "boots a guest"]
fn what_a_program_leaves_running_does_not_keep_the_guest() {
    expect(&shell(&["--timeout", "60"], "sleep 1000 & echo done"), 0, "done\n");
}

#[test]
#[ignore = "boots a guest"]
fn a_complaint_of_the_kernel_fails_a_program_that_succeeded() {
    // The log does not tell who wrote a line.
    let complain = "echo '<4>BUG: a test wrote this' > /dev/kmsg";
    expect_error(&shell(&[], complain), 120, "BUG: a test wrote this");
    expect(&shell(&["--allow", "a test wrote this"], complain), 0, "");
}

#[test]
#[ignore = "boots a guest"]
fn a_kernel_that_panics_is_told_with_its_last_words() {
    let output = shell(&[], "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger");
    expect_error(&output, 125, "Kernel panic - not syncing: sysrq triggered crash");
    expect_error(&output, 125, "the guest ended before the program did");
}

#[test]
#[ignore = "boots a guest"]
fn files_scripts_and_variables_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    std::fs::create_dir(folder.path().join("tree")).unwrap();
    file("tree/leaf", "leaf\n");
    let tree = folder.path().join("tree").to_str().unwrap().to_owned();
    let (data, script) = (file("data", "data\n"), file("script", "cat data /etc/other tree/leaf\necho $FRUIT\n"));
    let other = format!("{data}=/etc/other");
    let output = run(&[
        "--no-engine",
        "--file",
        &data,
        "--file",
        &other,
        "--file",
        &tree,
        "--env",
        "FRUIT=pear",
        "--script",
        &script,
    ]);
    expect(&output, 0, "data\ndata\nleaf\npear\n");
}

#[test]
#[ignore = "boots a guest"]
fn a_program_reads_its_input_up_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    std::fs::write(&file, "first\nlast\n").unwrap();
    expect(&shell(&["--input", file.to_str().unwrap()], "cat; echo end"), 0, "first\nlast\nend\n");
    expect(&shell(&[], "cat; echo end"), 0, "end\n");
}

#[test]
#[ignore = "boots a guest"]
fn a_dynamic_program_finds_its_libraries() {
    // This very program, which lists its tests and needs the C library for that.
    let own = std::env::current_exe().unwrap();
    let output = run(&["--no-engine", "--", own.to_str().unwrap(), "--list"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("a_dynamic_program_finds_its_libraries: test"), "{text}");
}

#[test]
#[ignore = "boots a guest"]
fn somebody_elses_module_is_built_and_loaded() {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trivial_module");
    let module = module.to_str().unwrap();
    let parameter = "cat /sys/module/trivial/parameters/answer";
    expect(&shell(&["--module", module], parameter), 0, "42\n");
    // The same, as kernel developers have it: built before, all of a folder.
    let built = lab(&["build-module", module]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let folder = String::from_utf8(built.stdout).unwrap();
    expect(&shell(&["--modules", folder.trim()], parameter), 0, "42\n");
}

#[test]
#[ignore = "boots a guest"]
fn the_engine_is_there_with_shared_addresses() {
    let output =
        run(&["--", "sh", "-c", "cat /sys/class/uacce/warp-0/api /sys/class/uacce/warp-0/flags; test -c /dev/warp-0"]);
    expect(&output, 0, "warp_v1\n1\n");
}

#[test]
#[ignore = "boots a guest"]
fn without_an_iommu_there_is_nothing_to_share_addresses_through() {
    let output = run(&["--no-iommu", "--", "sh", "-c", "cat /sys/class/iommu/*/devices/*/vendor | wc -l"]);
    expect(&output, 0, "0\n");
}
