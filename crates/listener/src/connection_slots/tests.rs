use super::*;
use crate::exchange::Exchange;
use tokio::time::{sleep, timeout};

const BODY_GRACE: Duration = Duration::from_secs(10);

fn address(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// A slot of a connection with a request in flight.
async fn busy(slots: &Arc<ConnectionSlots>, last: u8) -> (Slot, Exchange) {
    let slot = slots.acquire(address(last)).await.expect("a slot");
    let exchange = slot.exchanges.begin();
    (slot, exchange)
}

async fn is_evicted(slot: &Slot) -> bool {
    timeout(Duration::ZERO, slot.eviction_requested())
        .await
        .is_ok()
}

#[tokio::test(start_paused = true)]
async fn the_one_idle_longest_is_evicted_for_a_new_connection() {
    let slots = ConnectionSlots::new(3, 3, BODY_GRACE);
    let (working, _exchange) = busy(&slots, 1).await;
    let first = slots.acquire(address(1)).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    let second = slots.acquire(address(1)).await.unwrap();
    let new_connection = slots.acquire(address(2));
    let eviction = async {
        first.eviction_requested().await;
        drop(first);
    };
    let (new_connection, ()) = tokio::join!(new_connection, eviction);
    assert!(new_connection.is_some());
    assert!(!is_evicted(&second).await && !is_evicted(&working).await);
}

#[tokio::test(start_paused = true)]
async fn busy_connections_stay_and_the_first_to_be_idle_is_evicted() {
    let slots = ConnectionSlots::new(2, 2, BODY_GRACE);
    let (first, exchange) = busy(&slots, 1).await;
    let (second, _exchange) = busy(&slots, 1).await;
    let mut new_connection = std::pin::pin!(slots.acquire(address(2)));
    assert!(
        timeout(Duration::from_secs(3600), &mut new_connection)
            .await
            .is_err()
    );
    assert!(!is_evicted(&first).await && !is_evicted(&second).await);
    let eviction = async {
        drop(exchange);
        first.eviction_requested().await;
        drop(first);
    };
    let (new_connection, ()) = tokio::join!(new_connection, eviction);
    assert!(new_connection.is_some());
}

#[tokio::test(start_paused = true)]
async fn after_a_declined_eviction_another_is_asked() {
    let slots = ConnectionSlots::new(2, 2, BODY_GRACE);
    let first = slots.acquire(address(1)).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    let second = slots.acquire(address(1)).await.unwrap();
    let new_connection = slots.acquire(address(2));
    let eviction = async {
        first.eviction_requested().await;
        let _exchange = first.exchanges.begin();
        first.decline_eviction();
        second.eviction_requested().await;
        drop(second);
        sleep(Duration::from_secs(1)).await;
    };
    let (new_connection, ()) = tokio::join!(new_connection, eviction);
    assert!(new_connection.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_body_keeps_its_slot_during_its_grace() {
    let slots = ConnectionSlots::new(1, 1, BODY_GRACE);
    let (slow, _exchange) = busy(&slots, 1).await;
    let _body = slow.exchanges.begin_body();
    let began = Instant::now();
    let eviction = async {
        slow.eviction_requested().await;
        drop(slow);
    };
    let (new_connection, ()) = tokio::join!(slots.acquire(address(2)), eviction);
    assert!(new_connection.is_some() && began.elapsed() >= BODY_GRACE);
}

#[tokio::test(start_paused = true)]
async fn an_unsent_response_keeps_its_slot() {
    let slots = ConnectionSlots::new(1, 1, BODY_GRACE);
    let (slow, exchange) = busy(&slots, 1).await;
    slow.exchanges.mark_unsent();
    drop(exchange);
    let mut new_connection = std::pin::pin!(slots.acquire(address(2)));
    assert!(
        timeout(Duration::from_secs(3600), &mut new_connection)
            .await
            .is_err()
    );
    let eviction = async {
        slow.exchanges.mark_sent();
        slow.eviction_requested().await;
        drop(slow);
    };
    let (new_connection, ()) = tokio::join!(new_connection, eviction);
    assert!(new_connection.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_address_holds_so_many_slots_and_others_hold_theirs() {
    let slots = ConnectionSlots::new(10, 2, BODY_GRACE);
    let (_one, _exchange) = busy(&slots, 1).await;
    let waiting = slots.acquire(address(1)).await.unwrap();
    let third = slots.acquire(address(1)).await;
    assert!(third.is_some() && is_evicted(&waiting).await);
    drop(waiting);
    let _exchange = third.as_ref().map(|slot| slot.exchanges.begin());
    assert!(
        slots.acquire(address(1)).await.is_none(),
        "all of its slots are in use"
    );
    assert!(slots.acquire(address(2)).await.is_some());
    drop(third);
    assert!(slots.acquire(address(1)).await.is_some());
}
