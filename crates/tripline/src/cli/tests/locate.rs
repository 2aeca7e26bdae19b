//! Where the address and the token come from.

use std::path::Path;

use super::*;
use crate::cli::Exit;

fn data_dir(token: Option<&str>, url: Option<&str>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    if let Some(token) = token {
        std::fs::write(dir.path().join("admin.token"), format!("{token}\n")).unwrap();
    }
    if let Some(url) = url {
        let text = serde_json::json!({ "url": url }).to_string();
        std::fs::write(dir.path().join("admin.json"), text).unwrap();
    }
    dir
}

fn with_dir(dir: &Path) -> ClientOptions {
    ClientOptions {
        data_dir: Some(dir.to_owned()),
        ..ClientOptions::default()
    }
}

fn no_env(_: &str) -> Option<String> {
    None
}

fn found(options: &ClientOptions, env: Env<'_>) -> (String, String) {
    let hub = locate(options, env)
        .map_err(|failure| failure.to_string())
        .unwrap();
    (hub.url.to_string(), hub.token)
}

fn refused(options: &ClientOptions, env: Env<'_>) -> Failure {
    locate(options, env).err().expect("refused")
}

#[test]
fn all_from_the_data_directory() {
    let dir = data_dir(Some("t0ken"), Some("http://127.0.0.1:9999"));
    let got = found(&with_dir(dir.path()), &no_env);
    assert_eq!(
        got,
        ("http://127.0.0.1:9999/".to_owned(), "t0ken".to_owned())
    );
    let hub = locate(&with_dir(&dir.path().join(".")), &no_env);
    let from = format!("the token in {}", dir.path().join("admin.token").display());
    assert_eq!(hub.ok().map(|hub| hub.token_from), Some(from));
    let bare = data_dir(Some("t0ken"), None);
    assert_eq!(
        found(&with_dir(bare.path()), &no_env).0,
        "http://127.0.0.1:8081/"
    );
}

#[test]
fn the_config_file_names_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("state")).unwrap();
    std::fs::write(dir.path().join("state/admin.token"), "fr0m-state").unwrap();
    let config = dir.path().join("tripline.toml");
    std::fs::write(&config, "[hub]\ndata_dir = \"./state\"\n").unwrap();
    let options = ClientOptions {
        config: Some(config.clone()),
        ..ClientOptions::default()
    };
    assert_eq!(found(&options, &no_env).1, "fr0m-state");
    std::fs::write(&config, "[hub\n").unwrap();
    assert!(matches!(refused(&options, &no_env), Failure::Usage(_)));
    std::fs::remove_file(&config).unwrap();
    assert!(
        refused(&options, &no_env)
            .to_string()
            .contains("there is no config file")
    );
}

#[test]
fn what_is_said_goes_before_what_is_found() {
    let dir = data_dir(Some("t0ken"), Some("http://127.0.0.1:9999"));
    let env = |name: &str| match name {
        "TRIPLINE_ADMIN" => Some("http://127.0.0.1:1111".to_owned()),
        "TRIPLINE_TOKEN" => Some("fr0m-env".to_owned()),
        _ => None,
    };
    let mut options = with_dir(dir.path());
    let got = found(&options, &env);
    assert_eq!(
        got,
        ("http://127.0.0.1:1111/".to_owned(), "fr0m-env".to_owned())
    );
    options.admin = Some("https://hub.example.com".to_owned());
    let file = dir.path().join("other");
    std::fs::write(&file, "fr0m-file\n").unwrap();
    options.token_file = Some(file);
    let got = found(&options, &no_env);
    assert_eq!(
        got,
        (
            "https://hub.example.com/".to_owned(),
            "fr0m-file".to_owned()
        )
    );
}

#[test]
fn no_token_and_odd_tokens_are_not_authorised() {
    let none = data_dir(None, Some("http://127.0.0.1:9999"));
    let failure = refused(&with_dir(none.path()), &no_env);
    assert!(matches!(failure, Failure::Unauthorised(_)));
    assert!(failure.to_string().contains("admin.token"), "{failure}");
    for odd in ["", " ", "a b", "a\u{7}"] {
        let dir = data_dir(Some(odd), None);
        let failure = refused(&with_dir(dir.path()), &no_env);
        assert!(matches!(failure, Failure::Unauthorised(_)), "{odd:?}");
    }
}

#[test]
fn a_token_that_lies_around_does_not_travel() {
    let lying_around = DataDir {
        path: data_dir(Some("t0ken"), None).keep(),
        named: false,
    };
    for (url, goes) in [
        ("http://127.0.0.1:8081", true),
        ("http://localhost:1", true),
        ("http://[::1]:1", true),
        ("http://192.0.2.1:8081", false),
        ("http://localhost.evil.example", false),
    ] {
        let path = lying_around.path.join("admin.token");
        let token = token_in(&lying_around, &path, &Url::parse(url).unwrap());
        assert_eq!(token.is_ok_and(|token| token.is_some()), goes, "{url}");
    }
    std::fs::remove_dir_all(&lying_around.path).unwrap();
}

#[test]
fn addresses_that_are_none() {
    let dir = data_dir(Some("t0ken"), None);
    for bad in [
        "",
        "127.0.0.1:8081",
        "ftp://x",
        "http://x/path",
        "http://u:p@x",
        "http://x?q=1",
    ] {
        let options = ClientOptions {
            admin: Some(bad.to_owned()),
            ..with_dir(dir.path())
        };
        assert!(
            matches!(refused(&options, &no_env), Failure::Usage(_)),
            "{bad:?}"
        );
    }
}

#[test]
fn the_config_can_be_named_by_the_environment() {
    let dir = data_dir(Some("t0ken"), Some("http://127.0.0.1:9999"));
    let config = dir.path().join("tripline.toml");
    std::fs::write(&config, format!("[hub]\ndata_dir = {:?}\n", dir.path())).unwrap();
    let named = config.display().to_string();
    let env = |name: &str| (name == "TRIPLINE_CONFIG").then(|| named.clone());
    let (url, token) = found(&ClientOptions::default(), &env);
    assert_eq!(
        (url.as_str(), token.as_str()),
        ("http://127.0.0.1:9999/", "t0ken")
    );
}

#[test]
fn an_empty_variable_names_no_configuration() {
    let env = |name: &str| (name == CONFIG_VARIABLE).then(String::new);
    // As without one: there is no tripline.toml where tests run.
    let dir = own_data_dir(&env).map_err(|failure| failure.to_string());
    assert_eq!(dir, Ok("data".into()));
}

#[test]
fn where_no_hub_was_started_none_is_reached() {
    let never = data_dir(None, None);
    let mut options = with_dir(never.path());
    let failure = refused(&options, &no_env);
    assert_eq!(failure.exit(), Exit::Unreachable, "{failure}");
    let words = "has a hub been started here? Name its folder with --config FILE or --data-dir DIR";
    assert!(failure.to_string().contains(words), "{failure}");
    // A hub that was named is there to be reached: only its token is missing.
    options.admin = Some("http://127.0.0.1:9999".to_owned());
    assert_eq!(refused(&options, &no_env).exit(), Exit::Unauthorised);
}

#[test]
fn an_empty_variable_names_no_token_and_no_address() {
    let dir = data_dir(Some("t0ken"), Some("http://127.0.0.1:9999"));
    let env = |name: &str| name.starts_with("TRIPLINE_").then(String::new);
    let got = found(&with_dir(dir.path()), &env);
    let files = ("http://127.0.0.1:9999/".to_owned(), "t0ken".to_owned());
    assert_eq!(got, files);
}
