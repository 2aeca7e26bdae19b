//! Credentials of a function's role, in its file.

use std::os::unix::fs::{MetadataExt, symlink};

use serde_json::json;

use super::{Bench, credentials};
use crate::instance::How;
use crate::process::credentials::write_credentials;

#[tokio::test]
async fn a_running_function_sees_new_credentials() {
    let script = "cat $TRIPLINE_CREDENTIALS_FILE; stat -c ' %a' $TRIPLINE_CREDENTIALS_FILE; echo up > up; \
                  while ! grep -q secret2 $TRIPLINE_CREDENTIALS_FILE; do sleep 0.01; done; \
                  cat $TRIPLINE_CREDENTIALS_FILE; ls $TRIPLINE_SCRATCH -A | wc -l";
    let mut bench = Bench::script(script);
    bench.start.credentials = Some(credentials(1));
    let run = bench.start().await.unwrap();
    bench.file("up").await;
    run.instance.renew(&credentials(2)).unwrap();
    let exit = run.end().await;
    assert_eq!(exit.how, How::Exited(0));
    let document = |n: u8| {
        json!({
            "Version": 1,
            "AccessKeyId": format!("AKIA{n}"),
            "SecretAccessKey": format!("secret{n}"),
            "SessionToken": format!("token{n}"),
            "Expiration": "2026-11-24T21:17:38.243Z",
        })
    };
    let text = String::from_utf8(exit.result.to_vec()).unwrap();
    let (first, rest) = text.split_once(" 600\n").unwrap();
    let (second, count) = rest.rsplit_once('}').unwrap();
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parse(first), document(1));
    assert_eq!(parse(&format!("{second}}}")), document(2));
    assert_eq!(count.trim(), "1", "nothing else is left there");
}

#[test]
fn no_link_is_followed() {
    let dir = tempfile::TempDir::new().unwrap();
    let (scratch, other) = (dir.path().join("scratch"), dir.path().join("other"));
    std::fs::create_dir(&scratch).unwrap();
    std::fs::write(&other, "precious").unwrap();
    for name in ["credentials.json", ".credentials.json.new"] {
        symlink(&other, scratch.join(name)).unwrap();
    }
    write_credentials(&scratch, &credentials(1)).unwrap();
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
    let written = scratch.join("credentials.json").symlink_metadata().unwrap();
    assert!(written.is_file() && written.mode() & 0o777 == 0o600);

    let link = dir.path().join("link");
    symlink(&scratch, &link).unwrap();
    assert!(write_credentials(&link, &credentials(2)).is_err());
}
