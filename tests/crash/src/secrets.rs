//! Where secrets turn up: the token of a route, a variable of a function, the admin token, and what executors and hub know
//! each other by.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tripline_tests::{Hub, canary, processes_with, sighting};

use crate::world::World;

/// The function that has a secret of its own, and its variable for it.
const KEEPER: &str = "TRIPLINE_FUNCTION=keeper";
const OWN: &str = "OWN=";

/// What callers of the guarded route show.
pub(crate) fn bearer() -> String {
    canary("bearer")
}

/// Puts the secrets where the configuration says that they are.
pub(crate) fn write(hub: &Hub) {
    fs::create_dir(hub.path("secrets")).expect("the folder can be written");
    hub.write_secret("secrets/bearer", &bearer());
    hub.write_secret("secrets/own", &canary("own"));
}

/// What was looked at, and where a secret was that must not be there.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Texts of secrets that nobody chose.
    made_up: Vec<String>,
    pub(crate) searched: usize,
    pub(crate) leaks: Vec<String>,
}

/// Looks at all that a hub at rest keeps, says and shows to others.
pub(crate) async fn search(world: &World) -> Search {
    let hub = &world.hub;
    let mut search = Search::of_data(&hub.path("data"));
    search.file(&hub.path("hub.log"));
    let hub_pid = hub.pid().cast_signed();
    search.file(&of_process(hub_pid, "cmdline"));
    for executor in hub.executors() {
        for file in ["cmdline", "environ"] {
            search.file(&of_process(executor.pid, file));
        }
    }
    for path in ["/v1/functions", "/v1/triggers"] {
        search.text(path, hub.get(path).await.to_string().as_bytes());
    }
    let invocations = serde_json::Value::from(hub.invocations("").await);
    search.text("the invocations", invocations.to_string().as_bytes());
    search.text("the metrics", hub.metrics().await.as_bytes());
    search
}

/// Looks at the functions that run now. Says what should not be there, and whether a function had what is its own.
pub(crate) fn of_functions(data: &Path) -> (BTreeSet<String>, bool) {
    let mut search = Search::default();
    let mut was_kept = false;
    for pid in processes_with(&format!("TRIPLINE_SCRATCH={}/", data.display())) {
        search.file(&of_process(pid, "cmdline"));
        let environment = fs::read(of_process(pid, "environ")).unwrap_or_default();
        was_kept |= search.environment(&environment);
    }
    (search.leaks.into_iter().collect(), was_kept)
}

fn of_process(pid: i32, file: &str) -> PathBuf {
    format!("/proc/{pid}/{file}").into()
}

/// Whether it is where a secret has to be: the admin token, or an executor's key.
fn is_home(data: &Path, path: &Path) -> bool {
    let folder = path.parent().and_then(Path::parent);
    let is_key = path.ends_with("key") && folder == Some(&data.join("executors"));
    is_key || path == data.join("admin.token")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    });
    below.collect()
}

// === impl Search ===

impl Search {
    /// So many places, and no secret in any.
    #[cfg(test)]
    pub(crate) fn of_so_many(searched: usize) -> Self {
        Self {
            searched,
            ..Self::default()
        }
    }

    fn of_data(data: &Path) -> Self {
        let (homes, others): (Vec<_>, Vec<_>) = files(data)
            .into_iter()
            .partition(|path| is_home(data, path));
        let texts = homes
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok());
        let texts = texts.map(|text| text.trim().to_owned());
        let mut search = Self {
            made_up: texts.filter(|text| !text.is_empty()).collect(),
            ..Self::default()
        };
        others.iter().for_each(|path| search.file(path));
        search
    }

    /// What is gone by now has nothing any more.
    fn file(&mut self, path: &Path) {
        let bytes = fs::read(path).unwrap_or_default();
        self.text(&path.display().to_string(), &bytes);
    }

    fn text(&mut self, place: &str, bytes: &[u8]) {
        self.searched += usize::from(!bytes.is_empty());
        if let Some(seen) = sighting(bytes) {
            self.leaks.push(format!("in {place}: {seen}"));
        }
        let text = String::from_utf8_lossy(bytes);
        if self.made_up.iter().any(|one| text.contains(one)) {
            self.leaks.push(format!("in {place}: a token or a key"));
        }
    }

    /// The environment of a function's process: only its own secret may be there. Says whether that is.
    fn environment(&mut self, environment: &[u8]) -> bool {
        let text = String::from_utf8_lossy(environment);
        let is_keeper = text.split('\0').any(|one| one == KEEPER);
        let is_own = |one: &&str| is_keeper && one.starts_with(OWN);
        let (own, others): (Vec<_>, Vec<_>) = text.split('\0').partition(is_own);
        self.text("a function's environment", others.join("\n").as_bytes());
        own.contains(&format!("{OWN}{}", canary("own")).as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_but_where_they_have_to_be() {
        let hub = Hub::prepare("");
        let data = hub.path("data");
        let leaks = || Search::of_data(&data).leaks.len();
        fs::create_dir_all(hub.path("data/executors/1/scratch")).unwrap();
        hub.write("data/admin.token", "token-of-the-hub\n");
        hub.write("data/executors/1/key", "key-of-one");
        hub.write("data/journal.db", "an event");
        assert_eq!(leaks(), 0);
        assert_eq!(Search::of_data(&data).searched, 1);
        for (place, text) in [
            ("data/journal.db", canary("own")),
            ("data/executors/1/log", "with token-of-the-hub".to_owned()),
            ("data/executors/1/scratch/key", "key-of-one".to_owned()),
        ] {
            hub.write(place, &text);
            assert_eq!(leaks(), 1, "{place}");
            hub.write(place, "nothing");
        }
    }

    #[test]
    fn only_the_keeper_has_what_is_its_own() {
        let environment = |function: &str, name: &str| {
            let text = format!("TRIPLINE_FUNCTION={function}\0{name}={}\0", canary("own"));
            let mut search = Search::default();
            let was_kept = search.environment(text.as_bytes());
            (was_kept, search.leaks.len())
        };
        assert_eq!(environment("keeper", "OWN"), (true, 0));
        assert_eq!(environment("keeper", "OTHER"), (false, 1));
        assert_eq!(environment("work", "OWN"), (false, 1));
    }
}
