//! Golden bytes, from the kernel's and UADK's structures, and what goes in comes out.

use proptest::prelude::*;
use uaccel_hisi_abi::zip::{
    Buffers, Carried, Ended, Entry, EntryError, Flow, ListEntry, ListHead, Request, Results, Status, stream,
};
use uaccel_hisi_abi::{
    AsyncEvent, AsyncKind, CompletionContext, Description, Doorbell, DoorbellCommand, Dus, Event, EventContext,
    Mailbox, MailboxCommand, MailboxOperation, QueueCompletion, StopWords, SubmissionContext, Truncated, VftQueues,
};

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Bytes that are all 0 but for these.
fn with(len: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, field) in fields {
        bytes[*at..*at + field.len()].copy_from_slice(field);
    }
    bytes
}

#[test]
fn an_entry() {
    let mut entry = Entry::whole(Request::Deflate, 0x1111_2222_3333_4444, 0x1000, 0x5555_6666_7777_8888, 0x2000);
    entry.tag = 0x8000_1003;
    let expected = with(
        128,
        &[
            (0x10, &[0, 0x10]),
            (0x1f, &[0x3a]),
            (0x24, &[0x01, 0x40]),
            (0x38, &[0, 0x20]),
            (0x48, &[0x44, 0x44, 0x33, 0x33, 0x22, 0x22, 0x11, 0x11]),
            (0x50, &[0x88, 0x88, 0x77, 0x77, 0x66, 0x66, 0x55, 0x55]),
            (0x68, &[0x03, 0x10, 0, 0x80]),
        ],
    );
    assert_eq!(bytes(&entry.encode()), expected);
    assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
}

#[test]
fn an_entry_of_a_stream_with_lists() {
    let entry = Entry {
        request: Request::Gzip,
        buffers: Buffers::Listed { source_skip: 0x03_0201, destination_skip: 0x06_0504 },
        window: 2,
        flow: Flow { finish: false, stateful: true, new_stream: false },
        source: 1,
        source_len: 2,
        destination: 3,
        destination_len: 4,
        context: 0x0807_0605_0403_0201,
        context_words: [0x13, 0x14, 0x15],
        running_len: 0x16,
        checksum: 0x1a19_1817,
        tag: 7,
    };
    let expected = with(
        128,
        &[
            (0x10, &[2]),
            (0x1c, &[1, 2, 3, 0x34]),
            (0x20, &[4, 5, 6]),
            (0x24, &[3, 0x21]),
            (0x38, &[4]),
            (0x3c, &[0x13]),
            (0x48, &[1]),
            (0x50, &[3]),
            (0x58, &[1, 2, 3, 4, 5, 6, 7, 8]),
            (0x68, &[7]),
            (0x70, &[0x14]),
            (0x74, &[0x15]),
            (0x78, &[0x16]),
            (0x7c, &[0x17, 0x18, 0x19, 0x1a]),
        ],
    );
    assert_eq!(bytes(&entry.encode()), expected);
    assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
}

#[test]
fn entries_that_make_no_sense() {
    let words = Entry::whole(Request::Zlib, 0, 0, 0, 0).encode();
    let changed = |word: usize, clear: u64, set: u64| {
        let mut words = words;
        words[word] = words[word] & !clear | set;
        Entry::decode(&words)
    };
    assert_eq!(changed(3, 0xf << 60, 0), Err(EntryError::Type(0)));
    assert_eq!(changed(4, 0xff << 32, 9 << 32), Err(EntryError::Request(9)));
    assert_eq!(changed(4, 0, 2 << 40), Err(EntryError::Buffers(2)));
    assert_eq!(changed(4, 0, 5 << 44), Err(EntryError::Window(5)));
}

#[test]
fn results() {
    let results = Results { consumed: 0x0302_0100, produced: 0x0706_0504, ended: Ended::new(Status::StreamEnd, true) };
    assert_eq!(bytes(&results.encode()), [0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 0x13, 1, 0, 0]);
    assert_eq!(Results::decode(results.encode()), results);
    for raw in 0..=u8::MAX {
        assert!(Status::from_raw(raw).is_none_or(|status| status as u8 == raw));
        assert!(Request::from_raw(raw).is_none_or(|request| request as u8 == raw));
    }
}

