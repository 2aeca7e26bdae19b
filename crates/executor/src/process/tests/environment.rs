//! What a process is given, and that it is given nothing else.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use tripline_model::RequestId;

use super::{Bench, NOW, credentials, has_groups};
use crate::instance::{How, Job, StartError, Starter};
use crate::process::ProcessStarter;

fn variables(env: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8(env.to_vec()).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[tokio::test]
async fn exactly_what_is_promised() {
    let mut bench = Bench::command(&["env", "-0"])
        .with_env("TOKEN", "a=b c\n")
        .with_env("CE_ID", "forged")
        .with_env("TRIPLINE_REQUEST_ID", "forged")
        .with_env("TRIPLINE_SCRATCH", "forged")
        .with_env("AWS_SESSION_TOKEN", "forged")
        .with_variable("CE_ID", "größe");
    bench.start.credentials = Some(credentials(1));
    let scratch = bench.scratch();
    let expected = [
        "AWS_ACCESS_KEY_ID=AKIA1".to_owned(),
        "AWS_SECRET_ACCESS_KEY=secret1".to_owned(),
        "AWS_SESSION_TOKEN=token1".to_owned(),
        "CE_ID=größe".to_owned(),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "PYTHONUNBUFFERED=1".to_owned(),
        "TENCENTCLOUD_SECRETID=AKIA1".to_owned(),
        "TENCENTCLOUD_SECRETKEY=secret1".to_owned(),
        "TENCENTCLOUD_SESSIONTOKEN=token1".to_owned(),
        format!("TMPDIR={}", scratch.display()),
        "TOKEN=a=b c\n".to_owned(),
        format!(
            "TRIPLINE_CREDENTIALS_FILE={}/credentials.json",
            scratch.display()
        ),
        "TRIPLINE_DEADLINE_MS=1795555078243".to_owned(),
        format!("TRIPLINE_EXECUTOR={}", bench.executor_id),
        "TRIPLINE_FUNCTION=resize".to_owned(),
        format!("TRIPLINE_PROCESS={}/resize/{}", bench.executor_id, bench.id),
        format!("TRIPLINE_REQUEST_ID={}", bench.id),
        format!("TRIPLINE_SCRATCH={}", scratch.display()),
    ];
    assert_eq!(variables(&bench.run().await.result), expected.into());
}

#[tokio::test]
async fn what_is_given_by_default_is_the_functions_own_if_it_sets_it() {
    let bench = Bench::command(&["env", "-0"])
        .with_env("PATH", "/bin:/usr/bin")
        .with_env("PYTHONUNBUFFERED", "");
    let found = variables(&bench.run().await.result);
    assert!(found.contains("PATH=/bin:/usr/bin") && found.contains("PYTHONUNBUFFERED="));
}

#[tokio::test]
async fn impossible_variables_fail_the_start_without_showing_the_value() {
    for (name, value) in [("TOKEN", "s3cret\0"), ("A=B", "s3cret"), ("", "s3cret")] {
        let bench = Bench::script("true").with_env(name, value);
        let error = bench.start().await.err().unwrap();
        assert!(matches!(error, StartError::Unpassable(_)));
        assert!(!format!("{error} {error:?} {:?}", bench.spec).contains("s3cret"));
        assert!(!bench.scratch().exists());
    }
}

#[tokio::test]
async fn it_runs_in_the_working_directory_with_a_private_scratch() {
    let script = "pwd -P; stat -c %a $TRIPLINE_SCRATCH; cd $TRIPLINE_SCRATCH && touch x && ls";
    let bench = Bench::script(script);
    let place = bench.dir.path().canonicalize().unwrap();
    let expected = format!("{}\n700\nx\n", place.display());
    assert_eq!(bench.run().await.result, expected.as_bytes());
}

#[tokio::test]
async fn a_scratch_serves_again_only_if_it_is_as_new() {
    let leave = "echo $TRIPLINE_SCRATCH; stat -c %a:%u $TRIPLINE_SCRATCH; ls -A $TRIPLINE_SCRATCH";
    for (script, again) in [
        ("true", true),
        ("echo secret > $TRIPLINE_SCRATCH/.left", false),
        ("chmod 777 $TRIPLINE_SCRATCH", false),
        (
            // To a directory that is as new.
            "mv $TRIPLINE_SCRATCH $TRIPLINE_SCRATCH.away && ln -s $TRIPLINE_SCRATCH.away $TRIPLINE_SCRATCH",
            false,
        ),
    ] {
        let bench = Bench::script(&format!("{leave}; {script}"));
        let certain = has_groups(&bench, "scratch directories that serve again");
        let starter = ProcessStarter::new(bench.surroundings());
        let mut outputs = Vec::new();
        for _ in 0..2 {
            let mut instance = starter.start(bench.job()).await.unwrap();
            instance.wait().await;
            outputs.push(instance.reclaim().await.result);
        }
        let user = rustix::process::geteuid().as_raw();
        let lines: Vec<_> = outputs
            .iter()
            .map(|text| std::str::from_utf8(text).unwrap())
            .collect();
        for text in &lines {
            let rest = text.split_once('\n').unwrap().1;
            assert_eq!(rest, format!("700:{user}\n"), "{script}: not as new");
        }
        assert_eq!(
            lines[0] == lines[1],
            again && certain,
            "{script}: {lines:?}"
        );
    }
}

/// A function that changes from one kind to another has runs of two starters at once.
#[tokio::test]
async fn starters_of_one_executor_share_the_names_of_scratch_directories() {
    let bench = Bench::script("echo $TRIPLINE_SCRATCH; while ! [ -e go ]; do sleep 0.01; done");
    let mut instances = Vec::new();
    for number in [1, 2] {
        let starter = ProcessStarter::new(bench.surroundings());
        let job = Job {
            id: RequestId::new(NOW, [number; 10]),
            ..bench.job()
        };
        instances.push(starter.start(job).await.unwrap());
    }
    std::fs::write(bench.dir.path().join("go"), "").unwrap();
    let mut outputs = Vec::new();
    for mut instance in instances {
        instance.wait().await;
        outputs.push(instance.reclaim().await.result);
    }
    assert!(
        !outputs[0].is_empty() && outputs[0] != outputs[1],
        "{outputs:?}"
    );
}

#[tokio::test]
async fn it_has_three_open_files_leads_its_group_and_gains_no_rights() {
    // The fourth is the directory that `ls` reads.
    let script = "ls /proc/self/fd; cut -d' ' -f5 /proc/$$/stat; echo $$; grep NoNewPrivs /proc/self/status; \
                  awk '/core file size/ {print $5, $6}' /proc/self/limits";
    for isolation in [
        crate::protocol::Isolation::BestEffort,
        crate::protocol::Isolation::None,
    ] {
        let mut bench = Bench::script(script).with_data("x");
        bench.spec.isolation = isolation;
        let inherited = inherited();
        // Something that is open here.
        let _open = std::fs::File::open("/dev/null").unwrap();
        let exit = bench.run().await;
        let text = String::from_utf8(exit.result.to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (open, rest) = lines.split_at(lines.len() - 4);
        let new = open.iter().filter(|fd| !inherited.contains(**fd));
        assert!(new.eq(&["0", "1", "2", "3"]), "{open:?}");
        assert_eq!(rest[0], rest[1]);
        assert_eq!(rest[2..], ["NoNewPrivs:\t1", "0 0"]);
    }
}

#[tokio::test]
async fn scratch_is_removed_but_nothing_it_points_to() {
    let script = "cd $TRIPLINE_SCRATCH; ln -s $OLDPWD/kept link; mkdir -p a/b; touch a/b/c; \
                  ln -s ../../../kept a/link; chmod 000 a/b; chmod 500 a; chmod 000 .";
    let bench = Bench::script(script);
    let kept = bench.dir.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("file"), "precious").unwrap();
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o750)).unwrap();
    assert_eq!(bench.run().await.how, How::Exited(0));
    assert_eq!(std::fs::read(kept.join("file")).unwrap(), b"precious");
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o750);
}

/// Descriptors that this process got from the one that started it, and passes on.
fn inherited() -> BTreeSet<String> {
    let parent = format!("/proc/{}/fd", std::os::unix::process::parent_id());
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let there = std::fs::read_link(format!("{parent}/{name}")).ok()?;
            let same = std::fs::read_link(entry.path()).ok()? == there;
            (same && name.parse::<u32>().ok()? > 2).then_some(name)
        })
        .collect()
}
