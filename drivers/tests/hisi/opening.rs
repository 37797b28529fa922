//! What the kernel says of hardware queues, and what is granted.

use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Entry};
use uaccel_hisi_abi::{API_V3, Description, Dus, StopWords};
use uaccel_queue::{
    AddressMode, Algorithm, Capabilities, DeviceInfo, Direction, Driver, FaultHandling, OpenError, Operation, Order,
    QueueRequest, SessionError, SessionId, SessionSpec, TransportError,
};

use crate::device::Device;
use crate::part::Nature;
use crate::queue::{FORMATS, open, open_for};

fn info(interface: &str, algorithms: &[&str]) -> DeviceInfo {
    let mut info = DeviceInfo::new("hisi_zip-0", interface);
    info.algorithms = algorithms.iter().map(ToString::to_string).collect();
    info
}

#[test]
fn devices_are_known_by_interface_and_algorithms() {
    assert!(HisiZipDriver.drives(&info(API_V3, &["zlib", "gzip", "deflate", "lz77_zstd"])));
    assert!(HisiZipDriver.drives(&info(API_V3, &["gzip"])));
    // The queue managers of other engines, and of other versions.
    assert!(!HisiZipDriver.drives(&info(API_V3, &["cipher", "digest", "aead"])));
    assert!(!HisiZipDriver.drives(&info(API_V3, &[])));
    for other in ["hisi_qm_v1", "hisi_qm_v2", "hisi_qm_v30", "hisi_qm_v3_noiommu", "warp_v1"] {
        assert!(!HisiZipDriver.drives(&info(other, &["zlib", "gzip", "deflate"])), "{other}");
    }
}

fn has(capabilities: &Capabilities, algorithm: Algorithm) -> bool {
    let ways = [Direction::Forward, Direction::Inverse];
    let all = ways.iter().all(|way| capabilities.algorithms.contains(algorithm, *way));
    let any = ways.iter().any(|way| capabilities.algorithms.contains(algorithm, *way));
    assert_eq!(all, any, "{algorithm} in both directions");
    all
}

#[test]
fn what_the_kernel_lists_is_advertised() {
    for lines in [&["zlib", "gzip", "deflate", "lz4"][..], &["gzip"], &["deflate", "zlib_not"], &["lz77_zstd"], &[]] {
        let offers = HisiZipDriver.advertised(&info(API_V3, lines));
        for format in FORMATS {
            assert_eq!(has(&offers, format), lines.contains(&format.name()), "{format} of {lines:?}");
        }
        // To LZ4 the engine only compresses.
        assert_eq!(offers.algorithms.contains(Algorithm::Lz4Block, Direction::Forward), lines.contains(&"lz4"));
        assert!(!offers.algorithms.contains(Algorithm::Lz4Block, Direction::Inverse));
        let any = FORMATS.iter().any(|format| has(&offers, *format));
        assert_eq!((offers.operations.contains(Operation::Compress), offers.sessions > 0), (any, any));
        assert_eq!((offers.max_transfer, offers.depth), (8 << 20, 1023));
    }
}

#[test]
fn what_is_granted() {
    let (_, opened) = open(&Device::new(1024), 1023).expect("opens");
    let granted = opened.granted;
    assert!(FORMATS.iter().all(|format| has(&granted, *format)));
    assert_eq!((granted.depth, granted.max_transfer, granted.order), (1023, 8 << 20, Order::Any));
    assert_eq!((granted.faults, granted.address_mode), (FaultHandling::Resolved, AddressMode::Shared));
    assert!(granted.scatter && !granted.wakes && !granted.immediate && !granted.chains);
    assert_eq!(granted.in_place.iter().count(), 0);
}

