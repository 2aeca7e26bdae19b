//! A Kafka node in a folder of its own: settings, ports and data that stay the same over its
//! restarts. It is alone, or one of a few that are made together.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::ports::{self, Port};
use crate::process::Logged;
use crate::services::KafkaHome;
use crate::services::kafka_home::HEAP;
use crate::{process, random};

const PROPERTIES: &str = include_str!("../../kafka/server.properties");
const FORMAT_LIMIT: Duration = Duration::from_secs(60);

/// How long a broker may take until it serves.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(60);

/// The line that the broker logs once clients can work with it.
pub(crate) const READY: &str = "Kafka Server started";

const PLAIN: &str = "PLAINTEXT://";
const SASL: &str = "SASL_PLAINTEXT://";

/// Listeners of each node that send clients to a proxy; as many tests can have one at a time.
const PROXIED: usize = 4;

/// For the plain, the SASL and the controller's listener, and for both sides of each proxied one.
const PORTS_EACH: usize = 3 + 2 * PROXIED;

/// Memory for objects of each node of a cluster in MiB: several share a machine.
const HEAP_EACH: u32 = 256;

/// A formatted broker folder.
pub(crate) struct Node {
    home: KafkaHome,
    dir: PathBuf,
}

/// Where a node listens.
struct Listeners {
    plain: u16,
    sasl: u16,
    controller: u16,
    /// Where the node listens, and where it says that it does.
    proxied: Vec<(u16, u16)>,
}

// === impl Listeners ===

impl Listeners {
    /// Out of [`PORTS_EACH`] ports.
    fn of(ports: &[u16]) -> Self {
        let (single, proxied) = ports.split_at(3);
        Self {
            plain: single[0],
            sasl: single[1],
            controller: single[2],
            proxied: proxied.chunks(2).map(|pair| (pair[0], pair[1])).collect(),
        }
    }

    /// One word for each proxied listener, with commas.
    fn each(&self, word: impl Fn(usize, (u16, u16)) -> String) -> String {
        let words = self.proxied.iter().enumerate();
        let words: Vec<String> = words.map(|(at, pair)| word(at + 1, *pair)).collect();
        words.join(",")
    }
}

// === impl Node ===

impl Node {
    /// Chooses ports, writes the settings and formats the data folder of a node that is alone.
    pub(crate) fn create(home: KafkaHome, dir: &Path, port: Port) -> Outcome<Self> {
        let mut listeners = Listeners::of(&ports::free_many(PORTS_EACH)?);
        listeners.plain = port.take()?;
        let mut nodes = Self::create_all(&home, &[dir.to_owned()], &[listeners])?;
        Ok(nodes.remove(0))
    }

    /// The same for nodes that make up one cluster, one in each folder.
    pub(crate) fn create_cluster(home: &KafkaHome, dirs: &[PathBuf]) -> Outcome<Vec<Self>> {
        let ports = ports::free_many(dirs.len() * PORTS_EACH)?;
        let listeners: Vec<Listeners> = ports.chunks(PORTS_EACH).map(Listeners::of).collect();
        Self::create_all(home, dirs, &listeners)
    }

    fn create_all(
        home: &KafkaHome,
        dirs: &[PathBuf],
        listeners: &[Listeners],
    ) -> Outcome<Vec<Self>> {
        let cluster = cluster_id(&mut random::bits);
        let mut formats = Vec::with_capacity(dirs.len());
        for (at, dir) in dirs.iter().enumerate() {
            let node = Self {
                home: home.clone(),
                dir: dir.clone(),
            };
            let data = dir.join("data");
            fs::create_dir_all(&data).map_err(|error| Failure::file("create", &data, error))?;
            let settings = node.settings();
            fs::write(&settings, properties(at, listeners, &data))
                .map_err(|error| Failure::file("write", &settings, error))?;
            let format = node.format(&cluster, dirs.len() == 1)?;
            formats.push((node, format));
        }
        let mut nodes = Vec::with_capacity(dirs.len());
        for (node, format) in formats {
            format.wait_success("formatting Kafka's data", FORMAT_LIMIT)?;
            nodes.push(node);
        }
        Ok(nodes)
    }

    fn format(&self, cluster: &str, is_alone: bool) -> Outcome<Logged> {
        let args = ["format", "-t", cluster, "-c"].map(AsRef::as_ref);
        let mut format = self.home.java("kafka.tools.StorageTool", &args)?;
        format.arg(self.settings());
        if is_alone {
            format.arg("--standalone");
        }
        Logged::spawn(&mut format, &self.dir.join("format.log"))
    }

    /// A folder that [`Node::create`] made before, or nothing.
    pub(crate) fn open(home: KafkaHome, dir: &Path) -> Option<Self> {
        let node = Self {
            home,
            dir: dir.to_owned(),
        };
        // The format's own mark: a folder whose format was cut short is made anew.
        node.dir
            .join("data/meta.properties")
            .is_file()
            .then_some(node)
    }

    /// `host:port` for clients without a password.
    pub(crate) fn bootstrap(&self) -> Outcome<String> {
        self.listener(PLAIN)
    }

    /// `host:port` for clients that log in with SASL/PLAIN as `alice`, password `alice-secret`.
    pub(crate) fn sasl_bootstrap(&self) -> Outcome<String> {
        self.listener(SASL)
    }

    /// The server's command line, as a child that dies with this process.
    pub(crate) fn server(&self) -> Outcome<Command> {
        self.home
            .java("kafka.Kafka", &[self.settings().as_os_str()])
    }

    /// The server's command line, as a process that outlives this one.
    pub(crate) fn detached_server(&self) -> Outcome<Command> {
        let heap =
            match process::read_lossy(&self.settings()).contains("\ncontroller.quorum.voters=") {
                true => HEAP_EACH,
                false => HEAP,
            };
        self.home
            .detached_java("kafka.Kafka", &[self.settings().as_os_str()], heap)
    }

