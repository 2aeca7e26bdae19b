//! The gateway's routes: all are reserved before it serves anything, and nearly always have their handlers, too.

use std::time::Duration;

use tripline_listener::{Gateway, Route, RouteRefused};
use tripline_model::TriggerName;
use tripline_trigger::{TriggerState, Triggers};

/// How long the gateway waits for triggers that are starting. Connections wait with it, and some object stores hang up
/// after three seconds.
const MOUNT_TIMEOUT: Duration = Duration::from_secs(1);

/// Every route of every trigger.
pub(super) struct Routes {
    gateway: Gateway,
    routes: Vec<(TriggerName, Route)>,
}

// === impl Routes ===

impl Routes {
    /// Reserves the routes of all triggers, also of those that do not run: their events must not reach another route.
    pub(super) fn reserve(
        gateway: &Gateway,
        triggers: impl IntoIterator<Item = (TriggerName, Vec<Route>)>,
    ) -> Result<Self, RouteRefused> {
        let each = triggers.into_iter().flat_map(|(name, wanted)| {
            let wanted = wanted.into_iter();
            wanted.map(move |route| (name.clone(), route))
        });
        let routes: Vec<(TriggerName, Route)> = each.collect();
        let wanted: Vec<Route> = routes.iter().map(|(_, route)| route.clone()).collect();
        match gateway.reserve_all(&wanted).into_iter().next() {
            Some((_, refused)) => Err(refused),
            None => Ok(Self {
                gateway: gateway.clone(),
                routes,
            }),
        }
    }

    /// Waits, for a moment at most, until triggers that are starting have mounted their handlers: a sender that tries
    /// only once must not be refused just because it was faster.
    pub(super) async fn mounted(&self, triggers: &Triggers) {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        let all_there = async {
            loop {
                look.tick().await;
                if !self.some_are_missing(triggers) {
                    return;
                }
            }
        };
        if tokio::time::timeout(MOUNT_TIMEOUT, all_there)
            .await
            .is_err()
        {
            tracing::warn!("the gateway serves while some of its triggers are still starting");
        }
    }

    fn some_are_missing(&self, triggers: &Triggers) -> bool {
        let is_starting = |name: &TriggerName| {
            let status = triggers.get(name);
            status.is_some_and(|status| status.state == TriggerState::Starting)
        };
        let mut routes = self.routes.iter();
        routes.any(|(name, route)| !self.gateway.is_mounted(route) && is_starting(name))
    }
}

#[cfg(test)]
mod tests;
