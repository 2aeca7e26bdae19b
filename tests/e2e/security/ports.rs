//! An executor can be reached over the network by the instances that it keeps warm alone.

use std::fs;

use tripline_tests::{Hub, eventually, listens_at, skipped};

const CONFIG: &str = r#"
[functions.plain]
command = ["sleep", "600"]
timeout = "20m"
[functions.warm]
runtime = "worker"
command = ["sleep", "600"]
timeout = "20m"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_listens_for_its_warm_instances_alone_and_on_loopback() {
    let hub = Hub::start(CONFIG).await;
    let plain = hub.invoke("plain", "").await;
    hub.running(&plain).await;
    let executor = hub.executors()[0].pid;
    let Some(none) = listens_at(executor) else {
        return skipped("where an executor listens", "only root may look");
    };
    assert!(none.is_empty(), "{none:?}");
    // What is looked for can be found.
    let own = listens_at(i32::try_from(hub.pid()).unwrap()).unwrap();
    for url in [hub.gateway(""), hub.admin("")] {
        let address = url.trim_start_matches("http://").parse().unwrap();
        assert!(own.contains(&address), "{address} {own:?}");
    }

    hub.invoke("warm", "").await;
    let api = eventually("an instance has begun", async || {
        let instance = *hub.instances("warm").first()?;
        let environment = fs::read_to_string(format!("/proc/{instance}/environ")).ok()?;
        let mut variables = environment.split('\0');
        let api = variables.find_map(|one| one.strip_prefix("AWS_LAMBDA_RUNTIME_API="))?;
        Some(api.to_owned())
    })
    .await;
    let found = listens_at(executor).unwrap();
    assert!(found.iter().all(|one| one.ip().is_loopback()), "{found:?}");
    assert_eq!(found, [api.parse().unwrap()].into());
    assert_eq!(hub.executors().len(), 1);
}
