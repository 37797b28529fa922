//! Windows of the ZIP model: no reference points farther back. The check is another library's decoder that has no more history.

mod zip_hand;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use uaccel_hisi_abi::zip::{Entry, Request, Status, WINDOWS};
use uaccel_sim::Plan;
use zip_hand::{Hand, Stream, device, entry, hands, noise, open};

/// Noise that comes again after some thousand bytes, so that every window has something to miss.
fn far_repeats() -> Vec<u8> {
    [3_600, 7_000, 14_000, 20_000, 30_000].into_iter().flat_map(|period| noise(period).repeat(2)).collect()
}

/// The bytes of the trailer, which the decoder is not to see.
fn trailer(request: Request) -> usize {
    match request {
        Request::Zlib => 4,
        Request::Gzip => 8,
        _ => 0,
    }
}

/// Decodes blocks with a history of so many bytes, a power of two; why not, if it cannot be done.
fn decode(mut blocks: &[u8], history: usize) -> Result<Vec<u8>, TINFLStatus> {
    let (mut engine, mut room, mut at, mut text) = (DecompressorOxide::new(), vec![0; history], 0, Vec::new());
    loop {
        let (status, used, made) = decompress(&mut engine, blocks, &mut room, at, TINFL_FLAG_HAS_MORE_INPUT);
        text.extend_from_slice(&room[at..at + made]);
        blocks = &blocks[used..];
        at = (at + made) % history;
        match status {
            TINFLStatus::Done if blocks.is_empty() => return Ok(text),
            TINFLStatus::HasMoreOutput => {}
            status => return Err(status),
        }
    }
}

/// Blocks of a text, whole and as a stream.
fn compressed(hand: &mut Hand, request: Request, window: u8, text: &[u8]) -> [Vec<u8>; 2] {
    let mut room = vec![0; 2 * text.len()];
    let results = hand.run(&Entry { window, ..entry(request, text, &mut room) });
    room.truncate(results.produced as usize);
    let mut stream = Stream::new(request);
    stream.next.window = window;
    let mut streamed = Vec::new();
    for at in (0..text.len()).step_by(5000) {
        let piece = &text[at..text.len().min(at + 5000)];
        let (results, made) = stream.run(hand, piece, 7000, at + piece.len() == text.len());
        assert_eq!(results.consumed as usize, piece.len());
        streamed.extend_from_slice(&made);
    }
    [room, streamed].map(|mut body| {
        body.truncate(body.len() - trailer(request));
        body
    })
}

#[test]
fn a_decoder_with_no_more_history_than_the_window_is_enough() {
    let [mut compress, _] = hands(&open(&device(Plan::default())));
    let text = far_repeats();
    for request in [Request::Deflate, Request::Zlib, Request::Gzip] {
        for (window, bytes) in (0_u8..).zip(WINDOWS) {
            // There are powers of two for it: 16 KiB are all that the model uses of 24.
            let history = 1 << bytes.ilog2();
            for blocks in compressed(&mut compress, request, window, &text) {
                let back = decode(&blocks, history);
                assert!(back.as_ref() == Ok(&text), "{request:?} {bytes}: {:?}", back.map(|text| text.len()));
            }
            // It would notice a larger one.
            let larger = [1, 2, 4, 4, 4][usize::from(window)];
            for blocks in compressed(&mut compress, request, larger, &text) {
                let smaller = if window == larger { history / 2 } else { history };
                assert_eq!(decode(&blocks, smaller), Err(TINFLStatus::Failed), "{request:?} {bytes}");
            }
        }
    }
}

#[test]
fn the_window_does_not_matter_to_who_decompresses() {
    let [mut compress, mut decompress] = hands(&open(&device(Plan::default())));
    let text = far_repeats();
    let mut stream = vec![0; 2 * text.len()];
    let made = compress.run(&entry(Request::Zlib, &text, &mut stream)).produced as usize;
    let mut back = vec![0; text.len()];
    let results = decompress.run(&Entry { window: 0, ..entry(Request::Zlib, &stream[..made], &mut back) });
    assert_eq!((results.ended.status, results.produced as usize), (Status::StreamEnd as u8, text.len()));
    assert!(back == text);
}
