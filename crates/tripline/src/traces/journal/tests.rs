use std::collections::BTreeMap;

use tripline_journal::MemoryJournal;
use tripline_model::{End, Identity, ManualClock};

use super::*;

const SENDER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

/// One that is new, whose sender gave this trace.
fn new(unique: u8, traceparent: Option<String>) -> NewInvocation {
    let at = Timestamp::from_millis(0);
    let extensions = traceparent.map(|text| ("traceparent".to_owned(), text));
    NewInvocation {
        request_id: RequestId::new(at, [unique; 10]),
        accepted_at: at,
        offer: Arc::new(Offer {
            function: FunctionName::new("f").expect("a name"),
            trigger: None,
            event: Event {
                id: "1".to_owned(),
                source: "/s".to_owned(),
                kind: "t".to_owned(),
                subject: None,
                time: at,
                content_type: None,
                data: None,
                extensions: BTreeMap::from_iter(extensions),
            },
            identity: Identity::Unique,
            cursors: Vec::new(),
        }),
    }
}

fn traced(inner: &Arc<MemoryJournal>, share: f64) -> (TracedJournal, mpsc::Receiver<Note>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    let (notes, inbox) = mpsc::channel(8);
    let journal = TracedJournal::new(inner.clone(), clock, notes, share);
    (journal, inbox)
}

async fn run(journal: &TracedJournal, id: RequestId) {
    let at = Timestamp::from_millis(1);
    journal.start(id, at).await.expect("it was accepted");
    let ending = Ending::new(End::Succeeded, at, "exit_code");
    journal.finish(id, ending).await.expect("it runs");
}

/// The ids of the notes, each with whether it is that of an end.
fn noted(inbox: &mut mpsc::Receiver<Note>) -> Vec<(RequestId, bool)> {
    let notes = std::iter::from_fn(|| inbox.try_recv().ok());
    notes
        .map(|note| match note {
            Note::Accepted { id, .. } => (id, false),
            Note::Ended(id) => (id, true),
        })
        .collect()
}

#[tokio::test]
async fn only_what_is_recorded_is_noted() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    let inner = Arc::new(MemoryJournal::new(clock));
    let (journal, mut inbox) = traced(&inner, 0.0);
    let (silent, yes) = (new(1, None), new(2, Some(format!("{SENDER}-01"))));
    let ids = [silent.request_id, yes.request_id];
    journal.accept(vec![silent, yes]).await.expect("room");
    for id in ids {
        run(&journal, id).await;
    }
    assert_eq!(noted(&mut inbox), [(ids[1], false), (ids[1], true)]);
    assert!(journal.unrecorded().is_empty());

    let (journal, mut inbox) = traced(&inner, 1.0);
    let (no, chosen) = (new(3, Some(format!("{SENDER}-00"))), new(4, None));
    let ids = [no.request_id, chosen.request_id];
    journal.accept(vec![no, chosen]).await.expect("room");
    for id in ids {
        run(&journal, id).await;
    }
    assert_eq!(noted(&mut inbox), [(ids[1], false), (ids[1], true)]);
}

#[tokio::test]
async fn the_end_of_what_an_earlier_life_accepted_is_noted() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    let inner = Arc::new(MemoryJournal::new(clock));
    let old = new(1, None);
    let id = old.request_id;
    inner.accept(vec![old]).await.expect("room");
    let (journal, mut inbox) = traced(&inner, 0.0);
    run(&journal, id).await;
    assert_eq!(noted(&mut inbox), [(id, true)]);
}
