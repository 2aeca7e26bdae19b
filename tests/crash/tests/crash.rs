//! A hundred kills, some power cuts and every step, in every run of the tests: of the release binary, if xtask runs them.

use tripline_crash::{Plan, binary, campaign, steps};

async fn promises_are_kept(cycles: u64, power: bool) {
    let plan = Plan {
        cycles,
        seed: 1,
        power,
    };
    let Some(report) = campaign(plan, &|_, _| {}).await else {
        return;
    };
    println!("{}: {}", binary().display(), report.table());
    assert_eq!(report.wrong, Vec::<String>::new());
    assert_eq!(report.missed(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_killed_a_hundred_times_keeps_every_promise() {
    promises_are_kept(100, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_power_is_cut_keeps_every_promise() {
    promises_are_kept(12, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_killed_step_by_step_keeps_every_promise() {
    let Some(done) = steps(1, &|_, _| {}).await else {
        return;
    };
    println!("{}: {}", binary().display(), done.table());
    assert_eq!(done.wrong, Vec::<String>::new());
    assert_eq!(done.missed(), Vec::<&str>::new());
}
