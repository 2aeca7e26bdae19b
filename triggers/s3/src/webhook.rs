//! The receiver on the gateway. 2xx means that everything in the POST is on disk, or can never be accepted: a store
//! with a queue sends the same thing for ever until it gets 2xx, and holds up all that comes after it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tripline_listener::{
    Acceptance, Bearer, GatewayHandler, Problem, read_body, refuse_content_encoding,
};
use tripline_model::contain;

use crate::dialect::Ingress;
use crate::intake::{Intake, Manner};
use crate::record::parse;

/// S3 notifications have at most 64 KiB; forwarders put some together.
const MAX_BODY_BYTES: usize = 1024 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Stores give up after some seconds; until then an answer must be there.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// POSTs that are taken at the same time: more would only wait for the journal.
pub(crate) const MAX_TAKING: usize = 64;
const A_MOMENT: Duration = Duration::from_secs(1);

/// Answers POSTs of notifications.
pub(crate) struct Receiver {
    pub(crate) intake: Arc<Intake>,
    /// `None`: everybody may send.
    pub(crate) bearer: Option<Bearer>,
    /// Places for POSTs that are being taken, also those whose senders were asked to come again.
    pub(crate) taking: Arc<Semaphore>,
}

#[async_trait]
impl GatewayHandler for Receiver {
    async fn handle(&self, _params: Vec<(String, String)>, request: Request) -> Response {
        match self.receive(request).await {
            Ok(()) => StatusCode::OK.into_response(),
            Err(problem) => problem.into_response(),
        }
    }
}

// === impl Receiver ===

impl Receiver {
    async fn receive(&self, request: Request) -> Result<(), Problem> {
        if let Some(bearer) = &self.bearer
            && let Err(error) = bearer.authenticate(request.headers(), request.extensions())
        {
            let title = "a bearer token is needed, and this is not the one";
            let mut problem = error.problem(title, "");
            // Also for a blocked address: a status that a store does not expect may hold up everything behind it, and
            // every store expects this one.
            problem.status = StatusCode::UNAUTHORIZED;
            return Err(problem.accepted(Acceptance::No));
        }
        let (parts, body) = request.into_parts();
        refuse_content_encoding(&parts.headers)?;
        // Its share of the memory for bodies is given back when everything is on disk.
        let (body, share) = match read_body(&parts, body, MAX_BODY_BYTES, BODY_WITHIN).await {
            Err(problem) if problem.status == StatusCode::PAYLOAD_TOO_LARGE => {
                self.skip(&format!("it has more than {MAX_BODY_BYTES} bytes"));
                return Ok(());
            }
            read => read?,
        };
        let message = match parse(&body, Ingress::Webhook, self.intake.config.dialect) {
            Ok(message) => message,
            Err(why) => {
                self.skip(&why);
                return Ok(());
            }
        };
        for why in &message.skipped {
            self.skip(why);
        }
        let until = Instant::now() + TAKEN_WITHIN;
        // Before a place is taken: repeats that wait for an object would leave none to those that could be taken.
        let holding = self.intake.hold(&message.notifications);
        let holding = self.intake.cx.shutdown().run_until_cancelled(holding);
        let held = match timeout_at(until, holding).await {
            Ok(Some(held)) => held,
            Ok(None) => return Err(come_again("the trigger is stopping", A_MOMENT)),
            Err(_) => return Err(come_again("the same objects are being taken", A_MOMENT)),
        };
        let Ok(place) = Arc::clone(&self.taking).try_acquire_owned() else {
            return Err(come_again("the journal is slow", A_MOMENT));
        };
        // A task, for a sender that hangs up or is asked to come again stops no commit: until that is over, its objects
        // stay held, or a listing would take them for new.
        let intake = Arc::clone(&self.intake);
        let taking = self.intake.cx.tasks().spawn(async move {
            let _held = (share, place, held);
            let taking = intake.take_held(&message.notifications, Manner::Push);
            let taking = pin!(intake.cx.shutdown().run_until_cancelled(taking));
            contain(taking).await
        });
        match timeout_at(until, taking).await {
            Ok(Ok(Ok(Some(Ok(()))))) => Ok(()),
            Ok(Ok(Ok(Some(Err(not_taken))))) => {
                Err(come_again(&not_taken.to_string(), not_taken.retry_after()))
            }
            Ok(Ok(Ok(None))) => Err(come_again("the trigger is stopping", A_MOMENT)),
            Ok(Ok(Err(_)) | Err(_)) => Err(come_again("the hub failed at it", A_MOMENT)),
            Err(_) => Err(come_again("the journal is slow", A_MOMENT)),
        }
    }

    fn skip(&self, why: &str) {
        let name = self.intake.cx.name();
        tracing::warn!(trigger = %name, "a notification was skipped: {why}");
        self.intake.tally.skipped(1);
    }
}

fn come_again(why: &str, after: Duration) -> Problem {
    let title = "not accepted yet: send it again";
    let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_accepted", title);
    problem.retry_after = Some(after.max(Duration::from_secs(1)));
    // Some of it may be on disk: sent again, that is known by its identity.
    problem.detail(why).accepted(Acceptance::Unknown)
}
