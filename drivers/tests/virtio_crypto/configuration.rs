//! Where a device says that its registers are, in sound and in unsound ways.

use uaccel_drivers::function::Function;
use uaccel_drivers::virtio_crypto::VirtioCryptoFunction;
use uaccel_queue::{Quiet, Region, RegionKind};

use crate::device::{DEVICE, ISR, NOTIFY};

/// Structures in virtio's capabilities (4.1.4).
const COMMON_CFG: u8 = 1;
const NOTIFY_CFG: u8 = 2;
const ISR_CFG: u8 = 3;
const DEVICE_CFG: u8 = 4;

/// One structure: kind, region, offset, length.
type Structure = (u8, u8, u32, u32);

const SOUND: [Structure; 4] = [
    (COMMON_CFG, 4, 0, 0x1000),
    (DEVICE_CFG, 4, DEVICE as u32, 0x1000),
    (NOTIFY_CFG, 4, NOTIFY as u32, 0x1000),
    (ISR_CFG, 4, ISR as u32, 0x1000),
];

/// Configuration space with these structures, doorbells four bytes apart.
fn space(structures: &[Structure]) -> Vec<u8> {
    let mut space = vec![0; 256];
    // There is a list of capabilities; first one of another kind, MSI-X.
    space[0x06] = 1 << 4;
    space[0x34] = 0x40;
    space[0x40] = 0x11;
    let mut last = 0x41;
    for (at, (kind, region, offset, len)) in (0x50..).step_by(20).zip(structures) {
        space[last] = at as u8;
        space[at..at + 5].copy_from_slice(&[0x09, 0, 20, *kind, *region]);
        space[at + 8..at + 12].copy_from_slice(&offset.to_le_bytes());
        space[at + 12..at + 16].copy_from_slice(&len.to_le_bytes());
        space[at + 16..at + 20].copy_from_slice(&4_u32.to_le_bytes());
        last = at + 1;
    }
    space
}

/// What the device of these tests says.
pub(crate) fn sound() -> Vec<u8> {
    space(&SOUND)
}

fn region(space: &[u8]) -> Result<u32, String> {
    let configuration = Region::copied(RegionKind::Configuration, space);
    VirtioCryptoFunction.region(&configuration).map_err(|error| error.to_string())
}

#[test]
fn the_function_is_known_by_its_numbers() {
    let knows = |alias| VirtioCryptoFunction.is_behind(alias);
    assert!(knows("pci:v00001AF4d00001054sv00001AF4sd00001100bc00scFFi00"));
    // virtio-blk, and another vendor's.
    assert!(!knows("pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00"));
    assert!(!knows("pci:v00001AF5d00001054sv00001AF4sd00001100bc00scFFi00"));
    assert!(VirtioCryptoFunction.is_model());
}

#[test]
fn structures_are_found_in_their_region_and_reset_is_seen() {
    assert_eq!(region(&sound()), Ok(4));
    let configuration = Region::copied(RegionKind::Configuration, &sound());
    let registers = Region::copied(RegionKind::Control, &[0; 0x4000]);
    let control = VirtioCryptoFunction.control(registers.clone(), &configuration).expect("its registers");
    assert_eq!((control.queues(), control.user_page(0), control.vector(0)), (1, 0..0x4000, 0));
    registers.write8(0x14, 0xf);
    assert_eq!(control.reset(std::time::Duration::ZERO), Quiet::Proven);
    assert_eq!(registers.read8(0x14), 0);
    control.assign(0, None).expect("it is there");
    assert!(control.assign(0, Some(7)).is_err(), "virtio knows no PASIDs");
    assert!(control.assign(1, None).is_err());
}

#[test]
fn the_first_usable_structure_is_taken() {
    let structures = [(COMMON_CFG, 4, 0, 8), (COMMON_CFG, 6, 0, 0x1000)];
    assert_eq!(region(&space(&[&structures[..], &SOUND].concat())), Ok(4));
}

#[test]
fn structures_that_cannot_be_used_are_refused() {
    let without = |kind: u8| SOUND.into_iter().filter(|structure| structure.0 != kind).collect::<Vec<_>>();
    for kind in [COMMON_CFG, NOTIFY_CFG, ISR_CFG, DEVICE_CFG] {
        let error = region(&space(&without(kind))).expect_err("a structure is missing");
        assert!(error.contains(&format!("kind {kind}")), "{error}");
    }
    let mut apart = SOUND;
    apart[1].1 = 2;
    assert!(region(&space(&apart)).expect_err("two regions").contains("several regions"));
    let mut odd = sound();
    odd[0x50 + 2 * 20 + 16] = 3;
    assert!(region(&odd).expect_err("odd doorbells").contains("3 bytes apart"));
    for (structure, offset) in [(1, 0x3fd0), (1, 0xffff_fff0), (3, 0x4000)] {
        let mut beyond = SOUND;
        beyond[structure].2 = offset;
        let configuration = Region::copied(RegionKind::Configuration, &space(&beyond));
        let registers = Region::copied(RegionKind::Control, &[0; 0x4000]);
        let error = VirtioCryptoFunction.control(registers, &configuration).expect_err("beyond its region");
        assert!(error.to_string().contains("beyond"), "{error}");
    }
}

#[test]
fn lists_that_are_none_end() {
    let mut circle = sound();
    circle[0x41] = 0x40;
    assert!(region(&circle).is_err());
    let mut end = sound();
    end[0x41] = 0xfc;
    end[0xfc] = 0x09;
    assert!(region(&end).is_err());
    assert!(region(&[]).is_err());
    assert!(region(&[0xff; 256]).is_err());
    assert!(region(&[0xff; 16]).is_err());
}
