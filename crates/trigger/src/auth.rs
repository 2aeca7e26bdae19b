//! Who may call a trigger's route.

use tripline_config::{FromToml, SecretRef, Value};

/// Who may call a trigger's route: `auth = { bearer = { env = "NAME" } }` or `auth = "none"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Everybody who can reach the gateway.
    None,
    /// Who knows this token.
    Bearer(SecretRef),
}

// === impl Auth ===

impl Auth {
    /// The token that callers need; `None`: they need none.
    pub fn token(&self) -> Option<&SecretRef> {
        match self {
            Self::None => None,
            Self::Bearer(token) => Some(token),
        }
    }
}

impl FromToml for Auth {
    const EXPECTED: &'static str =
        "{ bearer = { env = \"NAME\" } }, or \"none\" to let everybody in";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        if value.is_table() {
            let bearer = value.section(|table| table.required("bearer"));
            return bearer.map(Self::Bearer).ok_or_else(String::new);
        }
        match value.as_str() {
            Some("none") => Ok(Self::None),
            Some(_) => Err("this word is not known".to_owned()),
            None => Err(format!("this is {}", value.kind_name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tripline_config::Document;

    use super::*;

    fn read(auth: &str) -> Result<Auth, String> {
        let text = format!("auth = {auth}");
        let document = Document::new("tripline.toml", text);
        let read = document.read(|table| {
            let auth = table.required("auth");
            table.finish();
            auth
        });
        read.map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_token_is_given_by_reference() {
        let auth = read("{ bearer = { env = 'T' } }").expect("right");
        assert_eq!(auth, Auth::Bearer(SecretRef::Env("T".to_owned())));
        assert_eq!(auth.token(), Some(&SecretRef::Env("T".to_owned())));
    }

    #[test]
    fn no_auth_must_be_written_to_be_had() {
        assert_eq!(read("'none'"), Ok(Auth::None));
        assert_eq!(Auth::None.token(), None);
        for wrong in ["'off'", "true", "''", "{}", "{ bearer = 'hunter2' }"] {
            let report = read(wrong).expect_err(wrong);
            assert!(!report.contains("hunter2"), "{report}");
        }
        let report = read("'off'").expect_err("not known");
        assert!(
            report.contains("or \"none\" to let everybody in"),
            "{report}"
        );
    }
}
