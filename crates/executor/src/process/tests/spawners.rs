//! The threads that functions are started from.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::Bench;
use crate::process::spawners::Spawners;
use crate::protocol::Isolation;

#[tokio::test]
async fn starts_go_on_where_no_further_thread_can_be_had() {
    let mut bench = Bench::script("");
    // Rules may be outdated any time, where other tests make folders, and need a new thread.
    bench.spec.isolation = Isolation::None;
    let mut spawners = Spawners::new(bench.surroundings().isolation);
    let scratch_root = bench.executor_dir().join("scratch/resize");
    let spec = Arc::new(bench.spec.clone());
    spawners.act(&spec, &scratch_root, |_| ()).await.unwrap();
    // More than there are addresses.
    spawners.stack_bytes = 1 << 47;
    let (release, released) = sync_channel::<()>(1);
    let busy = spawners.act(&spec, &scratch_root, move |_| released.recv().unwrap());
    let next = spawners.act(&spec, &scratch_root, |_| ());
    // In this order.
    let (busy, next, ()) = tokio::join!(busy, next, async { release.send(()).unwrap() });
    busy.unwrap();
    next.unwrap();
}
