use super::*;
use bytes::Bytes;
use tripline_model::{CursorEntry, End, Event, Identity, Timestamp};

use crate::testkit::TestContext;

fn offer(around: &TestContext, identity: Identity) -> Offer {
    let event = Event {
        id: "1".to_owned(),
        source: "/test".to_owned(),
        kind: "test.v1".to_owned(),
        subject: None,
        time: Timestamp::from_millis(0),
        content_type: None,
        data: Some(Bytes::from_static(b"data")),
        extensions: Default::default(),
    };
    around.context().offer(event, identity)
}

fn key(digest: u8) -> Identity {
    Identity::Key {
        key: "order-7".to_owned(),
        window: Duration::from_secs(60),
        digest: Some([digest; 32]),
    }
}

fn at(position: u64) -> Identity {
    let stream = "orders/0".to_owned();
    Identity::Position { stream, position }
}

#[tokio::test]
async fn repeats_are_known_by_their_identity() {
    let around = TestContext::new("orders");
    let hub = around.dispatch();
    let first = hub.try_dispatch(offer(&around, key(1))).await.unwrap();
    let id = first.request_id().unwrap();
    assert_eq!(first, Receipt::New(id));
    let again = hub.try_dispatch(offer(&around, key(1))).await;
    assert_eq!(again, Ok(Receipt::Known(id)));
    let other = hub.try_dispatch(offer(&around, key(2))).await;
    assert_eq!(other, Err(Rejected::KeyReused));
    for (position, is_new) in [(5, true), (5, false), (4, false), (9, true)] {
        let answer = hub
            .try_dispatch(offer(&around, at(position)))
            .await
            .unwrap();
        assert_eq!(answer != Receipt::Past, is_new, "{position}");
    }
    assert_eq!((hub.accepted().len(), hub.offered().len()), (3, 7));
}

#[tokio::test]
async fn what_is_held_back_is_not_accepted() {
    let around = TestContext::new("orders");
    let hub = around.dispatch();
    hub.hold();
    {
        let answer = hub.try_dispatch(offer(&around, at(1)));
        tokio::pin!(answer);
        assert!(futures_util::poll!(answer.as_mut()).is_pending());
        assert_eq!((hub.offered().len(), hub.accepted().len()), (1, 0));
    }
    hub.release();
    assert!(
        hub.accepted().is_empty(),
        "it was given up while it was held back"
    );
    let answer = hub.try_dispatch(offer(&around, at(1))).await.unwrap();
    assert!(matches!(answer, Receipt::New(_)));
}

#[tokio::test]
async fn notes_are_written_with_the_acceptance_only() {
    let around = TestContext::new("orders");
    let hub = around.dispatch();
    let mut noted = offer(&around, key(1));
    noted.cursors.push(CursorEntry {
        key: Bytes::from_static(b"k"),
        value: Some(Bytes::from_static(b"v")),
    });
    hub.reject_next(Rejected::StorageFull);
    assert!(hub.try_dispatch(noted.clone()).await.is_err());
    assert!(around.cursors().all(around.name()).is_empty());
    assert!(hub.try_dispatch(noted.clone()).await.is_ok());
    assert_eq!(
        around.cursors().all(around.name()),
        [("k".into(), "v".into())]
    );
    // A repeat writes its notes, too.
    noted.cursors[0].value = None;
    assert!(matches!(
        hub.try_dispatch(noted).await,
        Ok(Receipt::Known(_))
    ));
    assert!(around.cursors().all(around.name()).is_empty());
}

#[tokio::test]
async fn an_end_is_what_the_test_says() {
    let around = TestContext::new("orders");
    let hub = around.dispatch();
    let id = hub
        .try_dispatch(offer(&around, Identity::Unique))
        .await
        .unwrap();
    let id = id.request_id().unwrap();
    let ended = hub.ended(id);
    tokio::pin!(ended);
    assert!(futures_util::poll!(ended.as_mut()).is_pending());
    hub.end_all(Ending::new(End::Failed, Timestamp::from_millis(1), "any"));
    let ending = Ending::new(End::Succeeded, Timestamp::from_millis(2), "exit_code");
    hub.end(id, ending.clone());
    let invocation = ended.await.unwrap().unwrap();
    assert_eq!(invocation.ending, Some(ending));
    assert_eq!((invocation.event.data, invocation.data_len), (None, 4));
    let other = RequestId::floor(Timestamp::from_millis(0));
    assert_eq!(hub.ended(other).await, Ok(None));
}

#[tokio::test]
async fn unknown_functions_and_wrong_events_are_refused() {
    let around = TestContext::new("orders");
    let mut wrong = offer(&around, Identity::Unique);
    wrong.event.id.clear();
    let answer = around.dispatch().try_dispatch(wrong.clone()).await;
    assert!(matches!(answer, Err(Rejected::Invalid(_))));
    wrong.function = FunctionName::new("other").unwrap();
    let answer = around.dispatch().try_dispatch(wrong).await;
    assert!(matches!(answer, Err(Rejected::UnknownFunction(_))));
}
