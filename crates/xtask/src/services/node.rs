//! One Kafka broker in a folder of its own: settings, ports and data that stay the same over its
//! restarts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::ports::{self, Port};
use crate::services::{KafkaHome, step};
use crate::{process, random};

const PROPERTIES: &str = include_str!("../../kafka/server.properties");
const FORMAT_LIMIT: Duration = Duration::from_secs(60);

/// How long a broker may take until it serves.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(60);

/// The line that the broker logs once clients can work with it.
pub(crate) const READY: &str = "Kafka Server started";

const PLAIN: &str = "PLAINTEXT://";
const SASL: &str = "SASL_PLAINTEXT://";

/// A formatted broker folder.
pub(crate) struct Node {
    home: KafkaHome,
    dir: PathBuf,
}

// === impl Node ===

impl Node {
    /// Chooses ports, writes the settings and formats the data folder.
    pub(crate) fn create(home: KafkaHome, dir: &Path, port: Port) -> Outcome<Self> {
        let node = Self {
            home,
            dir: dir.to_owned(),
        };
        let [sasl, controller] = ports::free()?;
        let plain = port.take()?;
        let data = dir.join("data");
        fs::create_dir_all(&data).map_err(|error| Failure::file("create", &data, error))?;
        let text = PROPERTIES
            .replace("{plain_port}", &plain.to_string())
            .replace("{sasl_port}", &sasl.to_string())
            .replace("{controller_port}", &controller.to_string())
            .replace("{data_dir}", &data.display().to_string());
        let settings = node.settings();
        fs::write(&settings, text).map_err(|error| Failure::file("write", &settings, error))?;
        let id = cluster_id(&mut random::bits);
        let args = ["format", "--standalone", "-t", &id, "-c"].map(AsRef::as_ref);
        let mut format = node.home.java("kafka.tools.StorageTool", &args)?;
        step(
            format.arg(&settings),
            "formatting Kafka's data",
            &dir.join("format.log"),
            FORMAT_LIMIT,
        )?;
        Ok(node)
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
        self.home
            .detached_java("kafka.Kafka", &[self.settings().as_os_str()])
    }

    /// The settings file, whose full path marks the server's process as this node's.
    pub(crate) fn settings(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn listener(&self, scheme: &str) -> Outcome<String> {
        let text = process::read_lossy(&self.settings());
        find_listener(&text, scheme)
            .map(str::to_owned)
            .ok_or_else(|| Failure::new(format!("no {scheme} listener in {}", self.dir.display())))
    }
}

fn find_listener<'a>(settings: &'a str, scheme: &str) -> Option<&'a str> {
    let listeners = settings
        .lines()
        .find_map(|line| line.strip_prefix("listeners="))?;
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
        assert_eq!(
            find_listener(PROPERTIES, PLAIN),
            Some("127.0.0.1:{plain_port}")
        );
        assert_eq!(
            find_listener(PROPERTIES, SASL),
            Some("127.0.0.1:{sasl_port}")
        );
        assert_eq!(find_listener(PROPERTIES, "SSL://"), None);
    }
}
