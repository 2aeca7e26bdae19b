//! Secrets: the file says where they are, never what they are.

use std::fmt;
use std::path::PathBuf;

use crate::value::{FromToml, Value};

/// Where a secret is to be found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// `{ env = "NAME" }`: an environment variable of the hub.
    Env(String),
    /// `{ file = "path" }`: a file, relative to the configuration file.
    File(PathBuf),
}

/// A value that may be written openly or refer to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringOrSecret {
    /// Written in the file.
    Text(String),
    /// Found elsewhere.
    Secret(SecretRef),
}

/// A secret's value. It is never printed: `Debug` hides it, and there is no `Display`.
#[derive(Clone)]
pub struct Secret(String);

/// Finds secrets. The binary has the only implementation that touches the environment and the disk.
pub trait Secrets: Send + Sync {
    /// The secret's value.
    ///
    /// # Errors
    /// What is wrong with the variable or file; never a value.
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError>;
}

/// Why a secret could not be had. Names the variable or file, never a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("{0} is not set")]
    NotSet(SecretRef),
    /// The file cannot be read.
    #[error("{reference} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        reference: SecretRef,
        /// What the system said.
        source: std::io::Error,
    },
    /// The hub's own file is everybody's to look into.
    #[error("others can get at {reference}: run `chmod 600 {}`", path.display().to_string().escape_debug())]
    Exposed {
        /// Which file.
        reference: SecretRef,
        /// Where it is.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(SecretRef),
    /// It is not text.
    #[error("{0} is not valid UTF-8")]
    NotText(SecretRef),
    /// It is longer than any secret should be.
    #[error("{reference} is longer than {limit_bytes} bytes")]
    TooLarge {
        /// Which variable or file.
        reference: SecretRef,
        /// The longest secret that is read, in bytes.
        limit_bytes: usize,
    },
}

// === impl SecretRef ===

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{}`", name.escape_debug()),
            Self::File(path) => write!(f, "file `{}`", path.display().to_string().escape_debug()),
        }
    }
}

impl FromToml for SecretRef {
    const EXPECTED: &'static str = "{ env = \"NAME\" } or { file = \"path\" }";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        let Some(entries) = value.entries() else {
            value.conceal();
            if value.as_str().is_none() {
                return Err(format!("this is {}", value.kind_name()));
            }
            let rule = "secrets are not written in the file: use { env = \"NAME\" } or { file = \"path\" }";
            value.push(rule.to_owned(), None);
            return Err(String::new());
        };
        for (_, stray) in entries
            .iter()
            .filter(|(key, _)| !matches!(*key, "env" | "file"))
        {
            stray.conceal();
        }
        let read = value.section(|table| {
            let env: Option<String> = table.optional("env");
            let file: Option<PathBuf> = table.optional("file");
            table.finish();
            Some((env, file))
        });
        match read.unwrap_or_default() {
            (Some(_), Some(_)) => Err("both `env` and `file` are given".to_owned()),
            (Some(name), None) if name.is_empty() || name.contains(['=', '\0']) => {
                Err("this cannot be the name of an environment variable".to_owned())
            }
            (Some(name), None) => Ok(Self::Env(name)),
            (None, Some(path)) => Ok(Self::File(path)),
            (None, None) if entries.is_empty() => {
                Err("neither `env` nor `file` is given".to_owned())
            }
            // Whatever is there instead was an error already.
            (None, None) => Err(String::new()),
        }
    }
}

// === impl StringOrSecret ===

impl FromToml for StringOrSecret {
    const EXPECTED: &'static str = "a string, { env = \"NAME\" } or { file = \"path\" }";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        if value.is_table() {
            return SecretRef::from_toml(value).map(Self::Secret);
        }
        let text = value
            .as_str()
            .ok_or_else(|| format!("this is {}", value.kind_name()))?;
        Ok(Self::Text(text.to_owned()))
    }
}

// === impl Secret ===

impl Secret {
    /// Wraps a value so that it cannot be printed by accident.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Never log it or put it into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
