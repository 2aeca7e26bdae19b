//! Callers: many at once as fast as they are answered, or at an even pace whatever comes back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::Outcome;
use crate::time::micros;

/// Posts `count` events with `callers` at the same time; an answer that is no 2xx is an error.
pub(crate) async fn closed_loop(url: &str, count: u64, callers: usize) -> Outcome<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let left = Arc::new(AtomicU64::new(count));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (client, url, left) = (client.clone(), url.to_owned(), left.clone());
        tasks.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                post(&client, &url, "x".to_owned()).await?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Posts events `0..count`, `rate` a second; gives when each was sent, in microseconds.
pub(crate) async fn even_pace(url: &str, count: u64, rate: u64) -> Outcome<HashMap<u64, u64>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (mut tasks, begin) = (JoinSet::new(), Instant::now());
    for event in 0..count {
        let (client, url) = (client.clone(), url.to_owned());
        sleep_until(begin + Duration::from_micros(event * 1_000_000 / rate)).await;
        tasks.spawn(async move {
            let sent = micros();
            post(&client, &url, event.to_string())
                .await
                .map(|()| (event, sent))
        });
    }
    let mut sent = HashMap::new();
    while let Some(done) = tasks.join_next().await {
        let (event, at) = done??;
        sent.insert(event, at);
    }
    Ok(sent)
}

async fn post(client: &reqwest::Client, url: &str, body: String) -> Result<(), String> {
    let answer = client
        .post(url)
        .body(body)
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    answer.bytes().await.map_err(|error| error.to_string())?;
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("an event was answered {status}"))
    }
}
