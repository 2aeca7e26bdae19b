//! What is told once, and how much may wait.

use bytes::Bytes;
use tripline_model::{LogStream, Timestamp};

use super::{outcome, soon};
use crate::client::inbox::{Inbox, SEND_WINDOW};
use crate::client::{NumberedLine, RunEvent};

fn lines(numbers: std::ops::RangeInclusive<u64>) -> RunEvent {
    let line = |number| NumberedLine {
        number,
        at: Timestamp::from_millis(1),
        stream: LogStream::Stdout,
        text: Bytes::from(number.to_string()),
        complete: true,
    };
    RunEvent::Lines(numbers.map(line).collect())
}

fn ended(reclaimed: bool) -> RunEvent {
    RunEvent::Ended {
        outcome: outcome(),
        result: Bytes::from_static(b"r"),
        reclaimed,
    }
}

#[tokio::test]
async fn what_is_said_again_is_told_once() {
    let inbox = Inbox::claimed();
    for event in [lines(1..=3), lines(4..=5)] {
        inbox.put(event).unwrap();
    }
    assert_eq!(soon(inbox.next()).await, lines(1..=3));

    // Line 1 is kept, so the executor starts over at 2, in other pieces.
    inbox.rewind();
    for event in [lines(2..=4), lines(5..=6), ended(false)] {
        inbox.put(event).unwrap();
    }
    assert_eq!(soon(inbox.next()).await, lines(4..=4));
    assert_eq!(soon(inbox.next()).await, lines(5..=6));
    assert_eq!(soon(inbox.next()).await, ended(false));

    inbox.rewind();
    inbox.put(ended(true)).unwrap();
    inbox.put(RunEvent::Reclaimed).unwrap();
    inbox.lose("over", true);
    assert_eq!(soon(inbox.next()).await, RunEvent::Reclaimed);
    let lost = RunEvent::Lost {
        why: "over".to_owned(),
        reclaimed: true,
    };
    assert_eq!(soon(inbox.next()).await, lost);
}

#[tokio::test]
async fn the_whole_story_fits_and_no_more() {
    let inbox = Inbox::claimed();
    for number in 1..=SEND_WINDOW as u64 {
        inbox.put(lines(number..=number)).unwrap();
    }
    inbox.put(ended(false)).unwrap();
    inbox.put(RunEvent::Reclaimed).unwrap();
    inbox.put(lines(40..=40)).unwrap();
    assert!(inbox.put(lines(41..=41)).is_err());
}

#[tokio::test]
async fn it_belongs_to_one_at_a_time() {
    let inbox = Inbox::unclaimed();
    inbox.put(lines(1..=1)).unwrap();
    assert!(inbox.claim(4));
    assert!(!inbox.claim(4));
    inbox.put(lines(3..=5)).unwrap();
    assert_eq!(soon(inbox.next()).await, lines(5..=5));
    inbox.leave();
    assert!(inbox.claim(5));
}