    /// `advertised=listening` for each listener that sends clients to a proxy, with commas.
    pub(crate) fn proxied(&self) -> Outcome<String> {
        let text = process::read_lossy(&self.settings());
        let mut pairs = Vec::with_capacity(PROXIED);
        for at in 1..=PROXIED {
            let scheme = format!("PROXIED{at}://");
            let advertised = find_listener(&text, "advertised.listeners=", &scheme);
            match (advertised, find_listener(&text, "listeners=", &scheme)) {
                (Some(advertised), Some(listening)) => {
                    pairs.push(format!("{advertised}={listening}"));
                }
                _ => return Err(self.no_listener(&scheme)),
            }
        }
        Ok(pairs.join(","))
    }

    /// The settings file, whose full path marks the server's process as this node's.
    pub(crate) fn settings(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn listener(&self, scheme: &str) -> Outcome<String> {
        let text = process::read_lossy(&self.settings());
        find_listener(&text, "listeners=", scheme)
            .map(str::to_owned)
            .ok_or_else(|| self.no_listener(scheme))
    }

    fn no_listener(&self, scheme: &str) -> Failure {
        Failure::new(format!("no {scheme} listener in {}", self.dir.display()))
    }
}

/// The settings of the node at that place among all nodes of its cluster.
fn properties(at: usize, all: &[Listeners], data: &Path) -> String {
    let own = &all[at];
    let voters = all.iter().zip(1..);
    let voters: Vec<String> = voters
        .map(|(node, id)| format!("{id}@127.0.0.1:{}", node.controller))
        .collect();
    let quorum = match all {
        [_] => format!(
            "controller.quorum.bootstrap.servers=127.0.0.1:{}",
            own.controller
        ),
        _ => format!("controller.quorum.voters={}", voters.join(",")),
    };
    let words = [
        ("{id}", (at + 1).to_string()),
        ("{quorum}", quorum),
        ("{plain_port}", own.plain.to_string()),
        ("{sasl_port}", own.sasl.to_string()),
        ("{controller_port}", own.controller.to_string()),
        (
            "{proxied_listeners}",
            own.each(|at, (listening, _)| format!("PROXIED{at}://127.0.0.1:{listening}")),
        ),
        (
            "{proxied_advertised}",
            own.each(|at, (_, advertised)| format!("PROXIED{at}://127.0.0.1:{advertised}")),
        ),
        (
            "{proxied_protocols}",
            own.each(|at, _| format!("PROXIED{at}:PLAINTEXT")),
        ),
        ("{copies}", all.len().to_string()),
        ("{in_sync}", all.len().div_ceil(2).to_string()),
        ("{hands_over}", (all.len() > 1).to_string()),
        ("{data_dir}", data.display().to_string()),
    ];
    let mut text = PROPERTIES.to_owned();
    for (word, value) in words {
        text = text.replace(word, &value);
    }
    text
}

fn find_listener<'a>(settings: &'a str, key: &str, scheme: &str) -> Option<&'a str> {
    let listeners = settings.lines().find_map(|line| line.strip_prefix(key))?;
    listeners
        .split(',')
        .find_map(|listener| listener.strip_prefix(scheme))
}

/// Kafka's way to write 128 bits: 22 characters of URL-safe base64.
fn cluster_id(bits: &mut impl FnMut() -> u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut value = u128::from(bits()) << 64 | u128::from(bits());
    // The first character must not be a dash, or the tool takes the id for an option.
    value &= u128::MAX >> 1;
    let padded = (0..22u32).map(|place| {
        let shift = 122i32 - 6 * i32::try_from(place).expect("small");
        let six = if shift >= 0 {
            value >> shift
        } else {
            value << -shift
        };
        char::from(ALPHABET[usize::try_from(six & 63).expect("six bits")])
    });
    padded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_are_canonical_and_never_look_like_an_option() {
        assert_eq!(cluster_id(&mut || 0), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(cluster_id(&mut || u64::MAX), "f____________________w");
        let mut next = [0, 1].into_iter();
        assert_eq!(
            cluster_id(&mut || next.next().expect("two")),
            "AAAAAAAAAAAAAAAAAAAAAQ"
        );
    }

    #[test]
    fn listeners_are_found_by_their_scheme() {
        let ports: Vec<u16> = (1..).take(PORTS_EACH).collect();
        let text = properties(0, &[Listeners::of(&ports)], Path::new("/data"));
        let found = |key, scheme| find_listener(&text, key, scheme);
        assert_eq!(found("listeners=", PLAIN), Some("127.0.0.1:1"));
        assert_eq!(found("listeners=", SASL), Some("127.0.0.1:2"));
        assert_eq!(found("listeners=", "PROXIED1://"), Some("127.0.0.1:4"));
        assert_eq!(
            found("advertised.listeners=", "PROXIED1://"),
            Some("127.0.0.1:5")
        );
        assert_eq!(found("listeners=", "SSL://"), None);
        assert!(!text.contains('{'), "a word in braces is left:\n{text}");
    }

    #[test]
    fn nodes_of_a_cluster_know_each_other() {
        let ports: Vec<u16> = (1..).take(3 * PORTS_EACH).collect();
        let all: Vec<Listeners> = ports.chunks(PORTS_EACH).map(Listeners::of).collect();
        let text = properties(2, &all, Path::new("/data"));
        let voters = "\ncontroller.quorum.voters=1@127.0.0.1:3,2@127.0.0.1:14,3@127.0.0.1:25\n";
        for line in [voters, "\nnode.id=3\n", "\nmin.insync.replicas=2\n"] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
    }
}
