//! The contract suite, tried on triggers that keep the contract and on triggers that break it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc, oneshot};
use tripline_model::{Event, Identity, Receipt, Rejected};
use tripline_trigger::testkit::{
    Style, Subject, TestContext, contract, offers_what_it_gets, settles_only_receipts,
    stops_in_time, survives_passing_refusals,
};
use tripline_trigger::{Trigger, TriggerContext, TriggerError};

/// How a trigger of this file misbehaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    SettlesFirst,
    IgnoresShutdown,
    LosesRefused,
    OffersTwice,
    OffersNothing,
}

fn event(cx: &TriggerContext, number: usize) -> Event {
    Event {
        id: number.to_string(),
        source: "/numbers".to_owned(),
        kind: "test.number.v1".to_owned(),
        subject: None,
        time: cx.clock().now(),
        content_type: None,
        data: None,
        extensions: Default::default(),
    }
}

/// A source of numbers that remembers how many were taken.
#[derive(Default)]
struct Shelf {
    numbers: Mutex<VecDeque<usize>>,
    made: AtomicUsize,
    taken: AtomicUsize,
    news: Notify,
}

/// Fetches numbers from a shelf.
struct Fetcher {
    shelf: Arc<Shelf>,
    fault: Fault,
}

impl Fetcher {
    async fn fetch(&self, cx: &TriggerContext) -> Result<(), TriggerError> {
        loop {
            let next = self
                .shelf
                .numbers
                .lock()
                .expect("nothing panics with it")
                .front()
                .copied();
            let Some(number) = next.filter(|_| self.fault != Fault::OffersNothing) else {
                self.shelf.news.notified().await;
                continue;
            };
            if self.fault == Fault::SettlesFirst {
                self.shelf.taken.fetch_add(1, Ordering::SeqCst);
            }
            let position = number as u64;
            let stream = "shelf".to_owned();
            let identity = Identity::Position { stream, position };
            let offer = cx.offer(event(cx, number), identity);
            let mut offers = vec![offer.clone()];
            if self.fault == Fault::OffersTwice {
                let identity = Identity::Unique;
                offers.push(tripline_model::Offer { identity, ..offer });
            }
            let answers = cx.dispatch().dispatch_all(offers).await;
            if let (Err(rejected), true) = (&answers[0], self.fault != Fault::LosesRefused) {
                return Err(TriggerError::new("refused").caused_by(rejected.clone()));
            }
            self.shelf
                .numbers
                .lock()
                .expect("nothing panics with it")
                .pop_front();
            if answers[0].is_ok() && self.fault != Fault::SettlesFirst {
                self.shelf.taken.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

impl Trigger for Fetcher {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        cx.ready();
        if self.fault == Fault::IgnoresShutdown {
            return self.fetch(&cx).await;
        }
        let ended = cx.shutdown().run_until_cancelled(self.fetch(&cx)).await;
        ended.unwrap_or(Ok(()))
    }
}

struct Pulled(Arc<Shelf>, Fault);

#[async_trait]
impl Subject for Pulled {
    type Trigger = Fetcher;

    fn style(&self) -> Style {
        Style::Pull
    }

    fn trigger(&self) -> Arc<Fetcher> {
        let shelf = Arc::clone(&self.0);
        Arc::new(Fetcher {
            shelf,
            fault: self.1,
        })
    }

    async fn produce(&self, _around: &TestContext, count: usize) {
        for _ in 0..count {
            let number = self.0.made.fetch_add(1, Ordering::SeqCst) + 1;
            self.0
                .numbers
                .lock()
                .expect("nothing panics with it")
                .push_back(number);
        }
        self.0.news.notify_one();
    }

    async fn settled(&self, _around: &TestContext) -> usize {
        self.0.taken.load(Ordering::SeqCst)
    }
}

type Call = (usize, oneshot::Sender<Result<Receipt, Rejected>>);

/// Is called with numbers, and answers each call.
struct Called(Mutex<mpsc::Receiver<Call>>);

impl Trigger for Called {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        cx.ready();
        loop {
            let next = std::future::poll_fn(|task| {
                self.0
                    .lock()
                    .expect("nothing panics with it")
                    .poll_recv(task)
            });
            let Some(Some((number, answer))) = cx.shutdown().run_until_cancelled(next).await else {
                return Ok(());
            };
            let offer = cx.offer(event(&cx, number), Identity::Unique);
            let answered = cx.dispatch().try_dispatch(offer);
            let Some(answered) = cx.shutdown().run_until_cancelled(answered).await else {
                return Ok(());
            };
            // A caller that went away needs no answer.
            let _ = answer.send(answered);
        }
    }
}

struct Pushed {
    trigger: Arc<Called>,
    calls: mpsc::Sender<Call>,
    answers: Mutex<Vec<oneshot::Receiver<Result<Receipt, Rejected>>>>,
    taken: AtomicUsize,
}

impl Pushed {
    fn new() -> Self {
        let (calls, called) = mpsc::channel(16);
        Self {
            trigger: Arc::new(Called(Mutex::new(called))),
            calls,
            answers: Mutex::default(),
            taken: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Subject for Pushed {
    type Trigger = Called;

    fn style(&self) -> Style {
        Style::Push
    }

    fn trigger(&self) -> Arc<Called> {
        Arc::clone(&self.trigger)
    }

    async fn produce(&self, _around: &TestContext, count: usize) {
        for number in 0..count {
            let (answer, answered) = oneshot::channel();
            self.calls
                .send((number, answer))
                .await
                .expect("the trigger lives");
            self.answers
                .lock()
                .expect("nothing panics with it")
                .push(answered);
        }
    }

    async fn settled(&self, _around: &TestContext) -> usize {
        let mut answers = self.answers.lock().expect("nothing panics with it");
        answers.retain_mut(|answered| match answered.try_recv() {
            Ok(answer) => {
                self.taken
                    .fetch_add(usize::from(answer.is_ok()), Ordering::SeqCst);
                false
            }
            Err(_) => true,
        });
        self.taken.load(Ordering::SeqCst)
    }
}

fn pulled(fault: Fault) -> Pulled {
    Pulled(Arc::default(), fault)
}

#[tokio::test]
async fn good_triggers_pass() {
    contract(async || pulled(Fault::None)).await;
    contract(async || Pushed::new()).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "0 of 5 events were accepted")]
async fn offering_nothing_is_found() {
    offers_what_it_gets(&pulled(Fault::OffersNothing)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "more was accepted than happened")]
async fn offering_twice_is_found() {
    offers_what_it_gets(&pulled(Fault::OffersTwice)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "does not end within")]
async fn ignoring_the_shutdown_is_found() {
    stops_in_time(&pulled(Fault::IgnoresShutdown)).await;
}

#[tokio::test]
#[should_panic(expected = "settled without a receipt")]
async fn settling_first_is_found() {
    settles_only_receipts(&pulled(Fault::SettlesFirst)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "events were accepted within")]
async fn losing_what_was_refused_is_found() {
    survives_passing_refusals(&pulled(Fault::LosesRefused)).await;
}

/// In `dispatch_all` a limit is waited for, as the dispatcher does.
#[tokio::test(start_paused = true)]
async fn limits_make_a_pull_trigger_wait() {
    let around = TestContext::new("limited");
    let hub = around.dispatch();
    hub.reject_next(Rejected::OverLimit {
        retry_after: Duration::from_millis(300),
        scope: "the hub".to_owned(),
        limit: 1,
    });
    let full = Rejected::QueueFull {
        scope: "the hub".to_owned(),
        limit: 1,
    };
    hub.reject_next(full.clone());
    let cx = around.context();
    let offer = cx.offer(event(&cx, 1), Identity::Unique);
    let answers = cx.dispatch().dispatch_all(vec![offer.clone()]).await;
    assert!(matches!(answers[..], [Ok(Receipt::New(_))]));
    hub.reject_next(full.clone());
    assert_eq!(cx.dispatch().try_dispatch(offer).await, Err(full));
    assert_eq!((hub.offered().len(), hub.accepted().len()), (2, 1));
}
