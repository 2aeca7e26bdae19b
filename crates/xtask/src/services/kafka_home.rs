//! Apache Kafka without Docker: its jars from Maven Central, run by the installed JDK.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process;
use crate::repo;
use crate::services::{program, step};
use crate::time::Stopwatch;

/// The pinned release; the same as in `kafka/pom.xml` and `docker-compose.yml`.
pub(crate) const VERSION: &str = "4.3.1";

const POM: &str = include_str!("../../kafka/pom.xml");
const COPY_JARS: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// Memory for objects in MiB: enough for a node that is alone, and for a tool.
pub(crate) const HEAP: u32 = 512;
const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// A folder with Kafka's jars in `lib/`.
#[derive(Clone, Debug)]
pub(crate) struct KafkaHome(PathBuf);

// === impl KafkaHome ===

impl KafkaHome {
    /// The pinned release in the tools folder, fetched if it is not there yet.
    pub(crate) fn installed() -> Outcome<Self> {
        process::require("java")?;
        let tools = repo::tools()?;
        let home = tools.join(format!("kafka-{VERSION}"));
        if !home.is_dir() {
            fetch(&tools, &home)?;
        }
        Ok(Self(home))
    }

    /// A folder made by an earlier run.
    pub(crate) fn at(path: &Path) -> Outcome<Self> {
        let home = Self(path.to_owned());
        home.class_path().map(|_| home)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A command line for one of Kafka's main classes that dies with this process.
    pub(crate) fn java(&self, class: &str, args: &[&OsStr]) -> Outcome<Command> {
        let mut command = program(process::require("java")?)?;
        command
            .args(self.java_args(class, "info", HEAP)?)
            .args(args);
        Ok(command)
    }

    /// The same for a tool, which says nothing but its errors.
    pub(crate) fn tool(&self, class: &str, args: &[&str]) -> Outcome<Command> {
        let mut command = program(process::require("java")?)?;
        command
            .args(self.java_args(class, "error", HEAP)?)
            .args(args);
        Ok(command)
    }

    /// The same with so many MiB for objects, as a process that outlives this one, for
    /// [`crate::kafka_node`].
    pub(crate) fn detached_java(
        &self,
        class: &str,
        args: &[&OsStr],
        heap: u32,
    ) -> Outcome<Command> {
        let mut command = Command::new(process::require("java")?);
        command
            .args(self.java_args(class, "info", heap)?)
            .args(args)
            .process_group(0);
        Ok(command)
    }

    fn java_args(&self, class: &str, log_level: &str, heap: u32) -> Outcome<Vec<String>> {
        // Little memory and a quick start matter more here than throughput.
        let tuning = [
            "-Xms128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
        ];
        let mut args: Vec<String> = tuning.into_iter().map(str::to_owned).collect();
        args.push(format!("-Xmx{heap}m"));
        args.push(format!(
            "-Dorg.slf4j.simpleLogger.defaultLogLevel={log_level}"
        ));
        args.extend(["-cp".to_owned(), self.class_path()?, class.to_owned()]);
        Ok(args)
    }

    fn class_path(&self) -> Outcome<String> {
        let lib = self.0.join("lib");
        let entries = fs::read_dir(&lib).map_err(|error| Failure::file("read", &lib, error))?;
        let mut jars: Vec<String> = entries
            .flatten()
            .map(|entry| entry.path().display().to_string())
            .filter(|path| path.ends_with(".jar"))
            .collect();
        jars.sort();
        match jars.is_empty() {
            true => Err(Failure::new(format!("no jars in {}", lib.display()))),
            false => Ok(jars.join(":")),
        }
    }
}

/// Fetches beside the final place and renames, so that a broken fetch is never taken for a whole
/// one and two runs at once do no harm.
fn fetch(tools: &Path, home: &Path) -> Outcome<()> {
    let watch = Stopwatch::start();
    let maven = process::require("mvn")?;
    eprintln!("==> Kafka {VERSION}: fetching its jars from Maven Central, once");
    let partial = tempfile::Builder::new()
        .prefix("kafka-partial-")
        .tempdir_in(tools)
        .map_err(|error| Failure::file("create a folder in", tools, error))?;
    let pom = partial.path().join("pom.xml");
    fs::write(&pom, POM).map_err(|error| Failure::file("write", &pom, error))?;
    let mut command = program(maven)?;
    command.args(["-B", "-ntp", "-f"]).arg(&pom).arg(COPY_JARS);
    // The scope `compile` would leave out the broker itself, which core has at run time only.
    command
        .arg("-DincludeScope=runtime")
        .arg("-DoutputDirectory=lib");
    step(
        &mut command,
        "fetching Kafka's jars",
        &partial.path().join("fetch.log"),
        FETCH_LIMIT,
    )?;
    let made = partial.keep();
    if let Err(error) = fs::rename(&made, home) {
        // Another run may have been quicker: its folder is as good as ours.
        let _ = fs::remove_dir_all(&made);
        if !home.is_dir() {
            return Err(Failure::file("create", home, error));
        }
    }
    eprintln!("==> Kafka {VERSION}: fetched in {}", watch.text());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_everywhere() {
        let compose = include_str!("../../../../docker-compose.yml");
        assert!(
            compose.contains(&format!("apache/kafka:{VERSION}\n")),
            "docker-compose.yml"
        );
        assert_eq!(
            POM.matches(&format!("<version>{VERSION}</version>"))
                .count(),
            2,
            "kafka/pom.xml"
        );
    }

    #[test]
    fn a_folder_without_jars_is_no_kafka() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert!(KafkaHome::at(dir.path()).is_err());
        fs::create_dir(dir.path().join("lib")).expect("writable");
        assert!(KafkaHome::at(dir.path()).is_err());
        fs::write(dir.path().join("lib/kafka.jar"), "").expect("writable");
        assert!(KafkaHome::at(dir.path()).is_ok());
    }
}
