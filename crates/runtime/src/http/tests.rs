mod contract;
mod faults;
mod guard;
mod request;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use tripline_model::{Event, Function, Timestamp};

use super::*;
use crate::stop_channel;
use crate::tests::support::{self, Kept, clock, function, invocation};
use target::{Manner, Target};

const ID: &str = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";
const AT: Timestamp = Timestamp::from_millis(1_767_290_400_250);

fn name() -> FunctionName {
    FunctionName::new("away").unwrap()
}

fn target(url: &str) -> HttpTarget {
    HttpTarget {
        url: url.parse().unwrap(),
        allow_private: true,
        headers: Vec::new(),
    }
}

fn runtime(target: HttpTarget) -> HttpRuntime {
    // They take a while to make: the certificates of this machine are read.
    static CLIENTS: LazyLock<Clients> =
        LazyLock::new(|| Clients::new(Arc::new(SystemLookup)).unwrap());
    let targets = HashMap::from([(name(), target)]);
    HttpRuntime::with_clients(targets, clock(), CLIENTS.clone()).unwrap()
}

fn start() -> Start {
    start_within(Duration::from_secs(10))
}

/// A run that may take so long, and keeps 1 KiB of its result.
fn start_within(timeout: Duration) -> Start {
    let function = Function {
        timeout,
        max_result_bytes: 1024,
        ..function(name().as_str())
    };
    let mut invocation = invocation(&function);
    invocation.request_id = ID.parse().unwrap();
    invocation.event = Event {
        id: "e-1".to_owned(),
        source: "/triggers/gate".to_owned(),
        kind: "com.example.paid".to_owned(),
        subject: Some("50 % of \"é\"\r\nhost: evil".to_owned()),
        time: AT,
        content_type: Some("application/json".to_owned()),
        data: Some(Bytes::from_static(b"{\"a\":1}")),
        extensions: BTreeMap::from([("own".to_owned(), "x".to_owned())]),
    };
    Start {
        deadline: AT.plus(timeout),
        ..support::start(invocation, function, Kept::new())
    }
}

/// Runs once, without anybody stopping it.
async fn run(target: HttpTarget, start: Start) -> Ending {
    let (_stopper, stop) = stop_channel();
    runtime(target).run(start, stop).await
}

fn how(ending: &Ending) -> (End, &str) {
    (ending.end, ending.reason.as_str())
}

fn detail(ending: &Ending) -> &str {
    ending.detail.as_deref().unwrap_or_default()
}
