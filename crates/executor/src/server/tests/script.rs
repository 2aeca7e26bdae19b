//! Functions that do what a test says.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tripline_model::{LogStream, RequestId};

use crate::instance::{Exit, How, Instance, Job, Line, Output, Remains, StartError, Starter};
use crate::protocol::{Credentials, FunctionSpec, Kind};
use crate::server::kinds::Kinds;

/// Starts functions that a test plays: `refuses` cannot be started, `panics` is a bug, `hangs` takes until the test lets
/// it go on, others are handed to the test.
#[derive(Clone)]
pub(super) struct Script {
    actors: mpsc::Sender<Actor>,
    /// For each start of `hangs`.
    pub(super) go_on: Arc<Semaphore>,
}

/// The test's side of a run.
pub(super) struct Actor {
    pub(super) id: RequestId,
    pub(super) output: Arc<dyn Output>,
    play: watch::Sender<Play>,
}

/// What happened with a run so far.
#[derive(Default)]
struct Play {
    requests: Vec<String>,
    how: Option<How>,
    result: Bytes,
    /// Ends when what remains is gone.
    remains: Option<oneshot::Receiver<()>>,
    dropped: bool,
}

struct Played(watch::Sender<Play>);

struct Left(oneshot::Receiver<()>);

// === impl Script ===

impl Script {
    pub(super) fn new() -> (Self, mpsc::Receiver<Actor>) {
        let (actors, receiver) = mpsc::channel(64);
        let go_on = Arc::new(Semaphore::new(0));
        (Self { actors, go_on }, receiver)
    }
}

#[async_trait]
impl Starter for Script {
    async fn start(&self, job: Job) -> Result<Box<dyn Instance>, StartError> {
        match job.spec.name.as_str() {
            "refuses" => return Err(StartError::NoProgram("true".to_owned())),
            "panics" => panic!("as the test wants it"),
            "hangs" => self.go_on.acquire().await.unwrap().forget(),
            _ => {}
        }
        let play = watch::Sender::new(Play::default());
        let actor = Actor {
            id: job.id,
            output: job.output,
            play: play.clone(),
        };
        // Tests that end early do not ask for all runs.
        let _ = self.actors.send(actor).await;
        Ok(Box::new(Played(play)))
    }
}

#[async_trait]
impl Kinds for Script {
    fn starter(&self, _kind: &Kind) -> Arc<dyn Starter> {
        Arc::new(self.clone())
    }

    fn declare(&self, _functions: &[Arc<FunctionSpec>]) {}

    fn retire(&self) {}

    async fn close(&self) {}

    fn level(&self) -> String {
        "nothing is real here".to_owned()
    }
}

// === impl Actor ===

impl Actor {
    /// Writes whole lines to stdout.
    pub(super) async fn write(&self, lines: &[&str]) {
        let lines = lines.iter().map(|text| Line {
            text: Bytes::copy_from_slice(text.as_bytes()),
            complete: true,
        });
        self.output.lines(LogStream::Stdout, lines.collect()).await;
    }

    pub(super) fn end(&self, how: How) {
        self.play.send_modify(|play| play.how = Some(how));
    }

    pub(super) fn end_well(&self, result: impl Into<Bytes>) {
        self.play.send_modify(|play| play.result = result.into());
        self.end(How::Exited(0));
    }

    /// Something of it stays alive after the end, until the sender is used.
    pub(super) fn leave(&self) -> oneshot::Sender<()> {
        let (gone, remains) = oneshot::channel();
        self.play.send_modify(|play| play.remains = Some(remains));
        gone
    }

    /// Waits until the run got exactly these requests, in this order.
    pub(super) async fn wait_for_requests(&self, all: &[&str]) {
        let arrived = async {
            let mut play = self.play.subscribe();
            play.wait_for(|play| play.requests == all).await.map(drop)
        };
        let arrived = tokio::time::timeout(super::TEST_TIMEOUT, arrived).await;
        arrived.expect("the requests did not arrive").unwrap();
    }

    /// Waits until the instance is dropped.
    pub(super) async fn dropped(&self) {
        let mut play = self.play.subscribe();
        let dropped = play.wait_for(|play| play.dropped);
        let dropped = tokio::time::timeout(super::TEST_TIMEOUT, dropped).await;
        drop(dropped.expect("the run goes on").unwrap());
    }
}

// === impl Played ===

impl Played {
    fn record(&self, request: String) {
        self.0.send_modify(|play| play.requests.push(request));
    }
}

#[async_trait]
impl Instance for Played {
    fn request_stop(&self) {
        self.record("request_stop".to_owned());
    }

    fn kill(&self) {
        self.record("kill".to_owned());
        self.0.send_modify(|play| {
            play.how.get_or_insert(How::Signaled(9));
        });
    }

    fn renew(&self, credentials: &Credentials) -> std::io::Result<()> {
        self.record(format!("renew {}", credentials.access_key));
        Ok(())
    }

    async fn wait(&mut self) {
        let mut play = self.0.subscribe();
        // The sender is right here, so it does not go away.
        let _ = play.wait_for(|play| play.how.is_some()).await;
    }

    async fn reclaim(&mut self) -> Exit {
        let mut exit = None;
        self.0.send_modify(|play| {
            let remains = play.remains.take();
            exit = Some(Exit {
                how: play.how.clone().expect("it is over"),
                result: play.result.clone(),
                result_cut: false,
                peak_memory: Some(3 << 20),
                remains: remains.map(|left| Box::new(Left(left)) as Box<dyn Remains>),
            });
        });
        exit.expect("it was made just now")
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.0.send_modify(|play| play.dropped = true);
    }
}

#[async_trait]
impl Remains for Left {
    async fn gone(&mut self) {
        let _ = (&mut self.0).await;
    }
}
