use super::*;

/// Batches by their first and last offset; those that cannot be read are marked.
const BATCHES: [(u64, u64, bool); 7] = [
    (0, 4, true),
    (5, 5, false),
    (6, 1_005, false),
    // Offsets may be missing between batches.
    (2_000, 2_000, true),
    (2_001, 2_003, false),
    (2_004, 2_004, true),
    (2_005, 2_015, false),
];

const END: u64 = 2_016;

fn look(offset: u64) -> There {
    let mut batches = BATCHES.iter();
    match batches.find(|(_, last, _)| *last >= offset) {
        Some((_, _, true)) => There::Record,
        Some((first, _, false)) => There::Unreadable(*first),
        None => There::End,
    }
}

#[test]
fn a_batch_ends_where_another_answer_begins() {
    for (batch, inside, end) in [
        (5, 5, 6),
        (6, 6, 1_006),
        (6, 700, 1_006),
        (6, 1_005, 1_006),
        // Between two that cannot be read is one that can.
        (2_001, 2_001, 2_004),
        (2_005, 2_005, END),
        (2_005, 2_015, END),
    ] {
        let mut looks = 0;
        let found = behind(batch, inside, END, |offset| {
            assert!(offset < END, "nobody can be asked for {offset}");
            looks += 1;
            Ok(look(offset))
        });
        // What is missing behind a batch may be taken for its end: there is nothing to miss.
        assert_eq!(found, Ok(end), "{batch} from {inside}");
        assert!(looks <= 20, "{looks} looks");
    }
}

#[test]
fn no_answer_is_no_end() {
    let silent = |_| Err("silent".to_owned());
    assert_eq!(behind(6, 6, END, silent), Err("silent".to_owned()));
    assert!(behind(6, 6, 6, |offset| Ok(look(offset))).is_err());
}

#[test]
fn the_offset_of_a_batch_is_read_from_librdkafka_s_words() {
    for (words, offset) in [
        (
            "Decompression (codec 0x4) of message at 17 of 4830 bytes failed: Local: Invalid compressed data",
            Some(17),
        ),
        (
            "MessageSet at offset 18 (99 bytes) failed CRC32C check (original 0x1 != calculated 0x2)",
            Some(18),
        ),
        (
            "Message at offset 19 (99 bytes) failed CRC32 check (original 0x1 != calculated 0x2)",
            Some(19),
        ),
        ("Message at relative offset 3 (99 bytes) failed", None),
        ("Local: Bad message format", None),
    ] {
        assert_eq!(batch_in(words), offset, "{words}");
    }
}
