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
fn a_module_of_debians_kernel_is_loaded_with_those_that_it_needs() {
    expect(&shell(&["--load", "vfio-pci"], "test -c /dev/vfio/vfio; ls -d /sys/bus/pci/drivers/vfio-pci"), 0, VFIO_PCI);
}

#[test]
#[ignore = "boots a guest"]
fn a_module_that_the_kernel_does_not_have_is_named() {
    expect_error(&shell(&["--load", "no-such-module"], "true"), 125, "no module no_such_module");
}

const VFIO_PCI: &str = "/sys/bus/pci/drivers/vfio-pci\n";

#[test]
#[ignore = "boots a guest"]
fn the_pair_that_debian_12_ships_has_an_iommu_and_vfio() {
    let commands = "uname -r | cut -d. -f1-2; ls /sys/class/iommu; test -d /sys/kernel/iommu_groups/0; \
                    ls -d /sys/bus/pci/drivers/vfio-pci; cat /sys/bus/pci/devices/0000:00:01.0/device";
    let output = run(&["--kit", "bookworm", "--load", "vfio-pci", "--device", "edu", "--", "sh", "-ec", commands]);
    expect(&output, 0, &format!("6.1\ndmar0\n{VFIO_PCI}0x11e8\n"));
}

#[test]
#[ignore = "boots a guest"]
fn the_labs_own_kernel_has_every_road_to_a_device_built_in() {
    let commands = "uname -r | sed 's/.*-//'; test -d /sys/class/uacce; test -c /dev/iommu; test -c /dev/vfio/vfio; \
                    test -e /sys/module/vfio/parameters/enable_unsafe_noiommu_mode; \
                    ls -d /sys/bus/pci/drivers/vfio-pci; zcat /proc/config.gz | grep -x CONFIG_VFIO_DEVICE_CDEV=y";
    let output = run(&["--kernel", "own", "--no-engine", "--load", "vfio-pci", "--", "sh", "-ec", commands]);
    expect(&output, 0, &format!("lab\n{VFIO_PCI}CONFIG_VFIO_DEVICE_CDEV=y\n"));
}

#[test]
#[ignore = "boots a guest"]
fn the_engine_and_its_module_work_with_the_labs_own_kernel() {
    let commands = "cat /sys/class/uacce/warp-0/flags; test -c /dev/warp-0; dmesg | grep -o 'warp-0, ATS on'";
    expect(&run(&["--kernel", "own", "--", "sh", "-ec", commands]), 0, "1\nwarp-0, ATS on\n");
}

#[test]
#[ignore = "boots a guest"]
fn vfio_takes_the_engine_from_nobody_if_its_module_stays_out() {
    // With PASIDs and as a device of its own: what Debian's kernel does not have.
    let commands = "cd /sys/bus/pci/devices/0000:00:01.0; echo vfio-pci > driver_override; \
                    echo 0000:00:01.0 > /sys/bus/pci/drivers_probe; test -c /dev/vfio/devices/$(ls vfio-dev); ls vfio-dev";
    let output = run(&["--kernel", "own", "--no-module", "--", "sh", "-ec", commands]);
    expect(&output, 0, "vfio0\n");
}

#[test]
#[ignore = "boots a guest"]
fn hisilicons_drivers_can_be_loaded_into_the_labs_own_kernel() {
    let commands = "ls -d /sys/bus/pci/drivers/hisi_zip";
    let output = run(&["--kernel", "own", "--no-engine", "--load", "hisi_zip", "--", "sh", "-ec", commands]);
    expect(&output, 0, "/sys/bus/pci/drivers/hisi_zip\n");
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
fn the_zip_function_is_there_under_the_kernels_own_driver() {
    let commands = "cd /sys/class/uacce/hisi_zip-0; cat api flags algorithms; test -c /dev/hisi_zip-0; \
                    grep -c 'IR-PCI-MSI.*hisi_zip' /proc/interrupts";
    for kernel in [&[][..], &["--kernel", "own"]] {
        let output = run(&[kernel, &["--device", "hisi-zip", "--", "sh", "-ec", commands]].concat());
        expect(&output, 0, "hisi_qm_v3\n1\nzlib\ngzip\ndeflate\n4\n");
    }
}

#[test]
#[ignore = "boots a guest"]
fn both_engines_are_in_one_machine() {
    let output = run(&["--device", "warp", "--device", "hisi-zip", "--", "sh", "-c", "ls /sys/class/uacce"]);
    expect(&output, 0, "hisi_zip-1\nwarp-0\n");
}

#[test]
#[ignore = "boots a guest"]
fn a_driver_gets_the_machine_that_it_needs() {
    let commands = "dmesg | grep -c 'ACPI: SSDT'; dmesg | grep -o 'Enabled IRQ remapping'; \
                    cat /sys/bus/pci/devices/0000:00:01.0/device; dmesg | grep -e 'ACPI.*rror' || true";
    let machine = ["--driver", "hisi-zip", "--no-module", "--device", "edu"];
    expect(&shell(&machine, commands), 0, "1\nEnabled IRQ remapping\n0x11e8\n");
    let output = shell(&[&["--no-reset-method"][..], &machine].concat(), "dmesg | grep -c 'ACPI: SSDT'");
    expect(&output, 1, "0\n");
}

#[test]
#[ignore = "boots a guest"]
fn a_driver_that_finds_no_device_is_told_with_what_the_kernel_said() {
    let output = shell(&["--driver", "hisi-zip", "--device", "edu"], "true");
    expect_error(&output, 125, "/dev/hisi_zip-* has not appeared");
    expect_error(&output, 125, "uacce: loading out-of-tree module");
}

#[test]
#[ignore = "boots a guest"]
fn parameters_of_a_module_stand_on_the_kernels_command_line() {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trivial_module");
    let options = ["--module", module.to_str().unwrap(), "--append", "trivial.answer=7"];
    expect(&shell(&options, "cat /sys/module/trivial/parameters/answer"), 0, "7\n");
}

#[test]
#[ignore = "boots a guest"]
fn without_an_iommu_there_is_nothing_to_share_addresses_through() {
    let output = run(&["--no-iommu", "--", "sh", "-c", "cat /sys/class/iommu/*/devices/*/vendor | wc -l"]);
    expect(&output, 0, "0\n");
}
