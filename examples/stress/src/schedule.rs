//! What is done to whom, and when: the same for the same seed.

use std::fmt;
use std::time::Duration;

use accel_bench::random::Random;

/// Something that is done to a process or to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client is killed, and started again.
    KillClient {
        /// Which.
        process: u32,
    },
    /// A client is stopped for some time.
    StopClient {
        /// Which.
        process: u32,
        /// For how long.
        time: Duration,
    },
    /// The daemon is stopped for some time, longer than a job may take.
    StopDaemon {
        /// For how long.
        time: Duration,
    },
    /// The daemon is killed, and started again.
    KillDaemon {
        /// After so long.
        away: Duration,
    },
    /// The daemon is told to end, and started again.
    EndDaemon {
        /// After so long.
        away: Duration,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillClient { process } => write!(f, "process {process} is killed"),
            Self::StopClient { process, time } => write!(f, "process {process} is stopped for {time:?}"),
            Self::StopDaemon { time } => write!(f, "the daemon is stopped for {time:?}"),
            Self::KillDaemon { away } => write!(f, "the daemon is killed, and away for {away:?}"),
            Self::EndDaemon { away } => write!(f, "the daemon is told to end, and away for {away:?}"),
        }
    }
}

/// What a schedule is made for.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The length of the run.
    pub length: Duration,
    /// Clients.
    pub processes: u32,
    /// How long a job may take.
    pub deadline: Duration,
    /// Whether there is a daemon.
    pub daemon: bool,
    /// Whether who grows has to be found: the first client lives as long as the run, and the daemon for minutes.
    pub soak: bool,
}

/// Events in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When, from the beginning of the run, and what.
    pub events: Vec<(Duration, Event)>,
}

/// The mean time between two events of a kind.
const EVERY: [Duration; 5] = [
    Duration::from_millis(1500),
    Duration::from_secs(5),
    Duration::from_secs(14),
    Duration::from_secs(11),
    Duration::from_secs(25),
];

/// The same in a soak.
const EVERY_SOAKING: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(45),
    Duration::from_secs(200),
    Duration::from_secs(400),
];

impl Schedule {
    /// The schedule of a seed. The first and the last tenth of the run are quiet.
    #[must_use]
    pub fn new(frame: &Frame, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x7363_6865_6475_6c65);
        let mut millis = |from: u64, span: usize| Duration::from_millis(from + random.below(span) as u64);
        let mut events = Vec::new();
        let (begin, end) = (frame.length / 10, frame.length - frame.length / 10);
        for (kind, every) in (if frame.soak { EVERY_SOAKING } else { EVERY }).into_iter().enumerate() {
            if kind >= 2 && !frame.daemon {
                break;
            }
            let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
            let mut at = begin + millis(0, usize::try_from(every).unwrap_or(usize::MAX));
            while at < end {
                let process = millis(0, frame.processes.max(1) as usize).as_millis();
                let process = u32::try_from(process).unwrap_or_default();
                let event = match kind {
                    0 if frame.soak => Event::KillClient { process: process.max(1) },
                    0 => Event::KillClient { process },
                    1 => Event::StopClient { process, time: millis(100, 2500) },
                    2 => Event::StopDaemon { time: frame.deadline + millis(500, 5000) },
                    3 => Event::KillDaemon { away: millis(0, 1500) },
                    _ => Event::EndDaemon { away: millis(0, 1500) },
                };
                events.push((at, event));
                at += millis(every / 2, usize::try_from(every).unwrap_or(usize::MAX));
            }
        }
        events.sort_by_key(|(at, _)| *at);
        Self { events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        length: Duration::from_secs(60),
        processes: 4,
        deadline: Duration::from_secs(2),
        daemon: true,
        soak: false,
    };

    #[test]
    fn the_seed_decides() {
        assert_eq!(Schedule::new(&FRAME, 1), Schedule::new(&FRAME, 1));
        assert_ne!(Schedule::new(&FRAME, 1), Schedule::new(&FRAME, 2));
    }

    #[test]
    fn a_minute_has_some_of_everything_in_its_middle() {
        for seed in 0..20 {
            let events = Schedule::new(&FRAME, seed).events;
            let has = |kind: fn(&Event) -> bool| events.iter().any(|(_, event)| kind(event));
            assert!(has(|event| matches!(event, Event::KillClient { process } if *process < 4)));
            assert!(has(|event| matches!(event, Event::StopClient { .. })));
            assert!(has(|event| matches!(event, Event::StopDaemon { time } if *time > FRAME.deadline)));
            assert!(has(|event| matches!(event, Event::KillDaemon { .. })));
            assert!(has(|event| matches!(event, Event::EndDaemon { .. })));
            assert!(events.iter().all(|(at, _)| (6..54).contains(&at.as_secs())));
            assert!(events.is_sorted_by_key(|(at, _)| *at));
        }
    }

    #[test]
    fn in_a_soak_the_first_client_lives_as_long_as_the_run() {
        let events = Schedule::new(&Frame { length: Duration::from_secs(1200), soak: true, ..FRAME }, 1).events;
        assert!(events.iter().all(|(_, event)| !matches!(event, Event::KillClient { process: 0 })));
        let killed = |event: &Event| matches!(event, Event::KillDaemon { .. });
        assert!((2..10).contains(&events.iter().filter(|(_, event)| killed(event)).count()));
    }

    #[test]
    fn without_a_daemon_nothing_is_done_to_it() {
        let events = Schedule::new(&Frame { daemon: false, ..FRAME }, 1).events;
        assert!(events.iter().all(|(_, event)| matches!(event, Event::KillClient { .. } | Event::StopClient { .. })));
    }
}
