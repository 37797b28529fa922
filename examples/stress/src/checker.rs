//! Whether the histories of all threads are possible histories of a device that loses nothing, doubles nothing and gets nothing wrong.
//!
//! The rules, for each thread:
//!
//! 1. Jobs are numbered without gaps, across the segments of a life.
//! 2. A job is answered or abandoned at most once, and not before it was submitted.
//! 3. A job that was neither is forgiven only if its process was killed or became another program.
//! 4. A good answer was right, byte by byte; a bad pointer failed with its address.
//! 5. An error of the device has something to blame: what was done to the device or the process while the job was in flight. A deadline alone may
//!    also be a busy machine's; it is counted.
//! 6. Under a policy that lets the CPU take over, a borrowing call fails for nothing the device does.
//! 7. Nothing outside of a destination was touched, nor a destination after its job had ended, nor a source.

use std::collections::HashMap;

use crate::disturbance::Disturbance;
use crate::log::{History, Name, State};
use crate::record::{Entry, Record, Trespass, Verdict, Way};

/// What became of a process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ended as it should.
    Ended,
    /// It was killed.
    Killed,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Rule 1.
    #[error("job {found} follows job {before}")]
    Gap {
        /// The number before.
        before: u64,
        /// The number that follows.
        found: u64,
    },
    /// Rule 2.
    #[error("job {0} was answered twice")]
    Doubled(u64),
    /// Rule 2.
    #[error("job {0} was answered and never submitted")]
    Unknown(u64),
    /// Rule 3.
    #[error("job {serial} ({way:?}, case {case}, {len} bytes) was submitted and never answered")]
    Unanswered {
        /// The job.
        serial: u64,
        /// Its way.
        way: Way,
        /// Its case.
        case: u16,
        /// Its length.
        len: u32,
    },
    /// Rule 3.
    #[error("the history just ends, though its process was not killed")]
    Unsealed,
    /// What is behind the last record is not what a kill leaves.
    #[error("a record is torn in the middle of a life")]
    Torn,
    /// Rule 4.
    #[error("job {serial} ({way:?}, case {case}, {len} bytes): {verdict:?}")]
    Wrong {
        /// The job.
        serial: u64,
        /// Its way.
        way: Way,
        /// Its case.
        case: u16,
        /// Its length.
        len: u32,
        /// What it was.
        verdict: Verdict,
    },
    /// Rules 5 and 6.
    #[error(
        "job {serial} ({way:?}, case {case}, {len} bytes): {verdict:?} after {after_ms} ms, and nothing to blame for it"
    )]
    Unexplained {
        /// The job.
        serial: u64,
        /// Its way.
        way: Way,
        /// Its case.
        case: u16,
        /// Its length.
        len: u32,
        /// What it was.
        verdict: Verdict,
        /// For how long it was in flight.
        after_ms: u64,
    },
    /// Rule 7.
    #[error("job {serial}: {}", said(*trespass))]
    Touched {
        /// The job.
        serial: u64,
        /// What was touched.
        trespass: Trespass,
    },
}

fn said(trespass: Trespass) -> &'static str {
    match trespass {
        Trespass::Outside => "bytes beside its destination were changed",
        Trespass::Late => "its destination was changed after it had ended",
        Trespass::Source => "its source was changed",
    }
}

/// Where a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("process {}, life {}, thread {}, segment {}: {broken}", name.process, name.life, name.thread, name.segment)]
pub struct Finding {
    /// Whose history.
    pub name: Name,
    /// What.
    pub broken: Broken,
}

/// How many of what there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs submitted.
    pub submitted: u64,
    /// Bytes of their sources.
    pub bytes: u64,
    /// Jobs by way.
    ways: [u64; Way::ALL.len() + 1],
    /// Answers by verdict.
    verdicts: [u64; Verdict::ALL.len() + 1],
    /// Jobs whose futures were dropped.
    pub abandoned: u64,
    /// Jobs that died with their process.
    pub cut: u64,
    /// Deadlines that only a busy machine explains.
    pub slow: u64,
    /// Findings, of which only the first are kept.
    pub findings: u64,
}

impl Tally {
    /// Jobs that went this way.
    #[must_use]
    pub fn by(&self, way: Way) -> u64 {
        self.ways[way as usize]
    }

    /// Answers with this verdict.
    #[must_use]
    pub fn with(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }
}

/// Findings that are kept in words.
const KEPT: usize = 32;

/// Reads histories and holds them to the rules.
#[derive(Debug, Default)]
pub struct Checker {
    tally: Tally,
    findings: Vec<Finding>,
    /// The last number of each thread.
    last: HashMap<Name, u64>,
}

/// What a history is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What became of its process.
    pub fate: Fate,
    /// Whether the CPU takes the device's place in calls that borrow.
    pub falls_back: bool,
    /// What was done, to anybody.
    pub disturbances: &'a [Disturbance],
}

