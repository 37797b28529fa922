//! What happens before the first job.

use uaccel_conformance::ScriptedTransport;
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{
    AddressMode, Algorithm, DeviceInfo, Direction, Driver, FaultHandling, OpenError, Operation, Order, TransportError,
};
use uaccel_warp_abi::{Features, Geometry, INTERFACE, Limits, Mode, State, VERSION, ident, user_page};

use crate::fake::{Nature, fake, open};

#[test]
fn goes_by_the_interface() {
    assert!(WarpDriver.drives(&DeviceInfo::new("any", INTERFACE)));
    assert!(!WarpDriver.drives(&DeviceInfo::new("warp", "hisi_qm_v3")));
}

#[test]
fn tells_the_device_where_its_memory_is_and_starts_it() {
    let (fake, _, opened) = open(Nature::default(), 32).expect("opens");
    assert_eq!(fake.registers().read(user_page::RING_BASE), ScriptedTransport::BASE);
    // 32 jobs and 8 commands: 2^6 entries; 16 sessions; ring mode.
    assert_eq!(fake.registers().read(user_page::GEOMETRY), 0x0010_0006);
    assert_eq!(fake.doorbells(), [(user_page::ENABLE, 1)]);
    let granted = opened.granted;
    assert_eq!((granted.depth, granted.sessions, granted.max_transfer), (32, 16, 1 << 20));
    assert_eq!((granted.order, granted.address_mode), (Order::Any, AddressMode::Shared));
    assert_eq!(granted.faults, FaultHandling::Reported);
    assert!(!granted.chains && !granted.scatter && !granted.wakes && granted.effective);
    assert!(Operation::ALL.into_iter().all(|operation| granted.operations.contains(operation)));
    assert!(granted.algorithms.contains(Algorithm::HmacSha256, Direction::Forward));
}

#[test]
fn grants_what_the_registers_offer() {
    let features = Features::CHAINS | Features::FAULTS_RESOLVED;
    let (_, _, opened) = open(Nature { features, ..Nature::default() }, 32).expect("opens");
    assert!(opened.granted.chains);
    assert_eq!(opened.granted.faults, FaultHandling::Resolved);
}

#[test]
fn chooses_the_mailbox_for_shallow_queues_of_devices_that_have_it() {
    let features = Features::MAILBOX;
    for (features, depth, mode) in [
        (features, 1, Mode::Mailbox),
        (features, WarpDriver::MAILBOX_DEPTH, Mode::Mailbox),
        (features, WarpDriver::MAILBOX_DEPTH + 1, Mode::Ring),
        (Features::empty(), 1, Mode::Ring),
    ] {
        let (fake, ..) = open(Nature { features, ..Nature::default() }, depth).expect("opens");
        let geometry = Geometry::from_register(fake.registers().read(user_page::GEOMETRY)).expect("a geometry");
        assert_eq!(geometry.mode(), mode, "{features:?}, depth {depth}");
        assert!(geometry.entries() >= depth + 8, "{} entries for {depth} jobs and the commands", geometry.entries());
    }
}

#[test]
fn refuses_other_devices_and_other_versions() {
    let nature = Nature { ident: ident(VERSION) ^ 1, ..Nature::default() };
    assert!(matches!(open(nature, 8), Err(OpenError::Transport(TransportError::Refused(_)))));
    let nature = Nature { ident: ident(VERSION + 1), ..Nature::default() };
    assert!(matches!(open(nature, 8), Err(OpenError::Version { found, known: VERSION }) if found == VERSION + 1));
}

#[test]
fn keeps_to_the_entries_there_are() {
    for (entries, limit) in [(64, 56), (100, 56), (16, 8), (8, 0), (0, 0), (u16::MAX, 4096)] {
        let limits = Limits { entries, sessions: 1, max_transfer: 4096 };
        let nature = Nature { limits, ..Nature::default() };
        if limit > 0 {
            open(nature, limit).unwrap_or_else(|error| panic!("{entries} entries: {error}"));
        }
        if limit < 4096 {
            let refused = open(nature, limit + 1);
            assert!(
                matches!(refused, Err(OpenError::Depth { limit: told, .. }) if told == limit),
                "{entries}: {refused:?}"
            );
        }
    }
}

#[test]
fn gives_up_on_a_device_that_does_not_start_and_turns_it_off() {
    for state in [State::Failed(3), State::Off] {
        let fake = fake(Nature { state, ..Nature::default() });
        let cells = std::sync::Arc::new(uaccel_queue::Cells::new(4));
        let transport: std::sync::Arc<dyn uaccel_queue::Transport> = std::sync::Arc::<ScriptedTransport>::clone(&fake);
        let opened = WarpDriver.open(transport, cells, &uaccel_queue::QueueRequest::new(4));
        assert!(matches!(opened, Err(OpenError::NotReady)), "{state:?}");
        assert_eq!(fake.doorbells(), [(user_page::ENABLE, 1), (user_page::ENABLE, 0)]);
    }
}
