//! The contract that every kind keeps, in each mode.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::Request;
use tokio::task::JoinSet;
use tripline_trigger::testkit::{Style, Subject, TestContext, contract};

use super::store::{Store, minio_line};
use super::{around, noon, trigger};
use crate::S3Trigger;

enum Mode {
    Poll,
    Listen,
    Webhook,
}

struct S3 {
    mode: Mode,
    store: Store,
    answered: Arc<AtomicUsize>,
    posts: Mutex<JoinSet<()>>,
}

impl S3 {
    async fn fresh(mode: Mode) -> Self {
        Self {
            mode,
            store: Store::start().await,
            answered: Arc::default(),
            posts: Mutex::default(),
        }
    }
}

#[async_trait]
impl Subject for S3 {
    type Trigger = S3Trigger;

    fn style(&self) -> Style {
        match self.mode {
            Mode::Poll | Mode::Listen => Style::Pull,
            Mode::Webhook => Style::Push,
        }
    }

    fn surroundings(&self) -> TestContext {
        around()
    }

    fn trigger(&self) -> Arc<S3Trigger> {
        let text = match self.mode {
            Mode::Poll => "mode = 'poll'\ninterval = '100ms'\n",
            Mode::Listen => "mode = 'listen'\nheartbeat = '1s'\n",
            Mode::Webhook => "mode = 'webhook'\nroute = 'POST /s3'\nauth = 'none'\n",
        };
        trigger(&self.store.endpoint, text)
    }

    async fn produce(&self, around: &TestContext, count: usize) {
        let app = around.gateway().router();
        for n in 0..count {
            let key = format!("key-{n}");
            match self.mode {
                Mode::Poll => self.store.put(&key, "", "e", noon(-1)),
                Mode::Listen => self.store.notify(&key, "e", noon(-1)),
                Mode::Webhook => {
                    let body = minio_line(&key, "e", noon(-1));
                    let request = Request::post("/s3").body(Body::from(body)).unwrap();
                    let send = tower::ServiceExt::oneshot(app.clone(), request);
                    let answered = Arc::clone(&self.answered);
                    self.posts.lock().unwrap().spawn(async move {
                        let good = send.await.unwrap().status().is_success();
                        answered.fetch_add(usize::from(good), Ordering::SeqCst);
                    });
                }
            }
        }
    }

    async fn settled(&self, around: &TestContext) -> usize {
        match self.mode {
            Mode::Webhook => self.answered.load(Ordering::SeqCst),
            // All entries but the marker.
            Mode::Poll | Mode::Listen => around.cursors().all(around.name()).len() - 1,
        }
    }
}

#[tokio::test]
async fn poll_keeps_the_contract() {
    contract(|| S3::fresh(Mode::Poll)).await;
}

#[tokio::test]
async fn listen_keeps_the_contract() {
    contract(|| S3::fresh(Mode::Listen)).await;
}

#[tokio::test]
async fn webhook_keeps_the_contract() {
    contract(|| S3::fresh(Mode::Webhook)).await;
}
