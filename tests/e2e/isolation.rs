//! What a function can reach: not the hub's environment, memory, token or journal, nor another function's scratch.
//! Also what `isolation = "required"` does where a machine cannot isolate.

use std::os::unix::fs::PermissionsExt;

use tripline_tests::{Hub, skipped};

const CONFIG: &str = r#"
[functions.spy]
command = ["sh", "-s"]
[functions.keeper]
command = ["sh", "-c", 'echo secret > "$TRIPLINE_SCRATCH/own" && echo "$TRIPLINE_SCRATCH" && sleep 600']
timeout = "10m"
"#;

const STRICT: &str = r#"
[functions.strict]
command = ["true"]
isolation = "required"
memory = "64MiB"
[functions.loose]
command = ["true"]
memory = "64MiB"
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

    let of_threads = |attempt| {
        format!("for thread in $(ls /proc/{executor_pid}/task); do {attempt} && break; done")
    };
    let attempts = [
        format!("cat /proc/{hub_pid}/environ"),
        format!("true < /proc/{hub_pid}/mem"),
        format!("readlink /proc/{hub_pid}/fd/0"),
        format!("cat /proc/{executor_pid}/environ"),
        format!("kill -0 {hub_pid}"),
        format!("kill -0 {executor_pid}"),
        // The thread that started the function is one of these, and in the same Landlock domain.
        of_threads("kill -9 $thread"),
        of_threads("true < /proc/$thread/mem"),
        of_threads("cat /proc/$thread/environ"),
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
    assert_eq!(hub.executors()[0].pid, executor_pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_enforced_runs_where_it_is_required() {
    let hub = Hub::start(STRICT).await;
    let doctor = hub.cli(&["doctor", "tripline.toml"]);
    if doctor.code != 0 {
        let why = format!("this machine cannot enforce it: {}", doctor.stdout);
        return skipped("required isolation", &why);
    }
    let id = hub.invoke("strict", "").await;
    let ended = hub.ended(&id).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let function = hub.get("/v1/functions/strict").await;
    assert_eq!(function["not_enforced"], serde_json::Value::Null);
}

/// A hub of somebody who may not make control groups.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_enforced_is_said_and_not_run_where_it_is_required() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("a hub of somebody else", "only root can start one");
    }
    let mut hub = Hub::prepare(STRICT);
    hub.belong_to_nobody();
    hub.launch().await;

    let doctor = hub.cli(&["doctor", "tripline.toml"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    for (function, what) in [
        ("strict", "WILL NOT RUN, isolation is required: "),
        ("loose", "runs, but "),
    ] {
        let names_it = |line: &str| line.contains(function) && line.contains(what);
        assert!(doctor.stdout.lines().any(names_it), "{doctor:?}");
    }

    let id = hub.invoke("strict", "").await;
    let ended = hub.ended(&id).await;
    let how = (&ended["state"], &ended["reason"], &ended["ran"]);
    assert!(
        how == (&"failed".into(), &"start_failed".into(), &"no".into()),
        "{ended}"
    );
    let memory = "a limit for the memory of a function and all it starts cannot be enforced";
    let detail = ended["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("isolation = \"required\""), "{ended}");
    assert!(detail.contains(memory), "{ended}");

    let id = hub.invoke("loose", "").await;
    let ended = hub.ended(&id).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let function = hub.get("/v1/functions/loose").await;
    let unmet = function["not_enforced"].as_str().unwrap_or_default();
    assert!(unmet.contains(memory), "{function}");
    let table = hub.cli(&["functions"]).stdout;
    assert!(table.contains(&format!("loose: {unmet}")), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_an_unknown_user_does_not_run() {
    let hub = Hub::start("[functions.lost]\ncommand = ['true']\nuser = 'no-such-user-here'").await;
    let id = hub.invoke("lost", "").await;
    let ended = hub.ended(&id).await;
    let how = (&ended["state"], &ended["reason"], &ended["ran"]);
    assert!(
        how == (&"failed".into(), &"start_failed".into(), &"no".into()),
        "{ended}"
    );
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
