use super::*;
use crate::turns::Turn;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(10);

fn address(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// A seat whose application works on a request.
async fn busy(places: &Arc<Places>, last: u8) -> (Seat, Turn) {
    let seat = places.take(address(last)).await.expect("a place");
    let turn = seat.turns.begin();
    (seat, turn)
}

async fn is_asked(seat: &Seat) -> bool {
    timeout(Duration::ZERO, seat.asked_to_leave()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn who_waited_longest_goes_for_a_newcomer() {
    let places = Places::new(3, 3, PATIENCE);
    let (working, _turn) = busy(&places, 1).await;
    let first = places.take(address(1)).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    let second = places.take(address(1)).await.unwrap();
    let newcomer = places.take(address(2));
    let leaving = async {
        first.asked_to_leave().await;
        drop(first);
    };
    let (newcomer, ()) = tokio::join!(newcomer, leaving);
    assert!(newcomer.is_some());
    assert!(!is_asked(&second).await && !is_asked(&working).await);
}

#[tokio::test(start_paused = true)]
async fn who_works_stays_and_the_newcomer_waits_for_the_first_that_does_not() {
    let places = Places::new(2, 2, PATIENCE);
    let (first, turn) = busy(&places, 1).await;
    let (second, _turn) = busy(&places, 1).await;
    let mut newcomer = std::pin::pin!(places.take(address(2)));
    assert!(
        timeout(Duration::from_secs(3600), &mut newcomer)
            .await
            .is_err()
    );
    assert!(!is_asked(&first).await && !is_asked(&second).await);
    let leaving = async {
        drop(turn);
        first.asked_to_leave().await;
        drop(first);
    };
    let (newcomer, ()) = tokio::join!(newcomer, leaving);
    assert!(newcomer.is_some());
}

#[tokio::test(start_paused = true)]
async fn who_cannot_leave_after_all_is_passed_over() {
    let places = Places::new(2, 2, PATIENCE);
    let first = places.take(address(1)).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    let second = places.take(address(1)).await.unwrap();
    let newcomer = places.take(address(2));
    let leaving = async {
        first.asked_to_leave().await;
        let _turn = first.turns.begin();
        first.stays();
        second.asked_to_leave().await;
        drop(second);
        sleep(Duration::from_secs(1)).await;
    };
    let (newcomer, ()) = tokio::join!(newcomer, leaving);
    assert!(newcomer.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_body_keeps_its_place_for_a_while() {
    let places = Places::new(1, 1, PATIENCE);
    let (slow, _turn) = busy(&places, 1).await;
    let _reading = slow.turns.reading();
    let began = Instant::now();
    let leaving = async {
        slow.asked_to_leave().await;
        drop(slow);
    };
    let (newcomer, ()) = tokio::join!(places.take(address(2)), leaving);
    assert!(newcomer.is_some() && began.elapsed() >= PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_sent_keeps_its_place() {
    let places = Places::new(1, 1, PATIENCE);
    let (slow, turn) = busy(&places, 1).await;
    slow.turns.sending();
    drop(turn);
    let mut newcomer = std::pin::pin!(places.take(address(2)));
    assert!(
        timeout(Duration::from_secs(3600), &mut newcomer)
            .await
            .is_err()
    );
    let leaving = async {
        slow.turns.sent();
        slow.asked_to_leave().await;
        drop(slow);
    };
    let (newcomer, ()) = tokio::join!(newcomer, leaving);
    assert!(newcomer.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_address_has_so_many_places_and_others_have_theirs() {
    let places = Places::new(10, 2, PATIENCE);
    let (_one, _turn) = busy(&places, 1).await;
    let waiting = places.take(address(1)).await.unwrap();
    let third = places.take(address(1)).await;
    assert!(third.is_some() && is_asked(&waiting).await);
    drop(waiting);
    let _turn = third.as_ref().map(|seat| seat.turns.begin());
    assert!(
        places.take(address(1)).await.is_none(),
        "it uses all it has"
    );
    assert!(places.take(address(2)).await.is_some());
    drop(third);
    assert!(places.take(address(1)).await.is_some());
}
