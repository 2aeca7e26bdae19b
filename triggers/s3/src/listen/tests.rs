use super::*;

#[test]
fn lines_come_whole_however_the_bytes_come() {
    let text = b"{\"Records\":null}\n\n{\"a\":1}\nrest";
    for size in 1..text.len() {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        for chunk in text.chunks(size) {
            lines.buffer.extend_from_slice(chunk);
            while let Some(line) = lines.next() {
                got.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        assert_eq!(got, ["{\"Records\":null}", "", "{\"a\":1}"], "{size}");
        assert_eq!(&lines.buffer[..], b"rest");
    }
}

#[test]
fn waits_grow_to_a_bound_and_differ_between_hubs() {
    for failures in 0..100 {
        let wait = backoff(failures, "hub", "uploads");
        assert!(
            wait >= FIRST_WAIT / 2 && wait <= LONGEST_WAIT,
            "{failures}: {wait:?}"
        );
    }
    assert!(backoff(6, "hub", "uploads") > backoff(2, "hub", "uploads"));
    let waits: std::collections::HashSet<Duration> = (0..20)
        .map(|hub| backoff(3, &hub.to_string(), "uploads"))
        .collect();
    assert!(waits.len() > 10);
}
