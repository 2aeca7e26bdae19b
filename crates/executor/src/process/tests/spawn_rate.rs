//! How fast processes are started, against a bare loop in the same run. Figures of a build without `--release` say
//! little: `TRIPLINE_SPAWN_RATE=1 cargo test --release -p tripline-executor spawn_rate -- --nocapture`.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tripline_model::RequestId;

use super::Bench;
use crate::instance::{How, Starter};
use crate::process::ProcessStarter;

const CONCURRENCY: usize = 16;
const PAIRS: usize = 7;
const SPAN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn spawn_rate() {
    if std::env::var_os("TRIPLINE_SPAWN_RATE").is_none() {
        println!("not measured: TRIPLINE_SPAWN_RATE is not set");
        return;
    }
    let bench = Arc::new(Bench::command(&["/bin/true"]).with_data(vec![b'x'; 300]));
    let starter = Arc::new(ProcessStarter::new(bench.surroundings()));
    let spec = Arc::new(bench.spec.clone());
    let mut ratios = Vec::new();
    for pair in 0..PAIRS {
        let bare = rate(|_, _| bare()).await;
        let all = (bench.clone(), starter.clone(), spec.clone());
        let ours = rate(move |slot, turn| {
            let (bench, starter, spec) = all.clone();
            async move {
                let mut job = bench.job();
                let (slot, pair) = (slot.to_be_bytes(), pair as u8);
                let turn = u32::try_from(turn).unwrap().to_be_bytes();
                let random = [
                    slot[7], pair, turn[0], turn[1], turn[2], turn[3], 0, 0, 0, 0,
                ];
                job.id = RequestId::new(super::NOW, random);
                job.spec = spec;
                let mut instance = starter.start(job).await.unwrap();
                instance.wait().await;
                let exit = instance.reclaim().await;
                assert!(exit.how == How::Exited(0) && exit.remains.is_none());
            }
        })
        .await;
        println!(
            "bare {bare:.0}/s, through the starter {ours:.0}/s, ratio {:.3}",
            ours / bare
        );
        ratios.push(ours / bare);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "ratio: median {:.3}, {:.3} to {:.3}",
        ratios[PAIRS / 2],
        ratios[0],
        ratios[PAIRS - 1]
    );
}

async fn bare() {
    let mut child = tokio::process::Command::new("/bin/true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout, mut stderr) = (
        child.stdin.take().unwrap(),
        child.stdout.take().unwrap(),
        child.stderr.take().unwrap(),
    );
    let feed = async {
        let _ = stdin.write_all(&[b'x'; 300]).await;
        drop(stdin);
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (_, _, _, status) = tokio::join!(
        feed,
        stdout.read_to_end(&mut out),
        stderr.read_to_end(&mut err),
        child.wait()
    );
    assert!(status.unwrap().success());
}

/// Turns a second, in `CONCURRENCY` tasks.
async fn rate<F: Future<Output = ()> + Send + 'static>(
    turn: impl Fn(usize, usize) -> F + Clone + Send + Sync + 'static,
) -> f64 {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for slot in 0..CONCURRENCY {
        let turn = turn.clone();
        tasks.spawn(async move {
            let mut turns = 0;
            while begun.elapsed() < SPAN {
                turn(slot, turns).await;
                turns += 1;
            }
            turns
        });
    }
    let turns: usize = tasks.join_all().await.into_iter().sum();
    turns as f64 / begun.elapsed().as_secs_f64()
}
