//! Query parameters: every unknown name, repeated name and bad value is a 400 with what is allowed.

use axum::extract::Query;
use http::Uri;
use tripline_listener::Problem;
use tripline_model::{InvocationState, Timestamp};

use crate::refusal::bad_request;

/// The parameters of one request, each looked at once.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

// === impl Params ===

impl Params {
    /// Reads the query of `uri`, which may hold `allowed` names only, each once.
    pub(crate) fn read(uri: &Uri, allowed: &[&str]) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| bad_request("the query is not made of name=value pairs"))?;
        let Query(pairs) = pairs;
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                let allowed = allowed.join(", ");
                let detail = format!("there is no parameter {name:?}; there are: {allowed}");
                return Err(bad_request(detail));
            }
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(bad_request(format!(
                    "the parameter `{name}` is given twice"
                )));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of `name`, read by `parse`; `allowed` describes what is valid.
    pub(crate) fn get<T>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some((_, value)) = self.0.iter().find(|(given, _)| given == name) else {
            return Ok(None);
        };
        let bad = || bad_request(format!("`{name}` takes {allowed}, not {value:?}"));
        parse(value).map(Some).ok_or_else(bad)
    }

    /// A moment.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let allowed = "a moment such as 2026-11-24T21:00:00Z (write a `+` as %2B)";
        self.get(name, allowed, Timestamp::parse)
    }

    /// A state.
    pub(crate) fn state(&self, name: &str) -> Result<Option<InvocationState>, Problem> {
        let words: Vec<_> = InvocationState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect();
        let allowed = format!("one of {}", words.join(", "));
        self.get(name, &allowed, InvocationState::parse)
    }

    /// A number from 1 to `most`.
    pub(crate) fn limit(&self, name: &str, most: u64) -> Result<Option<u64>, Problem> {
        let parse = |text: &str| text.parse().ok().filter(|n| (1..=most).contains(n));
        self.get(name, &format!("a number from 1 to {most}"), parse)
    }

    /// `true` or `false`; `false` if left out.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        let flag = self.get(name, "true or false", |text| text.parse().ok())?;
        Ok(flag.unwrap_or(false))
    }
}
