//! The options of the plug-in.

use uaccel_qemu::{HisiOptions, Options, OptionsError};
use uaccel_sim::hisi::qm::Vectors;

#[test]
fn options_are_read() {
    let options = Options::parse(["trace=on", "queues=64", "pasid-bits=20", "max-transfer=8M", "workers=3"])
        .expect("all possible");
    assert!(options.trace);
    assert_eq!((options.warp.queues, options.pasid_bits, options.workers), (64, 20, 3));
    assert_eq!(options.warp.max_transfer, 8 << 20);
    assert_eq!(Options::parse(["max-transfer=64K"]).expect("possible").warp.max_transfer, 64 << 10);
    assert_eq!(Options::parse(["max-transfer=5000"]).expect("possible").warp.max_transfer, 5000);
    let hisi = Options::parse(["hisi-queues=8", "hisi-vectors=1", "hisi-error-after=500"]).expect("possible").hisi;
    assert_eq!(hisi, HisiOptions { queues: 8, vectors: Vectors::One, error_after: Some(500) });
    let default = Options::parse([]).expect("nothing is asked for");
    assert_eq!((default.trace, default.warp.queues, default.pasid_bits), (false, 16, 16));
}

#[test]
fn an_option_that_cannot_be_is_refused_with_its_value() {
    for (argument, part) in [
        ("queues=0", "queues=0 is not possible: 1 to 64"),
        ("queues=65", "1 to 64"),
        ("queues", "needs a value"),
        ("pasid-bits=21", "1 to 20"),
        ("workers=-1", "1 to 256"),
        ("trace=yes", "trace=yes is not possible: on or off"),
        ("max-transfer=4G", "4096 to 1024M"),
        ("max-transfer=5000M", "4096 to 1024M"),
        ("max-transfer=M", "4096 to 1024M"),
        ("hisi-queues=65", "1 to 64"),
        ("hisi-vectors=2", "1 or 4"),
        ("hisi-vectors", "needs a value"),
        ("hisi-error-after=0", "1 to"),
        ("speed=9", "there is no option `speed`"),
    ] {
        let error = Options::parse([argument]).expect_err(argument).to_string();
        assert!(error.contains(part), "{argument}: {error}");
    }
    assert_eq!(Options::parse(["x=1"]), Err(OptionsError::Unknown("x".to_owned())));
}
