//! Measures durable accepts: `cargo run --release -p tripline-journal --example accept_load -- [DIR] [TASKS] [SECONDS]
//! [RESERVE_MIB]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tripline_journal::{Journal, JournalOptions, NewInvocation, SqliteJournal};
use tripline_model::{
    End, Ending, Event, FunctionName, Identity, ManualClock, Offer, RequestId, Timestamp,
    TriggerName,
};

const PAYLOAD: usize = 300;

#[derive(Clone, Copy, PartialEq)]
enum What {
    Accept,
    AcceptStartFinish,
    AcceptWithKey,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let scratch = tempfile::tempdir()?;
    let dir = args.next().map_or(scratch.path().to_owned(), PathBuf::from);
    let tasks: usize = args.next().map_or(Ok(64), |text| text.parse())?;
    let seconds: u64 = args.next().map_or(Ok(3), |text| text.parse())?;
    let mut options = JournalOptions::default();
    if let Some(mebibytes) = args.next() {
        options.reserve_bytes = mebibytes.parse::<u64>()? << 20;
    }
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_795_555_058_243)));
    let journal = SqliteJournal::open(&dir, options, clock)?;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    for (name, what) in [
        ("accept", What::Accept),
        ("accept, start, finish", What::AcceptStartFinish),
        ("accept with a key", What::AcceptWithKey),
    ] {
        let mut times = run(&journal, what, tasks, Duration::from_secs(seconds)).await?;
        times.sort();
        let at = |share: f64| times[(times.len() as f64 * share) as usize].as_micros();
        println!(
            "{name}: {}/s with {tasks} tasks; p50 {} us, p99 {} us, p99.9 {} us",
            times.len() as u64 / seconds,
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
    journal.close().await;
    Ok(())
}

async fn run(
    journal: &Arc<dyn Journal>,
    what: What,
    tasks: usize,
    time: Duration,
) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let end = Instant::now() + time;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let journal = Arc::clone(journal);
        running.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                once(&*journal, what).await.expect("the journal works");
                times.push(start.elapsed());
            }
            times
        });
    }
    Ok(running.join_all().await.concat())
}

async fn once(journal: &dyn Journal, what: What) -> Result<(), Box<dyn std::error::Error>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let at = Timestamp::from_millis(1_795_555_058_243 + (n / 20).cast_signed());
    let mut unique = [0; 10];
    unique[2..].copy_from_slice(&n.to_be_bytes());
    let request_id = RequestId::new(at, unique);
    let identity = match what {
        What::Accept | What::AcceptStartFinish => Identity::Unique,
        What::AcceptWithKey => Identity::Key {
            key: n.to_string(),
            window: Duration::from_secs(86_400),
            digest: Some([1; 32]),
        },
    };
    let offer = Offer {
        function: FunctionName::new("thumbnail")?,
        trigger: Some(TriggerName::new("uploads")?),
        event: Event {
            id: n.to_string(),
            source: "/load".to_owned(),
            kind: "tripline.http.request.v1".to_owned(),
            subject: None,
            time: at,
            content_type: Some("application/json".to_owned()),
            data: Some(Bytes::from(vec![b'x'; PAYLOAD])),
            extensions: [].into(),
        },
        identity,
        cursors: Vec::new(),
    };
    let new = NewInvocation {
        request_id,
        accepted_at: at,
        offer: Arc::new(offer),
    };
    journal.accept(vec![new]).await?;
    if what == What::AcceptStartFinish {
        journal.start(request_id, at).await?;
        let ending = Ending::new(End::Succeeded, at, "exit_code");
        journal.finish(request_id, ending).await?;
    }
    Ok(())
}
