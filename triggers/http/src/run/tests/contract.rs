//! The contract that every kind of trigger keeps.

use tripline_trigger::testkit::{Style, Subject, contract};

use super::*;

/// The contract's source: callers.
struct Callers {
    client: Client,
    trigger: Arc<HttpTrigger>,
    /// Calls in flight, which return the status they got.
    calls: tokio::sync::Mutex<(JoinSet<u16>, usize)>,
}

#[async_trait]
impl Subject for Callers {
    type Trigger = HttpTrigger;

    fn style(&self) -> Style {
        Style::Push
    }

    fn trigger(&self) -> Arc<HttpTrigger> {
        Arc::clone(&self.trigger)
    }

    async fn produce(&self, around: &TestContext, count: usize) {
        let (addr, mut server) = serve(around).await;
        let mut calls = self.calls.lock().await;
        // The listener lives as long as the calls do.
        calls.0.spawn(async move {
            server.join_next().await;
            0
        });
        for _ in 0..count {
            let call = self.client.post(format!("http://{addr}/orders/1")).send();
            calls
                .0
                .spawn(async move { call.await.map_or(0, |answer| answer.status().as_u16()) });
        }
    }

    async fn settled(&self, _around: &TestContext) -> usize {
        let mut calls = self.calls.lock().await;
        while let Some(Ok(status)) = calls.0.try_join_next() {
            calls.1 += usize::from(status == 202);
        }
        calls.1
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    contract(async || Callers {
        client: client(),
        trigger: trigger(OPEN),
        calls: tokio::sync::Mutex::default(),
    })
    .await;
}
