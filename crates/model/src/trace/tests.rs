use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::Timestamp;

const SENDER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn id(number: u8) -> RequestId {
    let mut unique = [number.wrapping_mul(37); 10];
    unique[9] = number;
    RequestId::new(Timestamp::from_millis(1_795_555_058_243), unique)
}

fn event(traceparent: Option<&str>) -> Event {
    let extension = traceparent.map(|text| (TRACEPARENT.to_owned(), text.to_owned()));
    Event {
        id: "e".to_owned(),
        source: "/s".to_owned(),
        kind: "t".to_owned(),
        subject: None,
        time: Timestamp::from_millis(0),
        content_type: None,
        data: None,
        extensions: extension.into_iter().collect::<BTreeMap<_, _>>(),
    }
}

#[test]
fn a_traceparent_is_read_and_written() {
    let read = TraceParent::parse(SENDER).unwrap();
    assert_eq!((read.to_string().as_str(), read.sampled), (SENDER, true));
    let later = SENDER.replace("00-0af", "01-0af") + "-more";
    assert_eq!(TraceParent::parse(&later), Some(read));
    assert!(
        !TraceParent::parse(&SENDER.replace("-01", "-00"))
            .unwrap()
            .sampled
    );
}

#[test]
fn what_is_no_traceparent_is_none() {
    for bad in [
        "",
        "00",
        &SENDER.to_uppercase(),
        &SENDER.replace("00-0af", "ff-0af"),
        &format!("{SENDER}-more"),
        &SENDER.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
        &SENDER.replace("b7ad6b7169203331", &"0".repeat(16)),
        &SENDER.replace("b7ad", "b7a"),
        &SENDER.replace("b7ad", "+7ad"),
        &SENDER.replace("b7ad", "é7a"),
    ] {
        assert_eq!(TraceParent::parse(bad), None, "{bad}");
    }
}

#[test]
fn the_senders_trace_goes_on_and_a_new_one_is_the_request_id() {
    let theirs = InvocationTrace::of(id(1), &event(Some(SENDER)), 0.0);
    let sender = TraceParent::parse(SENDER).unwrap();
    assert_eq!(
        (theirs.trace, theirs.parent),
        (sender.trace, Some(sender.span))
    );
    assert!(theirs.sampled, "the sender's word goes before the share");
    let own = InvocationTrace::of(id(1), &event(Some("nonsense")), 1.0);
    assert_eq!(
        (own.trace, own.parent, own.sampled),
        (*id(1).as_bytes(), None, true)
    );
    assert_eq!(own.for_function().span, own.span(Span::Run));
}

#[test]
fn spans_differ_and_are_never_zero() {
    let mut seen = BTreeSet::new();
    for number in 0..=255 {
        let trace = InvocationTrace::of(id(number), &event(None), 1.0);
        for span in [Span::Invocation, Span::Accept, Span::Wait, Span::Run] {
            let bytes = trace.span(span);
            assert_ne!(bytes, [0; 8]);
            assert!(seen.insert(bytes), "{number} {span:?}");
        }
    }
}

#[test]
fn the_share_is_kept_and_the_choice_is_the_same_every_time() {
    let chosen = |share| {
        let ids = (0..=255).map(id);
        ids.filter(|id| InvocationTrace::of(*id, &event(None), share).sampled)
            .count()
    };
    assert_eq!((chosen(0.0), chosen(1.0)), (0, 256));
    assert!((64..192).contains(&chosen(0.5)), "{}", chosen(0.5));
    assert_eq!(chosen(0.5), chosen(0.5));
}
