use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tripline_journal::{Journal, MemoryJournal, NewInvocation};
use tripline_model::{Event, FunctionName, Identity, InvocationState, ManualClock, Offer};

use super::*;

fn invocation(n: u64, bytes: usize) -> Invocation {
    let at = Timestamp::from_millis(i64::try_from(n).unwrap());
    Invocation {
        request_id: RequestId::new(at, [0; 10]),
        function: FunctionName::new("f").unwrap(),
        trigger: None,
        state: InvocationState::Accepted,
        accepted_at: at,
        started_at: None,
        ending: None,
        data_len: bytes as u64,
        event: Event {
            id: n.to_string(),
            source: "/s".to_owned(),
            kind: "k".to_owned(),
            subject: None,
            time: at,
            content_type: None,
            data: Some(vec![0; bytes].into()),
            extensions: BTreeMap::new(),
        },
    }
}

fn accept(queue: &mut Queue, invocation: Invocation) {
    assert!(queue.reserve(u64::MAX));
    queue.commit(invocation.request_id);
    queue.release();
    let (id, weight) = (invocation.request_id, invocation.event.weight());
    assert!(queue.committed(id, weight, || invocation));
}

#[test]
fn the_window_is_bounded_in_count_and_bytes() {
    for (bytes, most) in [(0, WINDOW_COUNT), (1 << 20, 3), (1 << 23, 1)] {
        let mut queue = Queue::default();
        (0..600).for_each(|n| accept(&mut queue, invocation(n, bytes)));
        assert_eq!((queue.window.len(), queue.queued()), (most, 600));
        assert_eq!(queue.overflow(), 600 - most as u64);
    }
}

fn with_subject(n: u64, bytes: usize) -> Invocation {
    let mut invocation = invocation(n, 0);
    invocation.event.subject = Some("s".repeat(bytes));
    invocation
}

#[test]
fn attributes_take_their_part_of_the_window() {
    let mut queue = Queue::default();
    (0..600).for_each(|n| accept(&mut queue, with_subject(n, 1 << 20)));
    assert_eq!((queue.window.len(), queue.queued()), (3, 600));
}

#[tokio::test]
async fn no_more_is_read_than_the_window_takes() {
    let journal = MemoryJournal::new(Arc::new(ManualClock::at(Timestamp::from_millis(0))));
    let waiting = (0..300).map(|n| {
        let invocation = with_subject(n, 60_000);
        let offer = Arc::new(Offer {
            function: invocation.function,
            trigger: None,
            event: invocation.event,
            identity: Identity::Unique,
            cursors: Vec::new(),
        });
        NewInvocation {
            request_id: invocation.request_id,
            accepted_at: invocation.accepted_at,
            offer,
        }
    });
    journal.accept(waiting.collect()).await.unwrap();
    let mut queue = Queue::with_queued(300);
    let function = FunctionName::new("f").unwrap();
    while queue.overflow() > 0 {
        let (skip, room) = (Arc::new(queue.skip()), queue.room());
        let read = journal.queued(&function, &skip, room).await.unwrap();
        let read = read.invocations;
        let count = read.len();
        assert_eq!(queue.refill(read), count);
        assert!(count > 1, "an event at a time is slow");
        while let Some(next) = queue.pop() {
            journal
                .start(next.request_id, next.accepted_at)
                .await
                .unwrap();
            queue.left(next.request_id);
        }
    }
    assert_eq!(queue.queued(), 0);
}

#[test]
fn places_count_what_is_on_its_way() {
    let mut queue = Queue::with_queued(1);
    assert!(queue.reserve(3) && queue.reserve(3) && !queue.reserve(3));
    queue.release();
    assert!(queue.reserve(3));
}

#[test]
fn what_is_ended_on_its_way_in_does_not_arrive() {
    let mut queue = Queue::default();
    let one = invocation(1, 0);
    queue.commit(one.request_id);
    assert!(!queue.drop_ended(one.request_id));
    assert!(!queue.committed(one.request_id, 0, || one));
    assert_eq!((queue.queued(), queue.pop()), (0, None));
}

#[test]
fn what_is_passed_over_waits_and_nothing_waits_behind_it() {
    let mut queue = Queue::with_queued(1);
    let damaged = invocation(1, 0).request_id;
    queue.pass_over(damaged);
    assert_eq!((queue.queued(), queue.overflow()), (1, 0));
    assert!(queue.skip().contains(&damaged));
    accept(&mut queue, invocation(2, 0));
    assert_eq!(queue.pop(), Some(invocation(2, 0)), "read from memory");
}

#[derive(Debug, Clone)]
enum Act {
    Accept,
    Start,
    PutBack,
    Refill,
    End(prop::sample::Index),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Accept),
        4 => Just(Act::Start),
        1 => Just(Act::PutBack),
        2 => Just(Act::Refill),
        2 => any::<prop::sample::Index>().prop_map(Act::End),
    ]
}

proptest! {
    /// Beside a plain ordered map of what waits: the counts agree, and what is popped is always the oldest.
    #[test]
    fn like_a_plain_list(acts in prop::collection::vec(act(), 1..300)) {
        let (mut queue, mut waiting) = (Queue::default(), BTreeMap::new());
        let mut made = 0;
        for act in acts {
            match act {
                Act::Accept => {
                    made += 1;
                    let new = invocation(made, 1 << 20);
                    waiting.insert(new.request_id, new.clone());
                    accept(&mut queue, new);
                }
                Act::Start => if let Some(next) = queue.pop() {
                    prop_assert_eq!(waiting.first_key_value().unwrap().0, &next.request_id);
                    waiting.remove(&next.request_id);
                    queue.left(next.request_id);
                }
                Act::PutBack => if let Some(next) = queue.pop() {
                    queue.put_back(next);
                }
                Act::Refill => if queue.window.is_empty() {
                    let skip = queue.skip();
                    let oldest = waiting.values().filter(|one| !skip.contains(&one.request_id));
                    queue.refill(oldest.take(2).cloned().collect());
                }
                Act::End(any) => if !waiting.is_empty() {
                    let id = *waiting.keys().nth(any.index(waiting.len())).unwrap();
                    waiting.remove(&id);
                    prop_assert!(queue.drop_ended(id));
                }
            }
            prop_assert_eq!(queue.queued(), waiting.len() as u64);
            prop_assert_eq!(queue.overflow(), (waiting.len() - queue.window.len()) as u64);
            let weight: usize = queue.window.iter().map(|one| one.event.weight()).sum();
            prop_assert_eq!(queue.bytes, weight);
        }
    }
}
