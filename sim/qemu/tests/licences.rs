//! What is linked into QEMU can be part of a GPLv2 work.

use std::process::Command;

/// Licences that are compatible with the GPLv2, as far as anything here has them.
const COMPATIBLE: [&str; 10] = [
    "0BSD",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "GPL-2.0-or-later",
    "ISC",
    "MIT",
    "Unlicense",
    "Zlib",
];

/// Whether a licence expression leaves a choice that is compatible.
fn is_compatible(expression: &str) -> bool {
    let parts = expression.split(" AND ");
    parts.map(|part| part.trim_matches(['(', ')'])).all(|part| {
        part.split(" OR ").flat_map(|one| one.split('/')).any(|one| COMPATIBLE.contains(&one.trim_matches(['(', ')'])))
    })
}

#[test]
fn every_library_in_the_plug_in_can_be_part_of_a_gplv2_work() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "uaccel-qemu", "--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--format", "{p}|{l}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let tree = match tree {
        Ok(tree) if tree.status.success() => String::from_utf8_lossy(&tree.stdout).into_owned(),
        Ok(tree) => panic!("{}", String::from_utf8_lossy(&tree.stderr)),
        Err(error) => return eprintln!("skipped, cargo cannot be run here: {error}"),
    };
    let mut crates = 0;
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (package, licence) = line.trim_end_matches(" (*)").split_once('|').expect("package and licence");
        assert!(is_compatible(licence), "{package} is under {licence}");
        crates += 1;
    }
    assert!(crates > 10, "the tree was read");
    assert!(!tree.contains("aws-lc"), "the units are those without feature fast");
}

#[test]
fn the_check_knows_what_it_refuses() {
    for good in ["MIT OR Apache-2.0", "Apache-2.0/MIT", "(MIT OR Apache-2.0) AND BSD-3-Clause", "Zlib"] {
        assert!(is_compatible(good), "{good}");
    }
    for bad in ["Apache-2.0", "ISC AND (Apache-2.0 OR OpenSSL)", "MPL-2.0", ""] {
        assert!(!is_compatible(bad), "{bad}");
    }
}
