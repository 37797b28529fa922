//! Short runs of the program, as a user starts it.

use std::process::{Command, Output};

fn stress(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stress")).args(arguments).args(["--cases", "20"]).output().expect("the program")
}

/// What a good run says.
fn good(arguments: &[&str]) -> String {
    let output = stress(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn clients_that_are_killed_and_stopped_on_a_simulated_engine_account_for_every_job() {
    let text = good(&["--device=sim", "--seconds=8", "--seed=3"]);
    assert!(text.contains("every job accounted for, every byte right"), "{text}");
    assert!(text.contains("clients killed") && text.contains("RightFault"), "{text}");
}

#[test]
fn the_same_seed_does_the_same_to_the_same() {
    let done = |seed| {
        let text = good(&["--device=software", "--seconds=4", "--processes=2", "--verbose", seed]);
        text.lines().filter(|line| line.contains(" is ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let first = done("--seed=21");
    assert!(!first.is_empty());
    assert_eq!(first, done("--seed=21"));
    assert_ne!(first, done("--seed=22"));
}

#[test]
fn a_device_that_does_not_exist_is_no_good_run_and_not_waited_for() {
    let output =
        stress(&["--device=none-such", "--seconds=1", "--processes=1", "--threads=1", "--no-odd", "--no-kill"]);
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && text.contains("WRONG"), "{text}");
    assert!(errors.contains("there is no device 'none-such'") && !errors.contains("have not begun"), "{errors}");
}
