//! The strict reader behind `tripline.toml`.
//!
//! One [`Document`] is one file. Its reader pulls what it wants out of [`Table`]s; whatever is missing, wrong or left
//! over becomes a [`ConfigError`] with file, line, column, the offending text, what is allowed and the nearest known
//! name. All errors come at once. Nothing here touches the network, the disk or the environment.
//!
//! ```
//! use std::time::Duration;
//! use tripline_config::{Document, Table};
//!
//! struct Function { command: Vec<String>, timeout: Duration }
//!
//! fn function(table: &mut Table<'_>) -> Option<Function> {
//!     // Take every key first, then say so, and only then give up with `?`: so every error is found in one run.
//!     let command = table.required("command");
//!     let timeout = table.or("timeout", Duration::from_secs(60));
//!     table.finish();
//!     Some(Function { command: command?, timeout })
//! }
//!
//! let text = "[functions.greet]\ncomand = ['echo', 'hello']\n";
//! let errors = Document::new("tripline.toml", text)
//!     .read(|root| Some(root.sections("functions", |_name, table| function(table))))
//!     .err()
//!     .expect("`comand` is not a key");
//! assert_eq!(errors.to_string(), "\
//! error: unknown key `comand`
//!  --> tripline.toml:2:1
//!   |
//! 2 | comand = ['echo', 'hello']
//!   | ^^^^^^
//!   = help: did you mean `command`, which is missing? allowed here: command, timeout
//!
//! 1 error in tripline.toml
//! ");
//! ```

mod document;
mod error;
mod excerpt;
mod names;
mod rest;
mod scalars;
mod secret;
mod sensitive;
mod stray;
mod table;
mod units;
mod value;

pub use document::{Document, MAX_DOCUMENT_BYTES};
pub use error::{ConfigError, ConfigErrors};
pub use excerpt::is_hazardous;
pub use names::{NameError, check_name, nearest};
pub use rest::Scalar;
pub use secret::{Secret, SecretError, SecretRef, Secrets, StringOrSecret};
pub use table::Table;
pub use units::{ByteSize, Rate, format_duration};
pub use value::{FromToml, Location, Value};

#[cfg(test)]
mod tests;