impl Checker {
    /// A checker that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it has seen.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The first rules that were broken.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Checks one segment. Segments of one thread come in their order.
    pub fn check(&mut self, name: Name, history: &History, circumstances: &Circumstances<'_>) {
        let cut = history.state == State::Replaced || circumstances.fate == Fate::Killed;
        if history.state == State::Open && !cut {
            self.find(name, Broken::Unsealed);
        }
        if history.torn && !cut {
            self.find(name, Broken::Torn);
        }
        let mut open: HashMap<u64, (Record, Way, u16, u32)> = HashMap::new();
        let mut last = self.last.remove(&thread_of(name)).unwrap_or(0);
        for record in &history.records {
            let serial = record.serial;
            match record.entry {
                Entry::Submitted { way, case, len } => {
                    if serial != last + 1 {
                        self.find(name, Broken::Gap { before: last, found: serial });
                    }
                    last = last.max(serial);
                    self.tally.submitted += 1;
                    self.tally.bytes += u64::from(len);
                    self.tally.ways[way as usize] += 1;
                    open.insert(serial, (*record, way, case, len));
                }
                Entry::Answered(verdict) => {
                    self.tally.verdicts[verdict as usize] += 1;
                    match open.remove(&serial) {
                        Some(job) => self.judge(name, job, verdict, record.at, circumstances),
                        None => self.find(name, once(serial, last)),
                    }
                }
                Entry::Abandoned => {
                    self.tally.abandoned += 1;
                    if open.remove(&serial).is_none() {
                        self.find(name, once(serial, last));
                    }
                }
                Entry::Touched(trespass) => self.find(name, Broken::Touched { serial, trespass }),
            }
        }
        self.last.insert(thread_of(name), last);
        let mut left: Vec<_> = open.into_iter().collect();
        left.sort_unstable_by_key(|(serial, _)| *serial);
        for (serial, (_, way, case, len)) in left {
            if cut && history.state != State::Sealed {
                self.tally.cut += 1;
            } else {
                self.find(name, Broken::Unanswered { serial, way, case, len });
            }
        }
    }

    fn judge(
        &mut self,
        name: Name,
        (submitted, way, case, len): (Record, Way, u16, u32),
        verdict: Verdict,
        answered: u64,
        circumstances: &Circumstances<'_>,
    ) {
        let serial = submitted.serial;
        match verdict {
            Verdict::Right | Verdict::RightFault | Verdict::Full => {}
            Verdict::Wrong | Verdict::WrongFault | Verdict::Undeserved => {
                self.find(name, Broken::Wrong { serial, way, case, len, verdict });
            }
            Verdict::Deadline | Verdict::DeviceFailed | Verdict::Lost | Verdict::NoQueue | Verdict::Canceled => {
                let replaced = circumstances.falls_back && way == Way::Call;
                let explained = circumstances
                    .disturbances
                    .iter()
                    .any(|disturbance| disturbance.explains(name.process, verdict, submitted.at, answered));
                if explained && !replaced {
                    return;
                }
                if verdict == Verdict::Deadline && !replaced {
                    self.tally.slow += 1;
                    return;
                }
                let after_ms = answered.saturating_sub(submitted.at) / 1_000_000;
                self.find(name, Broken::Unexplained { serial, way, case, len, verdict, after_ms });
            }
        }
    }

    fn find(&mut self, name: Name, broken: Broken) {
        self.tally.findings += 1;
        if self.findings.len() < KEPT {
            self.findings.push(Finding { name, broken });
        }
    }
}

/// The name of a thread's life, whatever the segment.
fn thread_of(name: Name) -> Name {
    Name { segment: 0, ..name }
}

