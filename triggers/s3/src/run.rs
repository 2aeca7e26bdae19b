//! One run of the trigger: notifications on one side, listings on the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tripline_config::{SecretRef, Secrets};
use tripline_listener::{Bearer, Route};
use tripline_trigger::{Trigger, TriggerContext, TriggerError};

use crate::backlog::Backlog;
use crate::client::{Bucket, Place};
use crate::config::{Config, Mode};
use crate::event::Source;
use crate::health::{Health, Part};
use crate::intake::Intake;
use crate::inventory::Inventory;
use crate::listen::Listening;
use crate::reconcile::{Outcome, Pass};
use crate::tally::Tally;
use crate::webhook::{MAX_TAKING, Receiver};

/// After a listing that failed, the next begins after this time, doubled with every failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest such time.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A trigger of the kind `s3`.
#[derive(Debug)]
pub struct S3Trigger {
    config: Config,
}

/// What one run works with.
struct Running {
    intake: Arc<Intake>,
    bucket: Bucket,
    health: Health,
    /// Somebody wants a listing now.
    gap: Notify,
}

// === impl S3Trigger ===

impl S3Trigger {
    pub(crate) fn new(config: Config) -> Self {
        Self { config }
    }

    fn start(&self, cx: TriggerContext) -> Result<Running, TriggerError> {
        let config = self.config.clone();
        let access_key = cx.secret(&config.access_key)?;
        let secret_key = cx.secret(&config.secret_key)?;
        let bucket = Bucket::open(&config, &access_key, &secret_key).map_err(|err| {
            TriggerError::new("the object store's client cannot be built").caused_by(err)
        })?;
        let source = Source {
            uri: format!("s3://{}/{}", config.host(), config.bucket),
            bucket: config.bucket.clone(),
        };
        let intake = Intake {
            inventory: Inventory::new(cx.name().clone(), Arc::clone(cx.cursors())),
            locks: Arc::default(),
            tally: Tally::new(cx.clone()),
            backlog: Backlog::default(),
            source,
            config,
            cx: cx.clone(),
        };
        Ok(Running {
            intake: Arc::new(intake),
            bucket,
            health: Health::new(cx),
            gap: Notify::new(),
        })
    }
}

impl Trigger for S3Trigger {
    fn routes(&self) -> Vec<Route> {
        match &self.config.mode {
            Mode::Webhook { route, .. } => vec![route.clone()],
            Mode::Listen { .. } | Mode::Poll => Vec::new(),
        }
    }

    fn secrets(&self) -> Vec<SecretRef> {
        let mut secrets = vec![
            self.config.access_key.clone(),
            self.config.secret_key.clone(),
        ];
        if let Mode::Webhook {
            bearer: Some(bearer),
            ..
        } = &self.config.mode
        {
            secrets.push(bearer.clone());
        }
        secrets
    }

    async fn probe(&self, secrets: &dyn Secrets) -> Result<Option<String>, TriggerError> {
        let key = |reference| {
            let secret = secrets.resolve(reference);
            secret.map_err(|err| TriggerError::new(err.to_string()))
        };
        let (access, secret) = (key(&self.config.access_key)?, key(&self.config.secret_key)?);
        let bucket = Bucket::open(&self.config, &access, &secret)
            .map_err(|err| TriggerError::new(err.to_string()))?;
        let page = bucket.objects(Place::default()).await;
        let page = page.map_err(|err| TriggerError::new(err.to_string()))?;
        let more = if page.next.is_some() { " and more" } else { "" };
        Ok(Some(format!(
            "the bucket `{}` can be listed: {} objects{more}",
            self.config.bucket,
            page.objects.len()
        )))
    }

    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        let shutdown = cx.shutdown().clone();
        let running = self.start(cx)?;
        // Dropping a wait gives up waiting; what was accepted stays accepted.
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = running.run(&self.config.mode) => ended,
        }
    }
}

// === impl Running ===

impl Running {
    async fn run(&self, mode: &Mode) -> Result<(), TriggerError> {
        match mode {
            Mode::Poll => {
                self.health.well(Part::Notifications);
                self.keep_listing().await;
            }
            Mode::Webhook { route, bearer } => {
                let token = bearer.as_ref().map(|bearer| self.intake.cx.secret(bearer));
                let token = token.transpose()?;
                let receiver = Receiver {
                    intake: Arc::clone(&self.intake),
                    bearer: token.map(|token| Bearer::new(token.expose())),
                    taking: Arc::new(Semaphore::new(MAX_TAKING)),
                };
                let mounted = self.intake.cx.gateway().mount(route, Arc::new(receiver));
                let _mount = mounted.map_err(|err| TriggerError::new(err.to_string()))?;
                self.health.well(Part::Notifications);
                self.keep_listing().await;
            }
            Mode::Listen { heartbeat } => {
                let listening = Listening {
                    intake: &self.intake,
                    bucket: &self.bucket,
                    health: &self.health,
                    gap: &self.gap,
                    heartbeat: *heartbeat,
                };
                tokio::join!(self.keep_listing(), listening.run());
            }
        }
        Ok(())
    }

    /// Lists the bucket at the start, after every gap and at the interval, for ever.
    async fn keep_listing(&self) {
        let config = &self.intake.config;
        if !config.events.want_creations() {
            // A listing shows objects; it does not show what else happened to them.
            self.health.well(Part::Listing);
            return std::future::pending().await;
        }
        let mut failures = 0;
        loop {
            let passed = match Pass::begin(&self.intake, &self.bucket).await {
                Ok(pass) => pass.run().await,
                Err(err) => Err(err),
            };
            let wait = match passed {
                Ok(outcome) => {
                    failures = 0;
                    self.report(&outcome);
                    let settled = outcome
                        .unsettled
                        .map(|left| left + Duration::from_millis(50));
                    settled.map_or(config.interval, |settled| settled.min(config.interval))
                }
                Err(err) => {
                    self.health.trouble(Part::Listing, err.to_string());
                    failures += 1;
                    FIRST_WAIT
                        .saturating_mul(1 << (failures - 1).min(6))
                        .min(LONGEST_WAIT)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.gap.notified() => {}
            }
        }
    }

    fn report(&self, outcome: &Outcome) {
        let cx = &self.intake.cx;
        if outcome.found > 0 || outcome.first {
            tracing::info!(
                trigger = %cx.name(),
                listed = outcome.listed,
                found = outcome.found,
                gone = outcome.gone,
                first = outcome.first,
                "the bucket was listed"
            );
        }
        cx.fact("objects", outcome.listed);
        cx.fact("last_listing", cx.clock().now());
        self.health.well(Part::Listing);
    }
}
