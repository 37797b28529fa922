//! The line that instantiates the suite.

/// Makes a module with one `#[test]` for each point of the suite, on the back end that the expression gives.
#[macro_export]
macro_rules! conformance {
    ($module:ident, $backend:expr) => {
        mod $module {
            #[allow(unused_imports, reason = "the expression may name anything from outside")]
            use super::*;

            $crate::conformance! { @tests $backend;
                grants { grants_what_was_asked, refuses_impossible_depths }
                plain { nop, copy, copy_onto_itself, fill, compare, crc32, crc32c, checksums_continue, every_alignment }
                compression { decompresses_published_streams, decompresses_other_encoders, compresses_for_other_decoders,
                    reports_small_rooms, reports_broken_streams }
                aead { seals_published_vectors, opens_published_vectors, opens_what_it_sealed, refuses_altered_texts,
                    reports_small_cipher_rooms }
                ciphers { encrypts_published_vectors, decrypts_published_vectors, agrees_with_the_textbook,
                    transforms_in_place, refuses_text_lengths, respects_text_rooms }
                digests { published_digests, long_digests }
                sessions { reopened_sessions_have_the_new_key, closed_sessions_are_refused, wrong_operation_is_refused,
                    unknown_algorithms_are_refused, numbers_beyond_the_grant_are_refused, many_sessions }
                lengths { zero_lengths, nothing_beyond_the_room, uninitialised_rooms, leftovers_are_not_read,
                    impossible_lengths_are_refused, jobs_beyond_the_limit_are_refused }
                flow { full_batches, full_queue_recovers, thousands_of_jobs, answers_come_once, answers_wait_for_room,
                    order_is_kept_if_granted, queues_are_apart }
                threads { halves_on_two_threads }
                waiting { signals_wake_sleepers, signals_before_sleep_are_kept, descriptors_wake_pollers,
                    descriptors_wake_pollers_after_sleeps, empty_sleeps_end }
                scatter { compresses_pieces, decompresses_pieces, reports_small_rooms_in_pieces }
                streams { compresses_streams, decompresses_streams, streams_end_in_little_room, empty_streams, streams_keep_apart,
                    rewound_streams_repeat, broken_streams_are_told, what_is_behind_a_stream_is_left,
                    states_count_for_nothing_at_the_beginning, impossible_jobs_of_streams_are_refused }
                faults { missing_sources, missing_destinations, protected_destinations, faults_half_way, neighbours_of_faults }
                stopping { canceled_jobs_complete, stop_is_quiet, reset_starts_afresh, dropped_halves_do_no_harm }
            }
        }
    };
    (@tests $backend:expr; $($group:ident { $($test:ident),+ $(,)? })+) => {
        $($(
            #[test]
            fn $test() {
                $crate::suite::$group::$test(&$backend);
            }
        )+)+
    };
}