/// An answer to a job that is not open.
fn once(serial: u64, last: u64) -> Broken {
    if serial <= last { Broken::Doubled(serial) } else { Broken::Unknown(serial) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disturbance::Kind;

    const NAME: Name = Name { process: 3, life: 0, thread: 1, segment: 0 };
    const QUIET: Circumstances<'_> = Circumstances { fate: Fate::Ended, falls_back: false, disturbances: &[] };

    fn submitted(serial: u64) -> Record {
        Record { serial, at: serial * 100, entry: Entry::Submitted { way: Way::Call, case: 9, len: 10 } }
    }

    fn answered(serial: u64, verdict: Verdict) -> Record {
        Record { serial, at: serial * 100 + 50, entry: Entry::Answered(verdict) }
    }

    fn history(records: &[Record], state: State) -> History {
        History { state, records: records.to_vec(), torn: false, alive: 0, leaked: 0 }
    }

    fn found(records: &[Record], state: State, circumstances: &Circumstances<'_>) -> Vec<Broken> {
        let mut checker = Checker::new();
        checker.check(NAME, &history(records, state), circumstances);
        checker.findings().iter().map(|finding| finding.broken.clone()).collect()
    }

    #[test]
    fn a_good_history_is_good() {
        let records = [
            submitted(1),
            submitted(2),
            answered(2, Verdict::Right),
            answered(1, Verdict::RightFault),
            submitted(3),
            Record { serial: 3, at: 400, entry: Entry::Abandoned },
        ];
        assert_eq!(found(&records, State::Sealed, &QUIET), []);
    }

    #[test]
    fn what_is_lost_doubled_or_made_up_is_found() {
        let unanswered = |serial| Broken::Unanswered { serial, way: Way::Call, case: 9, len: 10 };
        assert_eq!(found(&[submitted(1)], State::Sealed, &QUIET), [unanswered(1)]);
        let right = |serial| answered(serial, Verdict::Right);
        assert_eq!(found(&[submitted(1), right(1), right(1)], State::Sealed, &QUIET), [Broken::Doubled(1)]);
        assert_eq!(found(&[right(1)], State::Sealed, &QUIET), [Broken::Unknown(1)]);
        let gap = Broken::Gap { before: 0, found: 2 };
        assert_eq!(found(&[submitted(2), right(2)], State::Sealed, &QUIET), [gap]);
        let dropped = Record { serial: 1, at: 400, entry: Entry::Abandoned };
        assert_eq!(found(&[submitted(1), dropped, right(1)], State::Sealed, &QUIET), [Broken::Doubled(1)]);
    }

    #[test]
    fn only_who_was_killed_or_replaced_may_leave_jobs_behind() {
        assert_eq!(found(&[], State::Open, &QUIET), [Broken::Unsealed]);
        let killed = Circumstances { fate: Fate::Killed, ..QUIET };
        assert_eq!(found(&[submitted(1)], State::Open, &killed), []);
        assert_eq!(found(&[submitted(1)], State::Replaced, &QUIET), []);
        // A segment that was sealed before the kill had nothing open.
        assert_eq!(found(&[submitted(1)], State::Sealed, &killed).len(), 1);
    }

    #[test]
    fn numbers_go_on_across_segments() {
        let right = |serial| answered(serial, Verdict::Right);
        let first = history(&[submitted(1), right(1)], State::Sealed);
        let second = |serial| history(&[submitted(serial), right(serial)], State::Sealed);
        let mut checker = Checker::new();
        checker.check(NAME, &first, &QUIET);
        checker.check(Name { segment: 1, ..NAME }, &second(2), &QUIET);
        assert_eq!(checker.findings(), []);
        checker.check(Name { segment: 2, ..NAME }, &second(4), &QUIET);
        assert_eq!(checker.findings()[0].broken, Broken::Gap { before: 2, found: 4 });
    }

    #[test]
    fn wrong_bytes_and_trespasses_are_never_forgiven() {
        let faulty = [Disturbance { process: None, kind: Kind::Faulty, from: 0, until: u64::MAX }];
        let circumstances = Circumstances { disturbances: &faulty, ..QUIET };
        for verdict in [Verdict::Wrong, Verdict::WrongFault, Verdict::Undeserved] {
            assert_eq!(found(&[submitted(1), answered(1, verdict)], State::Sealed, &circumstances).len(), 1);
        }
        let late = Record { serial: 1, at: 200, entry: Entry::Touched(Trespass::Late) };
        let found = found(&[submitted(1), answered(1, Verdict::Right), late], State::Sealed, &circumstances);
        assert_eq!(found, [Broken::Touched { serial: 1, trespass: Trespass::Late }]);
    }

    #[test]
    fn an_error_needs_something_to_blame_at_its_time_and_in_its_process() {
        let records = [submitted(1), answered(1, Verdict::DeviceFailed)];
        let blamed = |process, kind, from, until| {
            let disturbances = [Disturbance { process, kind, from, until }];
            found(&records, State::Sealed, &Circumstances { disturbances: &disturbances, ..QUIET }).is_empty()
        };
        assert_eq!(found(&records, State::Sealed, &QUIET).len(), 1);
        assert!(blamed(None, Kind::Gone, 120, 130));
        assert!(!blamed(None, Kind::Gone, 151, 200), "it had ended");
        assert!(!blamed(None, Kind::Gone, 0, 99), "it had not begun");
        assert!(!blamed(Some(4), Kind::Gone, 0, 200), "another process");
        assert!(!blamed(Some(3), Kind::Stopped, 0, 200), "being stopped makes late, and breaks nothing");
    }

    #[test]
    fn a_call_that_falls_back_has_no_excuse() {
        let records = [submitted(1), answered(1, Verdict::DeviceFailed)];
        let disturbances = [Disturbance { process: None, kind: Kind::Gone, from: 0, until: 1000 }];
        let circumstances = Circumstances { disturbances: &disturbances, falls_back: true, ..QUIET };
        assert_eq!(found(&records, State::Sealed, &circumstances).len(), 1);
    }

    #[test]
    fn a_busy_machine_is_late_and_that_is_counted() {
        let mut checker = Checker::new();
        let late = history(&[submitted(1), answered(1, Verdict::Deadline)], State::Sealed);
        checker.check(NAME, &late, &QUIET);
        assert_eq!((checker.tally().slow, checker.findings().len()), (1, 0));
    }
}
