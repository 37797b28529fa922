//! A plan as text.

use std::time::Duration;

use serde::Deserialize;
use uaccel_sim::{Mishap, Plan, Rule, Timing, When};

/// Why a text is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It is not of the form.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// A rule does not say when it applies, or says it twice.
    #[error("rule {0} needs one of 'nth', 'every' (from 1 on) and 'chance' (0 to 1)")]
    When(usize),
    /// A timing is impossible.
    #[error("the timing needs figures that are not negative, rates up to 1, and at least one engine")]
    Timing,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[derive(Default)]
struct PlanText {
    seed: u64,
    timing: Option<TimingText>,
    rules: Vec<RuleText>,
    hold: bool,
    deaf: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TimingText {
    base_ns: u64,
    #[serde(default)]
    ns_per_byte: f64,
    engines: Option<usize>,
    #[serde(default)]
    page_fault_ns: u64,
    #[serde(default)]
    page_fault_rate: f64,
    #[serde(default)]
    missing_pages: u32,
    #[serde(default)]
    accompanied_ns: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleText {
    nth: Option<u64>,
    every: Option<u64>,
    chance: Option<f64>,
    what: What,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    LostCompletion,
    DuplicatedCompletion,
    WrongToken,
    ImpossibleLengths,
    UnknownStatus,
    LateCompletion(u32),
    DeviceFailure(u32),
}

/// Reads a plan from JSON. Everything but `what` of a rule, and `base-ns` of a timing, can be left out.
///
/// ```
/// let plan = uaccel_devd::read_plan(
///     r#"{ "seed": 7,
///          "timing": { "base-ns": 2000, "ns-per-byte": 0.5, "engines": 2, "page-fault-ns": 3000, "page-fault-rate": 0.01 },
///          "rules": [ { "every": 1000, "what": "lost-completion" },
///                     { "chance": 0.001, "what": { "late-completion": 3 } },
///                     { "nth": 50000, "what": { "device-failure": 4 } } ],
///          "hold": false, "deaf": false }"#,
/// )?;
/// assert_eq!((plan.seed, plan.rules.len()), (7, 3));
/// # Ok::<(), uaccel_devd::PlanError>(())
/// ```
///
/// What can go wrong: `lost-completion`, `duplicated-completion`, `wrong-token`, `impossible-lengths`, `unknown-status`, `late-completion` with the number of
/// others that come first, `device-failure` with a reason.
///
/// # Errors
/// See [`PlanError`].
pub fn read_plan(text: &str) -> Result<Plan, PlanError> {
    let text: PlanText = serde_json::from_str(text)?;
    let rules = text.rules.iter().enumerate().map(|(index, rule)| rule.read().ok_or(PlanError::When(index + 1)));
    Ok(Plan {
        seed: text.seed,
        timing: text.timing.map(|timing| timing.read().ok_or(PlanError::Timing)).transpose()?,
        rules: rules.collect::<Result<_, _>>()?,
        hold: text.hold,
        deaf: text.deaf,
    })
}

impl TimingText {
    fn read(self) -> Option<Timing> {
        let rates = (0.0..=1e9).contains(&self.ns_per_byte) && (0.0..=1.0).contains(&self.page_fault_rate);
        (rates && self.engines != Some(0)).then(|| Timing {
            base: Duration::from_nanos(self.base_ns),
            ns_per_byte: self.ns_per_byte,
            engines: self.engines,
            page_fault: Duration::from_nanos(self.page_fault_ns),
            page_fault_rate: self.page_fault_rate,
            accompanied: Duration::from_nanos(self.accompanied_ns),
            missing: self.missing_pages,
        })
    }
}

impl RuleText {
    fn read(&self) -> Option<Rule> {
        let when = match (self.nth, self.every, self.chance) {
            (Some(nth @ 1..), None, None) => When::Nth(nth),
            (None, Some(every @ 1..), None) => When::Every(every),
            (None, None, Some(chance)) if (0.0..=1.0).contains(&chance) => When::Chance(chance),
            _ => return None,
        };
        let what = match self.what {
            What::LostCompletion => Mishap::LostCompletion,
            What::DuplicatedCompletion => Mishap::DuplicatedCompletion,
            What::WrongToken => Mishap::WrongToken,
            What::ImpossibleLengths => Mishap::ImpossibleLengths,
            What::UnknownStatus => Mishap::UnknownStatus,
            What::LateCompletion(others) => Mishap::LateCompletion(others),
            What::DeviceFailure(reason) => Mishap::DeviceFailure(reason),
        };
        Some(Rule { when, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_is_meant() {
        let plan = read_plan(
            r#"{"seed":3,"timing":{"base-ns":5,"engines":2},"rules":[{"every":2,"what":"wrong-token"},
                {"nth":9,"what":{"device-failure":4}},{"chance":0.5,"what":{"late-completion":1}}],"hold":true}"#,
        )
        .unwrap();
        let wanted =
            Plan { seed: 3, timing: Some(Timing::fixed(Duration::from_nanos(5)).on(2)), hold: true, ..Plan::default() }
                .with(When::Every(2), Mishap::WrongToken)
                .with(When::Nth(9), Mishap::DeviceFailure(4))
                .with(When::Chance(0.5), Mishap::LateCompletion(1));
        assert_eq!(plan, wanted);
        assert_eq!(read_plan("{}").unwrap(), Plan::default());
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for text in ["", "7", r#"{"sed":1}"#, r#"{"rules":[{"nth":1}]}"#, r#"{"rules":[{"nth":1,"what":"rust"}]}"#] {
            assert!(matches!(read_plan(text), Err(PlanError::Form(_))), "{text}");
        }
        for text in [
            r#"{"rules":[{"what":"wrong-token"}]}"#,
            r#"{"rules":[{"nth":1,"every":2,"what":"wrong-token"}]}"#,
            r#"{"rules":[{"chance":1.5,"what":"wrong-token"}]}"#,
            r#"{"rules":[{"every":0,"what":"wrong-token"}]}"#,
        ] {
            assert!(matches!(read_plan(text), Err(PlanError::When(1))), "{text}");
        }
        for text in [r#"{"timing":{"base-ns":1,"engines":0}}"#, r#"{"timing":{"base-ns":1,"page-fault-rate":2}}"#] {
            assert!(matches!(read_plan(text), Err(PlanError::Timing)), "{text}");
        }
    }
}
