//! The recipes in `docs/setup` and what the doctor prints are the same.

use std::fs;
use std::path::PathBuf;

use uaccel_doctor::AccessRule;

fn recipe(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/setup").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_rule_that_is_printed_stands_in_the_rules_file() {
    let rules = recipe("70-uaccel.rules");
    for rule in AccessRule::ALL {
        // Rules about one device or one group are there with these, to be changed.
        let name = if rule == AccessRule::VfioGroup { "12" } else { "0000:03:00.0" };
        let text = rule.text(name);
        let stands = |line: &str| line == text || line.strip_prefix('#') == Some(&text);
        assert!(rules.lines().any(stands), "{rule:?}: '{text}' is not in the file");
    }
}

#[test]
fn whole_devices_are_given_to_nobody_unasked() {
    let rules = recipe("70-uaccel.rules");
    for rule in rules.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        assert!(!rule.contains(r#"SUBSYSTEM=="vfio""#) && !rule.contains("vfio-dev"), "{rule}");
    }
}

#[test]
fn recipes_name_one_group() {
    for (file, line) in [
        ("uaccel.sysusers", "g uaccel - -"),
        ("70-uaccel.limits", "@uaccel - memlock unlimited"),
        ("accelerated.service", "SupplementaryGroups=uaccel"),
    ] {
        assert!(recipe(file).lines().any(|found| found == line), "{file}");
    }
    assert!(recipe("uaccel-vfio@.service").contains("chgrp uaccel"));
}
