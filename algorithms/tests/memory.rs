//! Copies, fills and comparisons of any length.

mod support;

use support::{SMALL, limited, noise, simulator, small, software};
use uaccel_algorithms::{Error, Memory};
use uaccel_runtime::{Fallback, Operation, Runtime};

const LENGTHS: [usize; 8] = [0, 1, 7, 4096, SMALL - 1, SMALL, SMALL + 1, 40 * SMALL + 5];

fn runtimes() -> impl Iterator<Item = Runtime> {
    // The last two: a queue that is shorter than the number of pieces, and pieces that are no multiple of the pattern.
    [software(), simulator(), small(), small().depth(4), limited(5003)]
        .into_iter()
        .map(|builder| builder.fallback(Fallback::Never).build().unwrap())
}

#[test]
fn copies() {
    for runtime in runtimes() {
        let memory = Memory::new(&runtime);
        for len in LENGTHS {
            let source = noise(len, 1);
            let mut destination = vec![0x5a; len + 3];
            memory.copy(&source, &mut destination).unwrap();
            assert_eq!(destination[..len], source);
            assert_eq!(destination[len..], [0x5a; 3]);
            if len != 0 {
                let error = memory.copy(&source, &mut destination[..len - 1]).unwrap_err();
                assert!(matches!(error, Error::OutputTooSmall { operation: Operation::Copy, .. }), "{error}");
            }
        }
    }
}

#[test]
fn fills() {
    let pattern = u64::from_le_bytes(*b"abcdefgh");
    for runtime in runtimes() {
        let memory = Memory::new(&runtime);
        for len in LENGTHS {
            let mut destination = vec![0; len];
            memory.fill(&mut destination, pattern).unwrap();
            let expected: Vec<u8> = b"abcdefgh".iter().copied().cycle().take(len).collect();
            assert!(destination == expected, "{len} bytes on {}", runtime.device());
        }
    }
}

#[test]
fn finds_the_first_difference() {
    for runtime in runtimes() {
        let memory = Memory::new(&runtime);
        for len in LENGTHS {
            let a = noise(len, 2);
            assert_eq!(memory.difference(&a, &a.clone()).unwrap(), None);
            for at in [0, len / 2, len.saturating_sub(1)].into_iter().filter(|at| *at < len) {
                let mut b = a.clone();
                b[at] ^= 1;
                b[len - 1] ^= 2;
                assert_eq!(memory.difference(&a, &b).unwrap(), Some(at), "{len} bytes on {}", runtime.device());
            }
        }
        let error = memory.difference(&[0; SMALL + 1], &[0; SMALL + 2]).unwrap_err();
        assert!(matches!(error, Error::InvalidInput { operation: Operation::Compare, .. }), "{error}");
    }
}
