//! The trigger, broken on purpose: each test here fails if another test does not notice.

use tripline_skipped::assert_caught;

#[test]
fn sequencer_only() {
    let test =
        "tests::repeats::two_reads_and_a_tag_with_the_sequencer_of_their_object_are_three_events";
    assert_caught("sequencer-only", env!("CARGO_PKG_NAME"), test);
}
