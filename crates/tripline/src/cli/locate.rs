//! Finds the hub: its address and the token. The token is never taken from the command line, where every user of the
//! machine could read it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use reqwest::Url;
use toml::de::DeTable;

use super::failure::{Failure, TOKEN_HELP};
use super::{ClientOptions, Env};
use crate::plain;

/// Where a hub listens by default.
pub(crate) const DEFAULT_ADMIN: &str = "http://127.0.0.1:8081";
/// The default configuration.
pub(crate) const CONFIG_HERE: &str = "tripline.toml";
/// Names another configuration; empty is as good as unset.
pub(crate) const CONFIG_VARIABLE: &str = "TRIPLINE_CONFIG";
/// Most bytes read of a token, address or config file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A hub and the right to speak to it.
pub(crate) struct Hub {
    /// The address, without a path.
    pub(crate) url: Url,
    /// The bearer token.
    pub(crate) token: String,
    /// Where the token was found, in words.
    pub(crate) token_from: String,
}

/// Finds the hub out of the options, the environment and the files that a hub leaves in its data directory.
pub(crate) fn locate(options: &ClientOptions, env: Env<'_>) -> Result<Hub, Failure> {
    // Empty is as good as unset: so scripts and service managers unset a variable.
    let env: Env<'_> = &|name| env(name).filter(|value| !value.is_empty());
    let named = options.admin.clone().or_else(|| env("TRIPLINE_ADMIN"));
    let data_dir = data_dir(options, env)?;
    let (url, was_named) = match &named {
        Some(url) => (parse_url(url)?, true),
        None => match read_small(&data_dir.path.join("admin.json"))? {
            Some(text) => {
                let url = url_in(&text).unwrap_or_else(|| DEFAULT_ADMIN.to_owned());
                (parse_url(&url)?, true)
            }
            None => (parse_url(DEFAULT_ADMIN)?, false),
        },
    };
    let of_file = |path: &Path| format!("the token in {}", plain(path).display());
    let (token, token_from) = match (env("TRIPLINE_TOKEN"), &options.token_file) {
        (Some(token), _) => (token, "the token in TRIPLINE_TOKEN".to_owned()),
        (None, Some(path)) => {
            let none = || Failure::Usage(format!("there is no token file {}", path.display()));
            (read_small(path)?.ok_or_else(none)?, of_file(path))
        }
        (None, None) => {
            let path = data_dir.path.join("admin.token");
            let token = token_in(&data_dir, &path, &url)?;
            let none = || no_token(&path, was_named);
            (token.ok_or_else(none)?, of_file(&path))
        }
    };
    let token = token.trim().to_owned();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        let words = "the token is empty or has characters that no token has";
        return Err(Failure::Unauthorised(format!("{words}\n{TOKEN_HELP}")));
    }
    Ok(Hub {
        url,
        token,
        token_from,
    })
}

/// The data directory of the hub of this folder, or of the configuration that the environment names.
pub(crate) fn own_data_dir(env: Env<'_>) -> Result<PathBuf, Failure> {
    data_dir(&ClientOptions::default(), env).map(|found| found.path)
}

/// The data directory, and whether the user named it.
struct DataDir {
    path: PathBuf,
    named: bool,
}

fn data_dir(options: &ClientOptions, env: Env<'_>) -> Result<DataDir, Failure> {
    if let Some(path) = &options.data_dir {
        return Ok(DataDir {
            path: path.clone(),
            named: true,
        });
    }
    let given = options
        .config
        .clone()
        .or_else(|| env(CONFIG_VARIABLE).map(PathBuf::from))
        .filter(|config| *config != Path::new(""));
    let named = given.is_some();
    let config = given.unwrap_or_else(|| PathBuf::from(CONFIG_HERE));
    let path = match read_small(&config)? {
        Some(text) => config.with_file_name(data_dir_in(&text, &config)?),
        None if named => {
            let words = format!("there is no config file {}", config.display());
            return Err(Failure::Usage(words));
        }
        None => PathBuf::from("data"),
    };
    Ok(DataDir { path, named })
}

fn data_dir_in(text: &str, config: &Path) -> Result<String, Failure> {
    // Only this one key matters here; `tripline check` judges the rest.
    let document = DeTable::parse(text)
        .map_err(|_| Failure::Usage(format!("{} is not valid TOML", config.display())))?;
    let hub = document
        .get_ref()
        .get("hub")
        .and_then(|hub| hub.get_ref().get("data_dir"));
    Ok(hub
        .and_then(|dir| dir.get_ref().as_str())
        .unwrap_or("data")
        .to_owned())
}

fn url_in(admin_json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(admin_json).ok()?;
    value.get("url")?.as_str().map(str::to_owned)
}

fn parse_url(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && matches!(url.path(), "" | "/")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
    });
    url.ok_or_else(|| {
        let words = "the address of a hub is http://HOST:PORT or https://HOST:PORT, not";
        Failure::Usage(format!("{words} {text:?}"))
    })
}

fn token_in(data_dir: &DataDir, path: &Path, url: &Url) -> Result<Option<String>, Failure> {
    // A token that merely lies around here belongs to a hub of this machine: it is not sent to another one.
    if !data_dir.named && !is_loopback(url) {
        let words = format!("no token was named for {url}, and it is not on this machine");
        return Err(Failure::Unauthorised(format!("{words}\n{TOKEN_HELP}")));
    }
    read_small(path)
}

/// No token for a hub that was named, by the user or by what it left behind; or neither, and most likely another folder
/// is meant.
fn no_token(path: &Path, was_named: bool) -> Failure {
    let words = format!("there is no token in {}", path.display());
    if was_named {
        return Failure::Unauthorised(format!("{words}\n{TOKEN_HELP}"));
    }
    let hint = "has a hub been started here? Name its folder with --config FILE or --data-dir DIR";
    Failure::NoHub(format!("{words}: {hint}\n{TOKEN_HELP}"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            bare.parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

/// The text of a file; `None` if there is none.
fn read_small(path: &Path) -> Result<Option<String>, Failure> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let mut text = String::new();
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(path, &error))?;
    Ok(Some(text))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let words = format!("cannot read {}: {error}", path.display());
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        Failure::Unauthorised(format!("{words}\n{TOKEN_HELP}"))
    } else {
        Failure::Usage(words)
    }
}

#[cfg(test)]
#[path = "tests/locate.rs"]
mod tests;
