//! Waiting for a condition instead of sleeping.

use std::time::Duration;

/// Asks `probe` until it gives a value; fails the test after 60 s, naming `what` was waited for.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(60), what, probe).await
}

/// The same with another deadline.
///
/// # Panics
/// The condition did not come true in time.
pub async fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let mut again = tokio::time::interval(Duration::from_millis(25));
    let asking = async {
        loop {
            again.tick().await;
            if let Some(found) = probe().await {
                return found;
            }
        }
    };
    match tokio::time::timeout(limit, asking).await {
        Ok(found) => found,
        Err(_) => panic!("waited {limit:?} in vain: {what}"),
    }
}

/// Lets time go by where there is nothing to wait for: something has to become old, or must not happen meanwhile. `why` says
/// which; it is printed.
pub async fn time_goes_by(span: Duration, why: &str) {
    println!("{span:?} go by: {why}");
    tokio::time::sleep(span).await;
}
