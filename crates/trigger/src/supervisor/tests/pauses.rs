//! When a trigger is asked to note a pause, and what is shown meanwhile.

use super::*;

/// How notes about a pause go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notes {
    Well,
    Fail,
    Panic,
    Hang,
}

/// A trigger that records its runs and pauses.
struct Diarist {
    diary: Arc<Mutex<Vec<&'static str>>>,
    notes: Notes,
    /// Its run fails at once.
    fails: bool,
}

struct Life {
    supervisor: Supervisor,
    triggers: Triggers,
    name: TriggerName,
    diary: Arc<Mutex<Vec<&'static str>>>,
}

impl Diarist {
    fn wrote(&self, entry: &'static str) {
        self.diary.lock().unwrap().push(entry);
    }
}

impl Trigger for Diarist {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        self.wrote("run");
        if self.fails {
            return Err(TriggerError::new("the source went away"));
        }
        cx.fact("listening", true);
        cx.ready();
        cx.shutdown().cancelled().await;
        self.wrote("run ended");
        Ok(())
    }

    async fn paused(&self, _cx: TriggerContext) -> Result<(), TriggerError> {
        self.wrote("paused");
        match self.notes {
            Notes::Well => Ok(()),
            Notes::Fail => Err(TriggerError::new("the disk is gone")),
            Notes::Panic => panic!("no pen"),
            Notes::Hang => pending().await,
        }
    }
}

impl Life {
    fn begin(enabled: bool, notes: Notes, fails: bool) -> Self {
        let around = TestContext::new("mine");
        let diary = Arc::default();
        let trigger = Diarist {
            diary: Arc::clone(&diary),
            notes,
            fails,
        };
        let supervised = around.supervised(trigger, enabled);
        let supervisor = Supervisor::start(vec![supervised], &around.ports());
        Self {
            triggers: supervisor.triggers(),
            name: around.name().clone(),
            supervisor,
            diary,
        }
    }

    async fn wait_state(&self, state: TriggerState) {
        let mut states = self.triggers.handles[&self.name].status.watch();
        states.wait_for(|now| *now == state).await.unwrap();
    }

    async fn pause(&self) -> TriggerStatus {
        self.triggers.pause(&self.name).await.unwrap()
    }

    fn diary(&self) -> Vec<&'static str> {
        self.diary.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_noted_before_it_is_shown_and_a_stop_is_not() {
    let life = Life::begin(true, Notes::Well, false);
    life.wait_state(TriggerState::Running).await;
    assert_eq!(life.pause().await.state, TriggerState::Paused);
    assert_eq!(life.diary(), ["run", "run ended", "paused"]);
    life.triggers.resume(&life.name).await.unwrap();
    life.wait_state(TriggerState::Running).await;
    let diary = Arc::clone(&life.diary);
    assert_eq!(life.supervisor.stop(SOON).await, []);
    let expected = ["run", "run ended", "paused", "run", "run ended"];
    assert_eq!(*diary.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn facts_of_a_run_are_not_shown_while_nothing_runs() {
    let life = Life::begin(true, Notes::Well, false);
    life.wait_state(TriggerState::Running).await;
    let facts = life.triggers.get(&life.name).unwrap().facts;
    assert_eq!(facts["listening"], true.into());
    assert_eq!(life.pause().await.facts, Default::default());
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_a_run_is_noted_as_well() {
    let life = Life::begin(true, Notes::Well, true);
    life.wait_state(TriggerState::Backoff).await;
    let failed = life.triggers.get(&life.name).unwrap();
    assert!(failed.error.is_some(), "{failed:?}");
    assert_eq!(life.pause().await.error, None, "of a run that is over");
    assert_eq!(life.diary(), ["run", "paused"]);
    let never_ran = Life::begin(false, Notes::Well, false);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(never_ran.diary(), ["paused"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_cannot_be_noted_is_a_pause_with_an_error() {
    for (notes, why) in [
        (Notes::Fail, "the disk is gone"),
        (Notes::Panic, "it panicked: no pen"),
        (Notes::Hang, "its notes took longer than 10s"),
    ] {
        let life = Life::begin(true, notes, false);
        life.wait_state(TriggerState::Running).await;
        let paused = life.pause().await;
        assert_eq!(paused.state, TriggerState::Paused);
        let error = paused.error.expect("it has words");
        assert!(error.ends_with(why), "{error}");
    }
}

/// Its run ends at once, and it is late with all that may come after that.
struct Straggler;

impl Trigger for Straggler {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        cx.fact("listening", true);
        cx.ready();
        let late = cx.clone();
        cx.tasks().spawn(async move {
            late.shutdown().cancelled().await;
            sleep(Duration::from_secs(1)).await;
            late.fact("listening", true);
            late.ready();
            pending::<()>().await;
        });
        cx.shutdown().cancelled().await;
        Ok(())
    }

    async fn paused(&self, _cx: TriggerContext) -> Result<(), TriggerError> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_pause_takes_long_no_old_fact_is_shown() {
    let around = TestContext::new("mine");
    let supervised = around.supervised(Straggler, true);
    let supervisor = Supervisor::start(vec![supervised], &around.ports());
    let triggers = supervisor.triggers();
    let mut states = triggers.handles[around.name()].status.watch();
    let running = |state: &TriggerState| *state == TriggerState::Running;
    states.wait_for(running).await.unwrap();
    let started = Instant::now();
    let watching = triggers.clone();
    let (pausing, name) = (triggers.pause(around.name()), around.name().clone());
    let shown = async {
        for _ in 0..15 {
            sleep(Duration::from_secs(1)).await;
            let status = watching.get(&name).unwrap();
            assert_eq!(status.state, TriggerState::Running, "until all is over");
            assert!(status.facts.is_empty());
        }
    };
    let (paused, ()) = tokio::join!(pausing, shown);
    assert_eq!(paused.unwrap().state, TriggerState::Paused);
    assert_eq!(
        started.elapsed().as_secs(),
        20,
        "10 s for tasks and notes each"
    );
}
