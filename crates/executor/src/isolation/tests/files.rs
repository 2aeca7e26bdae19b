//! What functions reach: files, processes, sockets.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use super::*;

/// The rules of a site, where there is Landlock of this version.
fn rules(test: &str, site: &Site, abi: u32) -> Option<Ruleset> {
    let isolator = site.isolator();
    let found = isolator.level().landlock_abi;
    let rules = isolator.ruleset(&site.spec(), &site.scratch()).unwrap();
    isolator.close();
    if found.is_none_or(|found| found < abi) {
        skipped(
            test,
            &format!("Landlock {abi} is needed, the kernel has {found:?}"),
        );
        return None;
    }
    Some(rules)
}

#[test]
fn what_others_have_is_out_of_reach() {
    let site = Site::new();
    let Some(rules) = rules("files out of reach", &site, 1) else {
        return;
    };
    let scripts = [
        "cat $DATA/admin.token",
        "cat $DATA/executors/e/scratch/other/theirs",
        "cat data/executors/../admin.token",
        "ln -s $DATA/admin.token $SCRATCH/link && cat $SCRATCH/link",
        "echo x > $DATA/new",
        "echo x >> $DATA/admin.token",
        "mkdir $DATA/executors/e/scratch/third",
        "cat /proc/$EXECUTOR/environ",
        "cat /proc/$EXECUTOR/root/$DATA/admin.token",
        "cat /proc/$EXECUTOR/maps",
        "ls /proc/$EXECUTOR/cwd/",
    ];
    for script in scripts {
        let script =
            format!("{script} && rm -rf $SCRATCH/link $DATA/new $DATA/executors/e/scratch/third");
        let control = without(&site, &script);
        assert!(control.status.success(), "{script}: {control:?}");
        let caught = within(&rules, &site, &script);
        assert!(!caught.status.success(), "{script}: {caught:?}");
        let output = String::from_utf8_lossy(&caught.stderr);
        assert!(
            output.contains("denied") || output.contains("not permitted"),
            "{script}: {output}"
        );
        let _link = fs::remove_file(site.scratch().join("link"));
    }
}

#[test]
fn what_functions_need_is_in_reach() {
    let site = Site::new();
    let Some(rules) = rules("files in reach", &site, 1) else {
        return;
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let scripts = [
        "bash program.sh && cat $PWD/program.sh && ls . && echo x >> program.sh",
        "cd $SCRATCH && echo x > a && mkdir d && mv a d/b && cat d/b && rm -r d && ls",
        "f=$(mktemp -p /tmp) && echo x > $f && cat $f && mv $f $SCRATCH/moved && rm $SCRATCH/moved",
        "echo x > /dev/null && head -c 1 /dev/urandom && cat /proc/self/status /sys/kernel/mm/transparent_hugepage/enabled",
        "sleep 60 & kill $! && true | cat",
        &format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}",
            port.local_addr().unwrap().port()
        ),
    ];
    for script in scripts {
        let done = within(&rules, &site, script);
        assert!(done.status.success(), "{script}: {done:?}");
    }
    let listed = String::from_utf8(within(&rules, &site, "ls").stdout).unwrap();
    assert_eq!(listed, "data\nprogram.sh\n");
}

#[test]
fn new_privileges_and_lifting_of_limits_are_refused() {
    let site = Site::new();
    let Some(rules) = rules("no new privileges", &site, 1) else {
        return;
    };
    let done = within(&rules, &site, "grep NoNewPrivs /proc/self/status");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "NoNewPrivs:\t1\n");
    let script = "for f in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -writable); do echo 0 > $f && exit 3; done; exit 0";
    assert_eq!(within(&rules, &site, script).status.code(), Some(0));
}

#[test]
fn without_landlock_there_is_no_new_privs() {
    let site = Site::new();
    let done = within(
        &Ruleset::without_landlock(),
        &site,
        "grep NoNewPrivs /proc/self/status",
    );
    assert_eq!(String::from_utf8_lossy(&done.stdout), "NoNewPrivs:\t1\n");
}

#[test]
fn processes_outside_get_no_signals_and_no_connections() {
    let site = Site::new();
    let Some(rules) = rules("signals and abstract sockets", &site, 6) else {
        return;
    };
    let mut victim = Command::new("sleep").arg("4711.01").spawn().unwrap();
    let kill = format!("kill -9 {}", victim.id());
    assert!(!within(&rules, &site, &kill).status.success());
    assert!(!within(&rules, &site, "kill -0 $EXECUTOR").status.success());
    assert!(victim.try_wait().unwrap().is_none());
    victim.kill().unwrap();
    victim.wait().unwrap();

    let address = SocketAddr::from_abstract_name(&site.id).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    UnixStream::connect_addr(&address).unwrap();
    let connect = || {
        rules.restrict_this_thread().unwrap();
        UnixStream::connect_addr(&address).map(drop)
    };
    let refused = thread::scope(|scope| scope.spawn(connect).join().unwrap());
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::PermissionDenied
    );
}

#[test]
fn links_to_the_data_directory_lead_nowhere() {
    let mut site = Site::new();
    symlink(&site.data, site.site.join("link")).unwrap();
    symlink(&site.site, site.site.parent().unwrap().join("way")).unwrap();
    site.data = site.site.parent().unwrap().join("way/link");
    let Some(rules) = rules("links", &site, 1) else {
        return;
    };
    for script in [
        "cat link/admin.token",
        "cat ../way/data/admin.token",
        "cat $DATA/admin.token",
    ] {
        assert!(without(&site, script).status.success(), "{script}");
        assert!(!within(&rules, &site, script).status.success(), "{script}");
    }
    let own = within(
        &rules,
        &site,
        "echo x > $DATA/executors/e/scratch/mine/a && bash program.sh",
    );
    assert!(own.status.success(), "{own:?}");
}

#[test]
fn the_data_directory_is_listed_only_from_a_working_directory_around_it() {
    let site = Site::new();
    let isolator = site.isolator();
    let mut spec = site.spec();
    spec.working_dir = PathBuf::from("/usr");
    let rules = isolator.ruleset(&spec, &site.scratch()).unwrap();
    let abi = isolator.level().landlock_abi;
    isolator.close();
    if abi.is_none() {
        return skipped("listing", "the kernel has no Landlock");
    }
    assert!(without(&site, "ls $DATA").status.success());
    assert!(!within(&rules, &site, "ls $DATA").status.success());
    assert!(!within(&rules, &site, "ls $SCRATCH/..").status.success());
}

#[test]
fn rules_are_outdated_when_files_come_beside_the_data_directory() {
    let site = Site::new();
    let Some(rules) = rules("outdated rules", &site, 1) else {
        return;
    };
    assert!(rules.is_current());
    fs::write(site.site.join("comes"), "").unwrap();
    fs::remove_file(site.site.join("comes")).unwrap();
    fs::write(site.data.join("inside"), "").unwrap();
    assert!(!rules.is_untouched(), "what came and went leaves a trace");
    assert!(
        rules.is_current(),
        "nothing is there that was not there before"
    );
    fs::write(site.site.join("new"), "").unwrap();
    assert!(!rules.is_current());
    let replaced = Ruleset::new(&site.data, &site.site, &site.scratch()).unwrap();
    fs::rename(site.site.join("new"), site.site.join("program.sh")).unwrap();
    assert!(!replaced.is_current(), "another file of the same name");
}