#[test]
fn doorbells() {
    let ring = |command, index, priority| Doorbell { queue: 0x2a, command, index, priority }.encode();
    assert_eq!(ring(DoorbellCommand::Submission, 1, 0), 0x0000_0001_0000_002a);
    assert_eq!(ring(DoorbellCommand::Completion, 2, Doorbell::ARM), 0x0001_0002_0000_102a);
    assert_eq!(ring(DoorbellCommand::AsyncEvent, 0xffff, 0), 0x0000_ffff_0000_302a);
    assert_eq!(Doorbell::decode(0x4000), None);
}

#[test]
fn completions() {
    let completion = QueueCompletion { entry: 0x0908, queue: 0x0b0a, phase: true };
    assert_eq!(bytes(&completion.encode()), [0, 0, 0, 0, 0, 0, 0, 0, 8, 9, 10, 11, 0, 0, 1, 0]);
    assert_eq!(QueueCompletion::decode(completion.encode()[1]), completion);
}

#[test]
fn the_shared_memory_is_as_long_as_the_kernel_says() {
    let dus = Dus { entry: 128, submissions: 1024, completions: 1024 };
    assert_eq!((dus.submission(1), dus.completion(0), dus.completion(1)), (128, 131_072, 131_088));
    // `region_dus_size` of `/dev/hisi_zip-0` with pages of 4 KiB, and with pages of 64 KiB.
    assert_eq!((dus.size(4096), dus.size(65_536)), (151_552, 262_144));
}

