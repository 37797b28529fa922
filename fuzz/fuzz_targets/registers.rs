//! Registers and doorbells in any order: the engine starts only on a geometry and a place that make sense, says so where the
//! user looks, and writes nowhere else.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use uaccel_fuzz::engine::{BASE, Engine, Memory, RING, SPACE};
use uaccel_queue::Operation;
use uaccel_sim::{Budget, Control, DeviceModel, Doorbell, MemoryPort, Span, WarpConfig};
use uaccel_warp_abi::{Descriptor, Geometry, State, user_page};

#[derive(Debug, Arbitrary)]
struct Input {
    config: (u8, u8),
    steps: Vec<Action>,
}

#[derive(Debug, Arbitrary)]
enum Action {
    Base(Base),
    Geometry(Division),
    /// Any register, any value.
    Register(u16, u64),
    Enable(Enable),
    /// A word of ring memory, a valid descriptor among them as often as not.
    Ring(u16, u64),
    Descriptor(u8, u8, bool),
    Fetch(u8),
    Work(u8),
    Flush,
    Signal,
    Wakeup(bool),
    Reset,
}

#[derive(Debug)]
struct Base(u64);

impl<'a> Arbitrary<'a> for Base {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(match u.int_in_range(0..=7_u8)? {
            0 => u.arbitrary()?,
            1 => BASE + u.int_in_range(0..=RING as u64)?,
            2 => u64::MAX - u64::from(u.arbitrary::<u16>()?),
            3 | 4 => BASE + 64 * u.int_in_range(0..=RING as u64 / 64)?,
            _ => BASE,
        }))
    }
}

#[derive(Debug)]
struct Division(u64);

impl<'a> Arbitrary<'a> for Division {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let value = match u.int_in_range(0..=3_u8)? {
            0 => u.arbitrary()?,
            1 => u64::from(u.arbitrary::<u32>()?),
            _ => u.int_in_range(0..=8)? | u64::from(u.arbitrary::<bool>()?) << 8 | u.int_in_range(0..=20)? << 16,
        };
        Ok(Self(value))
    }
}

#[derive(Debug)]
struct Enable(u64);

impl<'a> Arbitrary<'a> for Enable {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(if u.ratio(1, 10)? { u.arbitrary()? } else { u.int_in_range(0..=1)? }))
    }
}

fn enable(engine: &mut Engine, config: &WarpConfig, started: &mut bool, value: u64) {
    let (base, register) = (engine.page.load(user_page::RING_BASE), engine.page.load(user_page::GEOMETRY));
    let geometry = Geometry::from_register(register).ok();
    let possible = geometry.is_some_and(|geometry| {
        geometry.entries() <= usize::from(config.entries)
            && geometry.sessions() <= config.sessions
            && base % 64 == 0
            && engine.memory.ring(SPACE, Span::new(base, geometry.size()))
    });
    let control = engine.control(user_page::ENABLE, value);
    let expected = match value {
        1 if *started => Control::Unchanged,
        1 if possible => Control::Started,
        1 => Control::Refused,
        0 => Control::Stop,
        _ => Control::Unchanged,
    };
    assert_eq!(control, expected, "{value:#x} with base {base:#x} and geometry {register:#x}");
    let state = |base: u64| State::decode(engine.memory.load((base - BASE) as usize + Geometry::STATE));
    match control {
        Control::Started => {
            assert_eq!(state(base), State::Ready);
            *started = true;
        }
        Control::Refused => {
            let told = base % 8 == 0 && engine.memory.ring(SPACE, Span::new(base, 8));
            assert!(matches!(state(if told { base } else { BASE }), State::Failed(1 | 2)), "a refusal is told");
        }
        Control::Stop => {
            engine.stop();
            if *started {
                *started = false;
            }
        }
        Control::Unchanged => {}
    }
}

fuzz_target!(|input: Input| {
    let config = WarpConfig {
        entries: 2 << (input.config.0 % 8),
        sessions: u16::from(input.config.1 % 40),
        ..WarpConfig::default()
    };
    let mut engine = Engine::new(config, Memory::new(0, 0));
    // No job of this target writes anything. What the engine writes on its own, the memory checks.
    *engine.memory.writable.borrow_mut() = Some(Vec::new());
    let mut started = false;
    for action in input.steps {
        match action {
            Action::Base(Base(value)) => engine.page.store(user_page::RING_BASE, value),
            Action::Geometry(Division(value)) => engine.page.store(user_page::GEOMETRY, value),
            Action::Register(offset, value) => {
                let offset = usize::from(offset);
                match engine.model.doorbell(&engine.page, offset, value) {
                    Doorbell::Control => enable(&mut engine, &config, &mut started, value),
                    Doorbell::Submit | Doorbell::Arm | Doorbell::Room | Doorbell::Plain => {}
                }
            }
            Action::Enable(Enable(value)) => enable(&mut engine, &config, &mut started, value),
            Action::Ring(offset, value) => {
                let offset = (usize::from(offset) % RING) & !7;
                // An opcode that writes would be this target's own doing.
                engine.memory.store(offset, value & !(0xff << 32));
            }
            Action::Descriptor(line, token, phase) => {
                let opcode = Operation::Nop as u8;
                let words = Descriptor { token: token.into(), opcode, ..Descriptor::default() }.encode(phase);
                let at = Geometry::SUBMISSIONS + usize::from(line) % 16 * Descriptor::SIZE;
                words.into_iter().zip((at..).step_by(8)).for_each(|(word, at)| engine.memory.store(at, word));
            }
            Action::Fetch(jobs) => {
                engine.fetch(Budget::new(usize::from(jobs), 100_000));
                assert!(!engine.failed, "ring memory can be read");
            }
            Action::Work(pick) => engine.work(usize::from(pick)),
            Action::Flush => assert!(engine.flush()),
            Action::Signal => {
                engine.signal();
                assert!(!engine.signal(), "what was signalled is signalled once");
            }
            Action::Wakeup(wanted) => engine.want_wakeup(wanted),
            Action::Reset => {
                engine.reset();
                started = false;
            }
        }
    }
});
