use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, sleep};
use tripline_listener::GatewayHandler;
use tripline_trigger::testkit::TestContext;
use tripline_trigger::{Supervisor, Trigger, TriggerContext, TriggerError};

use super::*;

/// What a trigger does when it starts.
#[derive(Clone, Copy)]
enum Start {
    MountsAfter(Duration),
    Fails,
}

/// Its route is `POST /a`.
struct Routed(Start);

struct Silent;

#[async_trait]
impl GatewayHandler for Silent {
    async fn handle(&self, _params: Vec<(String, String)>, _request: Request) -> Response {
        ().into_response()
    }
}

fn route() -> Route {
    "POST /a".parse().expect("a route")
}

impl Trigger for Routed {
    fn routes(&self) -> Vec<Route> {
        vec![route()]
    }

    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        let Start::MountsAfter(span) = self.0 else {
            return Err(TriggerError::new("no source"));
        };
        sleep(span).await;
        let _mount = cx.gateway().mount(&route(), Arc::new(Silent));
        // It never reports that it is ready: a source may need longer than a handler.
        cx.shutdown().cancelled().await;
        Ok(())
    }
}

/// How long the gateway waits for such a trigger, and whether its route has a handler then.
async fn waited(enabled: bool, start: Start) -> (Duration, bool) {
    let around = TestContext::new("door");
    let gateway = around.gateway().clone();
    let triggers = vec![around.supervised(Routed(start), enabled)];
    let wanted = triggers.iter();
    let wanted = wanted.map(|one| (one.name.clone(), one.trigger.routes()));
    let routes = Routes::reserve(&gateway, wanted).expect("one route alone");
    let supervisor = Supervisor::start(triggers, &around.ports());
    let began = Instant::now();
    routes.mounted(&supervisor.triggers()).await;
    (began.elapsed(), gateway.is_mounted(&route()))
}

#[tokio::test(start_paused = true)]
async fn the_gateway_waits_for_handlers_and_for_no_more() {
    let soon = Duration::from_millis(100);
    let (span, is_mounted) = waited(true, Start::MountsAfter(soon)).await;
    assert!(is_mounted && span < soon * 2, "{span:?}");
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_no_trigger_that_mounts_nothing() {
    let late = Duration::from_secs(3600);
    assert_eq!(
        waited(true, Start::MountsAfter(late)).await,
        (MOUNT_TIMEOUT, false)
    );
    for (enabled, start) in [(false, Start::MountsAfter(late)), (true, Start::Fails)] {
        let (span, is_mounted) = waited(enabled, start).await;
        assert!(!is_mounted && span < MOUNT_TIMEOUT, "{span:?}");
    }
}
