//! What a process is given, and that it is given nothing else.

use std::collections::BTreeSet;

use tripline_model::{End, LogStream};

use super::{Bench, NOW, assert_end, result};

fn variables(env: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8(env.to_vec()).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn full() -> Bench {
    let mut bench = Bench::command(&["env", "-0"])
        .with_env("TOKEN", "a=b c\n")
        .with_env("CE_ID", "forged")
        .with_env("TRIPLINE_REQUEST_ID", "forged");
    bench.event.subject = Some("größe/ä b.jpg".to_owned());
    bench.event.content_type = Some("text/plain".to_owned());
    for (name, value) in [("partition", "3"), ("id", "forged"), ("subject", "forged")] {
        bench
            .event
            .extensions
            .insert(name.to_owned(), value.to_owned());
    }
    bench
}

#[tokio::test]
async fn exactly_what_is_promised() {
    let bench = full();
    let ending = bench.run().await;
    let scratch = bench.dir.path().join("scratch").join(bench.id.to_string());
    let expected = [
        "CE_DATACONTENTTYPE=text/plain".to_owned(),
        "CE_ID=e-1".to_owned(),
        "CE_PARTITION=3".to_owned(),
        "CE_SOURCE=/test".to_owned(),
        "CE_SUBJECT=größe/ä b.jpg".to_owned(),
        "CE_TIME=2026-11-24T21:17:38.243Z".to_owned(),
        "CE_TYPE=test.v1".to_owned(),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "TOKEN=a=b c\n".to_owned(),
        format!("TRIPLINE_DEADLINE_MS={}", NOW.as_millis() + 20_000),
        "TRIPLINE_FUNCTION=resize".to_owned(),
        format!("TRIPLINE_HUB={}", bench.hub_id),
        format!("TRIPLINE_REQUEST_ID={}", bench.id),
        format!("TRIPLINE_SCRATCH={}", scratch.display()),
    ];
    assert_eq!(variables(result(&ending)), expected.into());
}

#[tokio::test]
async fn an_absent_attribute_is_an_absent_variable() {
    let mut bench = full().with_env("PATH", "/bin:/usr/bin");
    bench.event.subject = None;
    bench.event.content_type = None;
    let ending = bench.run().await;
    let variables = variables(result(&ending));
    assert!(variables.contains("PATH=/bin:/usr/bin"));
    let absent = ["CE_SUBJECT=", "CE_DATACONTENTTYPE="];
    let found = |name: &&str| variables.iter().any(|line| line.starts_with(*name));
    assert!(!absent.iter().any(found), "{variables:?}");
}

#[tokio::test]
async fn what_cannot_be_passed_is_left_out_with_a_remark() {
    let mut bench = full();
    bench.event.subject = Some("a\0b".to_owned());
    let long = "x".repeat(200_000);
    bench.event.extensions.insert("header".to_owned(), long);
    let ending = bench.run().await;
    assert_end(&ending, End::Succeeded, "exit_code");
    let remarks = bench.lines(LogStream::System);
    assert_eq!(
        remarks,
        [
            "CE_HEADER was left out: the attribute is too large for the environment",
            "CE_SUBJECT was left out: the attribute has a NUL byte",
        ]
    );
}

#[tokio::test]
async fn impossible_variables_fail_the_start_without_showing_the_value() {
    for (name, value) in [("TOKEN", "s3cret\0"), ("A=B", "s3cret"), ("", "s3cret")] {
        let mut bench = Bench::script("true");
        bench = bench.with_env(name, value);
        let ending = bench.run().await;
        assert_end(&ending, End::Failed, "start_failed");
        assert!(!format!("{ending:?} {:?}", bench.spec).contains("s3cret"));
    }
}

#[tokio::test]
async fn it_runs_in_the_working_directory_with_a_private_scratch() {
    let script = "pwd -P; stat -c %a $TRIPLINE_SCRATCH; cd $TRIPLINE_SCRATCH && touch x && ls";
    let bench = Bench::script(script);
    let ending = bench.run().await;
    let place = bench.dir.path().canonicalize().unwrap();
    assert_eq!(
        result(&ending),
        format!("{}\n700\nx\n", place.display()).as_bytes()
    );
}

#[tokio::test]
async fn scratch_is_removed_but_nothing_it_points_to() {
    let script = "cd $TRIPLINE_SCRATCH; ln -s $OLDPWD/kept link; mkdir -p a/b; touch a/b/c; \
                  ln -s ../../../kept a/link; chmod 000 a/b; chmod 500 a";
    let bench = Bench::script(script);
    let kept = bench.dir.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("file"), "precious").unwrap();
    assert_end(&bench.run().await, End::Succeeded, "exit_code");
    assert_eq!(std::fs::read(kept.join("file")).unwrap(), b"precious");
}