#[test]
fn no_more_is_granted_than_was_advertised() {
    let all = Algorithm::ALL.into_iter();
    let all = all.flat_map(|algorithm| [Direction::Forward, Direction::Inverse].map(|way| (algorithm, way)));
    let gzip = HisiZipDriver.advertised(&info(API_V3, &["gzip"])).algorithms;
    for (listed, expected) in [
        (gzip, vec![(Algorithm::Gzip, Direction::Forward), (Algorithm::Gzip, Direction::Inverse)]),
        (
            [(Algorithm::Lz4Block, Direction::Forward)].into_iter().collect(),
            vec![(Algorithm::Lz4Block, Direction::Forward)],
        ),
    ] {
        let (_, opened) = open_for(&Device::new(8), &QueueRequest::new(1).with_algorithms(listed)).expect("opens");
        assert_eq!(opened.granted.algorithms.iter().collect::<Vec<_>>(), expected);
        let decompresses = opened.granted.operations.contains(Operation::Decompress);
        assert_eq!(decompresses, expected.iter().any(|(_, way)| *way == Direction::Inverse));
        for algorithm in [Algorithm::Deflate, Algorithm::Zlib] {
            let spec = SessionSpec::compression(algorithm, Direction::Forward, None).expect("a session");
            let mut submitter =
                open_for(&Device::new(8), &QueueRequest::new(1).with_algorithms(listed)).expect("opens").1.submitter;
            let refused = submitter.open_session(SessionId(0), &spec);
            assert!(matches!(refused, Err(SessionError::Unsupported { .. })), "{refused:?}");
        }
    }
    let (_, opened) = open_for(&Device::new(8), &QueueRequest::new(1).with_algorithms(all.collect())).expect("opens");
    assert_eq!(opened.granted.algorithms.iter().count(), 7, "four formats, one of them one way only");
}

#[test]
fn depths_that_the_rings_do_not_have() {
    for (submissions, completions, limit) in [(8, 8, 7), (8, 6, 5), (3, 1024, 2), (4096, 4096, 4095), (2, 2, 1)] {
        let device =
            || Device::with([Nature::new(COMPRESS, 1024, 1024), Nature::new(DECOMPRESS, submissions, completions)]);
        let limit = usize::min(limit, 1023);
        assert!(open(&device(), limit).is_ok());
        let refused = open(&device(), limit + 1);
        assert!(matches!(refused, Err(OpenError::Depth { limit: told, .. }) if told == limit), "{refused:?}");
    }
}

fn refusal(natures: [Nature; 2]) -> String {
    match open(&Device::with(natures), 1) {
        Err(OpenError::Transport(TransportError::Refused(why))) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn hardware_queues_that_cannot_be() {
    let sound = |kind| Nature::new(kind, 8, 8);
    let changed = |change: &dyn Fn(&mut Nature)| {
        let mut nature = sound(DECOMPRESS);
        change(&mut nature);
        refusal([sound(COMPRESS), nature])
    };
    let described = |change: &dyn Fn(&mut Description)| {
        changed(&|nature| {
            let mut description = Description { dus: nature.dus, queue: nature.number, kind: nature.kind };
            change(&mut description);
            nature.description = description.encode().to_vec();
        })
    };
    assert!(described(&|d| d.kind = 0).contains("kind 0"));
    assert!(described(&|d| d.dus.entry = 64).contains("64 bytes"));
    for places in [0, 1, 4097, u16::MAX] {
        assert!(described(&|d| d.dus.submissions = places).contains(&format!("{places} and 8 places")));
        assert!(described(&|d| d.dus.completions = places).contains(&format!("8 and {places} places")));
    }
    assert!(described(&|d| d.queue = 0x1000).contains("queue 4096"));
    assert!(changed(&|nature| nature.description.truncate(16)).contains("16 bytes"));
    assert!(changed(&|nature| nature.registers = 0x1000).contains("4096 bytes"));
    let rings = Dus { entry: Entry::SIZE as u32, submissions: 8, completions: 8 }.rings();
    assert!(changed(&|nature| nature.memory = rings).contains(&format!("instead of {}", rings + StopWords::FROM_END)));
    assert!(changed(&|nature| nature.memory = rings + 12).contains("ring memory"));
    // The wrong way round.
    assert!(refusal([sound(DECOMPRESS), sound(COMPRESS)]).contains("kind 1"));
}

#[test]
fn regions_that_are_not_there() {
    let sound = |kind| Nature::new(kind, 8, 8);
    for (nature, missing) in [
        (Nature { registers: 0, ..sound(COMPRESS) }, "user"),
        (Nature { description: Vec::new(), ..sound(COMPRESS) }, "description"),
    ] {
        let refused = open(&Device::with([nature, sound(DECOMPRESS)]), 1);
        assert!(matches!(refused, Err(OpenError::MissingRegion(name)) if name == missing), "{refused:?}");
    }
}

#[test]
fn one_hardware_queue_for_each_direction() {
    for parts in [0, 1, 3] {
        match open(&Device::divided(parts), 1) {
            Err(OpenError::Transport(TransportError::Refused(why))) => {
                assert!(why.starts_with(&format!("{parts} hardware queues")), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(open(&Device::divided(2), 1).is_ok());
}