#[test]
fn stop_words() {
    assert_eq!(StopWords { transmit: true, receive: false }.encode().to_le_bytes(), [0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(StopWords { transmit: false, receive: true }.encode().to_le_bytes(), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(StopWords::decode(2), StopWords { transmit: false, receive: true });
}

#[test]
fn a_description() {
    let description = Description {
        dus: Dus { entry: 0x0302_0100, submissions: 0x0504, completions: 0x0706 },
        queue: 0x1110,
        kind: 0x1312,
    };
    let expected = with(24, &[(0, &[0, 1, 2, 3, 4, 5, 6, 7]), (16, &[0x10, 0x11, 0x12, 0x13])]);
    assert_eq!(description.encode().to_vec(), expected);
    assert_eq!(Description::decode(&expected), Ok(description));
    assert_eq!(Description::decode(&expected[..23]), Err(Truncated(23)));
}

#[test]
fn a_submission_context() {
    let context = SubmissionContext {
        head: 0x0100,
        tail: 0x0302,
        base: 0x0b0a_0908_0706_0504,
        depth: 1024,
        entry_shift: 7,
        pasid: Some(0x1514),
        completions: 0x1918,
        kind: 1,
    };
    let expected = with(
        32,
        &[
            (0, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
            (0x0c, &[0xff, 0x73]),
            (0x14, &[0x14, 0x15, 0x80, 0]),
            (0x18, &[0x18, 0x19, 0x10, 0x01]),
        ],
    );
    assert_eq!(context.encode().to_vec(), expected);
    assert_eq!(SubmissionContext::decode(&context.encode()), context);
    assert_eq!(context.encode_in_round(false), context.encode());
    assert_eq!(context.encode_in_round(true)[0x14..0x18], [0x14, 0x15, 0xc0, 0]);
}

#[test]
fn a_completion_context() {
    let context = CompletionContext {
        head: 0x0100,
        tail: 0x0302,
        base: 0x0b0a_0908_0706_0504,
        depth: 1024,
        pasid: Some(1),
        phase: true,
        armed: true,
    };
    let expected = with(
        32,
        &[(0, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), (0x0c, &[0xff, 0x43]), (0x14, &[1, 0, 1, 0]), (0x18, &[3])],
    );
    assert_eq!(context.encode().to_vec(), expected);
    assert_eq!(CompletionContext::decode(&context.encode()), context);
    assert_eq!(context.encode_in_round(true)[0x14..0x18], [1, 0, 0x41, 0]);
}

#[test]
fn a_context_of_events() {
    let context = EventContext { head: 0, tail: 0, base: 0x0b0a_0908_0706_0504, depth: 2048, phase: true };
    let expected = with(28, &[(4, &[4, 5, 6, 7, 8, 9, 10, 11]), (0x18, &[0xff, 0x07, 1])]);
    assert_eq!(context.encode().to_vec(), expected);
    assert_eq!(EventContext::decode(&context.encode()), context);
}

#[test]
fn events() {
    assert_eq!(Event { completions: 0x0201, phase: true }.encode().to_le_bytes(), [1, 2, 1, 0]);
    let event = AsyncEvent { queue: 3, phase: true, kind: AsyncKind::CompletionError };
    assert_eq!(event.encode().to_le_bytes(), [3, 0, 5, 0]);
}

#[test]
fn mailboxes() {
    let mailbox = Mailbox {
        number: MailboxCommand::StopQueue as u8,
        operation: MailboxOperation::Read,
        queue: 0x0302,
        address: 0x0b0a_0908_0706_0504,
        busy: true,
        status: 1,
    };
    let words = mailbox.encode();
    let expected = [0x08, 0x62, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 0, 0];
    assert_eq!(words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>(), expected);
    assert_eq!(Mailbox::decode(words), mailbox);
    assert_eq!(mailbox.command(), Some(MailboxCommand::StopQueue));
    for number in 0..=u8::MAX {
        let known = Mailbox { number, ..mailbox }.command();
        assert!(known.is_none_or(|command| command as u8 == number));
    }
}

#[test]
fn the_table_of_functions() {
    // Seen from the kernel's driver: queues 0 to 63.
    assert_eq!(VftQueues::decode(0x0007_f000_0000_0000), Some(VftQueues { first: 0, count: 64 }));
    assert_eq!(VftQueues::encode(Some(VftQueues { first: 0, count: 64 })), 0x0007_f000_0000_0000);
    assert_eq!((VftQueues::decode(0), VftQueues::encode(None)), (None, 0));
}

#[test]
fn lists() {
    let head = ListHead { next: 0x0706_0504_0302_0100, chain: 0x0908, entries: 0x0b0a, room: 0x0d0c };
    let expected: Vec<u8> = (0..14).chain([0; 50]).collect();
    assert_eq!(head.encode().to_vec(), expected);
    assert_eq!(ListHead::decode(&head.encode()), head);
    let entry = ListEntry { address: 0x0706_0504_0302_0100, len: 0x1312_1110 };
    let expected = with(32, &[(0, &[0, 1, 2, 3, 4, 5, 6, 7]), (0x10, &[0x10, 0x11, 0x12, 0x13])]);
    assert_eq!(entry.encode().to_vec(), expected);
    assert_eq!(ListEntry::decode(&entry.encode()), entry);
}

proptest! {
    #[test]
    fn any_words_are_an_entry_or_none(words: [u64; Entry::WORDS]) {
        if let Ok(entry) = Entry::decode(&words) {
            prop_assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }
    }

    #[test]
    fn any_bytes_are_contexts(submission: [u8; 32], completion: [u8; 32], event: [u8; 28]) {
        let context = SubmissionContext::decode(&submission);
        prop_assert_eq!(SubmissionContext::decode(&context.encode()).base, context.base);
        let context = CompletionContext::decode(&completion);
        prop_assert_eq!(CompletionContext::decode(&context.encode()).base, context.base);
        let context = EventContext::decode(&event);
        prop_assert_eq!(EventContext::decode(&context.encode()), context);
    }

    #[test]
    fn any_value_is_a_doorbell_or_none(value: u64) {
        if let Some(doorbell) = Doorbell::decode(value) {
            prop_assert_eq!(Doorbell::decode(doorbell.encode()), Some(doorbell));
        }
    }
}

#[test]
fn what_a_stream_carries_stands_where_the_host_put_it() {
    let carried = Carried { context_words: [1, 2, 3], running_len: 4, checksum: 5 };
    let entry = Entry {
        context_words: [1, 2, 3],
        running_len: 4,
        checksum: 5,
        ..Entry::whole(Request::Gzip, 0x1000, 10, 0x2000, 20)
    };
    let words = entry.encode();
    for (at, word) in carried.encode(20) {
        assert_eq!(words[at], word, "word {at}");
    }
    assert_eq!(Carried::decode(Carried::WORDS.map(|at| words[at])), carried);
    let progress = stream::Progress { halt: stream::Halt::Block, last_block: true, bits: 13 };
    assert_eq!(progress.encode(), 2 | 1 << 7 | 13 << 10);
    assert_eq!(stream::Halt::decode(progress.encode()), Some(stream::Halt::Block));
    assert_eq!((stream::Halt::decode(0), stream::Halt::decode(4)), (Some(stream::Halt::Input), None));
    // The CRC-32 of "123456789", and of nothing.
    assert_eq!(stream::gzip_crc(stream::gzip_register(0xcbf4_3926)), 0xcbf4_3926);
    assert_eq!(stream::gzip_register(0), u32::MAX);
}
