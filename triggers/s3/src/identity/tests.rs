use super::*;
use crate::dialect::Ingress;
use crate::record::parse;
use crate::tests::fixtures::webhook_bodies;

fn versitygw(at: usize) -> Notification {
    let body = webhook_bodies("versitygw")[at].clone();
    parse(body.as_bytes(), Ingress::Webhook, None)
        .unwrap()
        .notifications
        .remove(0)
}

fn seen(etag: &str, at: i64, listed: bool) -> Sighting {
    Sighting {
        etag: etag.to_owned(),
        at,
        noted: 0,
        listed,
        claimed_by: None,
    }
}

#[test]
fn names_cannot_run_into_each_other() {
    let state = |key: &str, etag: &str| ObjectState {
        key: key.to_owned(),
        version_id: None,
        etag: etag.to_owned(),
        modified: Timestamp::from_millis(5),
    };
    assert_ne!(
        state("a\",\"b", "c").identity("x"),
        state("a", "b\",\"c").identity("x")
    );
    assert_ne!(state("a", "b").identity("x"), state("a", "b").identity("y"));
    let version = ObjectState {
        version_id: Some("b".to_owned()),
        ..state("a", "b")
    };
    assert_ne!(version.identity("x"), state("a", "b").identity("x"));
    assert_eq!(readable("x").len(), 32);
}

#[test]
fn a_note_is_about_a_state_of_the_same_write_or_upload() {
    let listed = ObjectState {
        key: "k".to_owned(),
        version_id: None,
        etag: "e".to_owned(),
        modified: Timestamp::from_millis(1_000_000_000),
    };
    let about = |etag: &str, lead: i64| seen(etag, 1_000_000_000 + lead, false).notes(&listed);
    assert!(about("e", 0) && about("e", -2_000) && about("e", 3_600_000));
    assert!(!about("f", 0), "other bytes");
    assert!(
        !about("e", -2_001),
        "the object was put again after the notification"
    );
}

#[test]
fn a_listed_state_is_claimed_once() {
    let (one, two) = (versitygw(1), versitygw(2));
    let at = one.time.as_millis();
    let near = seen(&one.etag, at + 2_000, true);
    assert!(near.is_claimed_by(&one));
    assert!(
        !seen(&one.etag, at + 2_001, true).is_claimed_by(&one),
        "another write"
    );
    assert!(
        !seen(&one.etag, at, false).is_claimed_by(&one),
        "not found by listing"
    );
    assert!(!seen("other", at, true).is_claimed_by(&one), "other bytes");
    let claimed = Sighting {
        claimed_by: Some(tag_of(&one)),
        ..near
    };
    assert!(claimed.is_claimed_by(&one), "sent again");
    assert!(
        !claimed.is_claimed_by(&two),
        "the same bytes, put again in the same second"
    );
}

#[test]
fn sightings_survive_their_text() {
    let claimed = Sighting {
        claimed_by: Some("t".to_owned()),
        ..seen("e", 7, true)
    };
    for one in [seen("e", 7, false), claimed] {
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(
            serde_json::from_str::<Sighting>(&text).unwrap(),
            one,
            "{text}"
        );
    }
}
