use super::*;

fn entry(key: &'static str, value: &'static str) -> CursorEntry {
    CursorEntry {
        key: Bytes::from_static(key.as_bytes()),
        value: (!value.is_empty()).then(|| Bytes::from_static(value.as_bytes())),
    }
}

#[tokio::test]
async fn notes_are_kept_per_trigger_in_the_order_of_their_keys() {
    let cursors = MemoryCursors::new();
    let (mine, other) = (
        TriggerName::new("mine").unwrap(),
        TriggerName::new("other").unwrap(),
    );
    let notes = vec![entry("b", "2"), entry("a", "1"), entry("c", "3")];
    cursors.put(&mine, notes).await.unwrap();
    cursors.put(&other, vec![entry("a", "9")]).await.unwrap();
    let first = cursors.range(&mine, None, 2).await.unwrap();
    assert_eq!(first, [entry("a", "1"), entry("b", "2")]);
    let rest = cursors.range(&mine, Some(b"b"), 9).await.unwrap();
    assert_eq!(rest, [entry("c", "3")]);
    cursors.put(&mine, vec![entry("a", "")]).await.unwrap();
    assert_eq!(cursors.get(&mine, b"a").await, Ok(None));
    assert_eq!(cursors.get(&other, b"a").await, Ok(Some("9".into())));
}

#[tokio::test]
async fn failures_come_and_go() {
    let cursors = MemoryCursors::new();
    let mine = TriggerName::new("mine").unwrap();
    let failure = CursorError("the disk is full".to_owned());
    cursors.fail(Some(failure.clone()));
    let put = cursors.put(&mine, vec![entry("a", "1")]).await;
    assert_eq!(put, Err(failure));
    cursors.fail(None);
    assert_eq!(cursors.get(&mine, b"a").await, Ok(None));
}
