use std::io;
use std::net::IpAddr;

use async_trait::async_trait;

use super::*;
use client::Lookup;

/// Every name has these addresses; without any there is no name.
struct Fixed(Vec<IpAddr>);

#[async_trait]
impl Lookup for Fixed {
    async fn addresses(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        if self.0.is_empty() {
            return Err(io::Error::other("no such name"));
        }
        Ok(self.0.clone())
    }
}

fn fixed(addresses: &[&str]) -> Arc<dyn Lookup> {
    let parsed = addresses.iter().map(|address| address.parse().unwrap());
    Arc::new(Fixed(parsed.collect()))
}

async fn run_with(lookup: Arc<dyn Lookup>, url: &str, allow_private: bool) -> Ending {
    let target = HttpTarget {
        allow_private,
        ..target(url)
    };
    let targets = HashMap::from([(name(), target)]);
    let clients = Clients::new(lookup).unwrap();
    let runtime = HttpRuntime::with_clients(targets, clock(), clients).unwrap();
    let (_stopper, stop) = stop_channel();
    runtime
        .run(start_within(Duration::from_secs(5)), stop)
        .await
}

/// Whose answer is never there.
struct Endless;

#[async_trait]
impl Lookup for Endless {
    async fn addresses(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

async fn ok_target() -> Target {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    Target::new(Manner::Answer(bytes.to_vec())).await
}

#[tokio::test]
async fn an_address_in_the_url_is_checked_however_it_is_written() {
    let fake = ok_target().await;
    let port = fake.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "127.0.0.1.",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[fd00:ec2::254]",
    ] {
        let target = HttpTarget {
            allow_private: false,
            ..target(&format!("http://{host}:{port}/"))
        };
        let ending = run(target, start()).await;
        assert_eq!(how(&ending), (End::Failed, "start_failed"), "{host}");
        assert!(
            detail(&ending).contains("allow_private"),
            "{host}: {ending:?}"
        );
        assert_eq!(ending.ran(), Some(false));
    }
    assert_eq!(fake.seen().connections, 0);
}

#[tokio::test]
async fn every_address_of_a_name_is_checked() {
    let fake = ok_target().await;
    let url = format!("http://target.test:{}/", fake.address.port());
    for addresses in [
        ["127.0.0.1"].as_slice(),
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "8.8.8.8"],
        &["2606:4700::1111", "::1"],
    ] {
        let ending = run_with(fixed(addresses), &url, false).await;
        assert_eq!(how(&ending), (End::Failed, "start_failed"), "{addresses:?}");
        assert!(detail(&ending).contains("is this machine"), "{ending:?}");
    }
    assert_eq!(fake.seen().connections, 0);
    let ending = run_with(fixed(&["127.0.0.1"]), &url, true).await;
    assert_eq!(ending.end, End::Succeeded, "{ending:?}");
    assert_eq!(fake.seen().requests.len(), 1);
}

#[tokio::test]
async fn a_name_that_is_not_there_is_not_started() {
    let ending = run_with(fixed(&[]), "http://target.test/?token=secret", true).await;
    assert_eq!(how(&ending), (End::Failed, "start_failed"));
    let words = detail(&ending);
    assert!(
        words.ends_with(": no such name") && !words.contains("secret"),
        "{words}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_looked_for_for_ever_is_not_started() {
    let targets = HashMap::from([(name(), target("http://target.test/"))]);
    let clients = Clients::new(Arc::new(Endless)).unwrap();
    let runtime = HttpRuntime::with_clients(targets, clock(), clients).unwrap();
    let run = async |timeout: Duration, killed: bool| {
        let (stopper, stop) = stop_channel();
        let stopping = async {
            sleep(Duration::from_secs(1)).await;
            if killed {
                stopper.stop(Stop::Kill("hub_stopped"));
            }
        };
        let run = runtime.run(start_within(timeout), stop);
        tokio::join!(run, stopping).0
    };
    // The client gives a connection ten seconds.
    let (short, long) = (Duration::from_secs(5), Duration::from_secs(30));
    for (ending, expected) in [
        (run(short, true).await, (End::Terminated, "not_started")),
        (run(short, false).await, (End::TimedOut, "not_started")),
        (run(long, false).await, (End::Failed, "start_failed")),
    ] {
        assert_eq!(how(&ending), expected, "{ending:?}");
        assert_eq!(ending.ran(), Some(false));
    }
}

#[tokio::test]
async fn the_systems_own_names_are_checked() {
    let fake = ok_target().await;
    let url = format!("http://localhost:{}/", fake.address.port());
    let target = HttpTarget {
        allow_private: false,
        ..target(&url)
    };
    let ending = run(target, start()).await;
    assert_eq!(how(&ending), (End::Failed, "start_failed"));
    assert!(detail(&ending).contains("is this machine"), "{ending:?}");
    assert_eq!(fake.seen().connections, 0);
}

#[tokio::test]
async fn the_address_that_answered_is_checked_too() {
    let fake = ok_target().await;
    let url = format!("http://target.test:{}/", fake.address.port());
    // A client that connects anywhere, for a target that must not be anywhere.
    let clients = Clients::new(fixed(&["127.0.0.1"])).unwrap();
    let target = HttpTarget {
        allow_private: false,
        ..target(&url)
    };
    let prepared = Prepared::of(&name(), target).unwrap();
    let outcome = exchange::exchange(clients.of(true), &prepared, &start(), None).await;
    let ending = outcome.ending(AT);
    assert_eq!(how(&ending), (End::Failed, "refused_address"));
    assert_eq!(ending.result, None);
}
