//! What a function can reach: not the hub's environment, memory, token or journal, nor another function's scratch.

use std::os::unix::fs::PermissionsExt;

use tripline_tests::{Hub, skipped};

const CONFIG: &str = r#"
[functions.spy]
command = ["sh", "-s"]
[functions.keeper]
command = ["sh", "-c", 'echo secret > "$TRIPLINE_SCRATCH/own" && echo "$TRIPLINE_SCRATCH" && sleep 600']
timeout = "10m"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_function_does_not_reach_the_hub_or_its_neighbours() {
    let hub = Hub::prepare(CONFIG);
    let level = hub.cli(&["doctor", "--json"]);
    let level: serde_json::Value = serde_json::from_str(&level.stdout).expect("it is JSON");
    if level["isolation"]["landlock_abi"]
        .as_u64()
        .is_none_or(|abi| abi < 1)
    {
        return skipped("isolation of files", "this kernel has no Landlock");
    }
    let mut hub = hub;
    hub.launch_with(&[("HUB_SECRET", "hunter2")]).await;
    let keeper = hub.invoke("keeper", "").await;
    let scratch = hub.line(&keeper, |text| text.starts_with('/')).await;
    let (hub_pid, executor_pid) = (hub.pid(), hub.executors()[0].pid);
    let data = hub.path("data").display().to_string();

    let attempts = [
        format!("cat /proc/{hub_pid}/environ"),
        format!("head -c 1 /proc/{hub_pid}/mem"),
        format!("readlink /proc/{hub_pid}/fd/0"),
        format!("cat /proc/{executor_pid}/environ"),
        format!("kill -0 {hub_pid}"),
        format!("kill -0 {executor_pid}"),
        format!("cat {data}/admin.token"),
        format!("cat {data}/executors/*/key"),
        format!("echo x >> {data}/journal.db"),
        format!("cat {scratch}/own"),
        format!("ls /proc/{hub_pid}/root/{data}"),
    ];
    let script: String = attempts
        .iter()
        .map(|attempt| {
            format!("if {attempt} >/dev/null 2>&1; then echo 'REACHED: {attempt}'; fi\n")
        })
        .collect();
    let own = "echo x > \"$TRIPLINE_SCRATCH/f\" && cat \"$TRIPLINE_SCRATCH/f\" && mktemp && env && ls /proc/self/fd | wc -l && echo done\n";
    let id = hub.invoke("spy", format!("{script}{own}")).await;
    let ended = hub.ended(&id).await;
    let log: Vec<_> = hub.log(&id).await;
    let text: Vec<_> = log
        .iter()
        .filter_map(|line| line["text"].as_str())
        .collect();
    assert_eq!(ended["state"], "succeeded", "{text:#?}");
    let reached: Vec<_> = text
        .iter()
        .filter(|line| line.starts_with("REACHED"))
        .collect();
    assert!(reached.is_empty(), "{reached:#?}");
    assert!(text.contains(&"done"), "{text:#?}");
    assert!(
        !text.iter().any(|line| line.contains("hunter2")),
        "{text:#?}"
    );
    // stdin, stdout, stderr, and the one `ls` opens itself.
    assert!(text.contains(&"4"), "open descriptors: {text:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_enforced_is_not_run_where_it_is_required() {
    let hub = Hub::start(
        r#"
[functions.strict]
command = ["true"]
isolation = "required"
memory = "64MiB"
[functions.nobody]
command = ["true"]
user = "no-such-user-here"
"#,
    )
    .await;
    let id = hub.invoke("nobody", "").await;
    let ended = hub.ended(&id).await;
    assert_eq!(
        (ended["state"].as_str(), ended["ran"].as_str()),
        (Some("failed"), Some("no")),
        "{ended}"
    );
    assert_eq!(ended["reason"], "start_failed");
    // Either this machine can, and it runs; or it says what is missing, and does not.
    let id = hub.invoke("strict", "").await;
    let ended = hub.ended(&id).await;
    let doctor = hub.cli(&["doctor", "tripline.toml"]);
    if ended["state"] == "succeeded" {
        assert_eq!(doctor.code, 0, "{doctor:?}");
    } else {
        assert_eq!(ended["reason"], "start_failed", "{ended}");
        assert_eq!(doctor.code, 1, "{doctor:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_a_user_has_its_scratch_also_behind_a_new_hub() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("functions with a user", "only root can start them");
    }
    let mut hub = Hub::prepare(
        r#"
[functions.guest]
command = ["sh", "-c", 'id -un; echo kept > "$TRIPLINE_SCRATCH/f"; ls data; cat data/admin.token; until test -e go; do sleep 0.05; done; cat "$TRIPLINE_SCRATCH/f"']
user = "nobody"
"#,
    );
    let folder = hub.path("");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("it is ours");
    hub.launch().await;
    let id = hub.invoke("guest", "").await;
    hub.line(&id, |text| text.contains("admin.token")).await;
    hub.kill().await;
    hub.launch().await;
    hub.write("go", "");
    let ended = hub.ended(&id).await;
    let log = hub.log(&id).await;
    let text: Vec<_> = log
        .iter()
        .filter_map(|line| line["text"].as_str())
        .collect();
    assert_eq!(ended["state"], "succeeded", "{ended} {text:#?}");
    assert!(
        text.contains(&"nobody") && text.contains(&"kept"),
        "{text:#?}"
    );
    let refused = |line: &&&str| line.to_lowercase().contains("permission denied");
    assert_eq!(text.iter().filter(refused).count(), 2, "{text:#?}");
}
