//! The end of trees: with each kind of control group that there is, and after the executor's death.

use super::*;

/// Daemons in sessions of their own that ignore what can be ignored, and their parents gone.
const DAEMONS: &str = "trap '' TERM HUP INT
for i in 1 2 3; do (setsid bash -c \"trap '' TERM; (sleep NUMBER &) ; sleep NUMBER\" &) ; done
exec sleep NUMBER";

fn ends_daemons(pool: &Arc<GroupPool>, number: &str, wait: &str) {
    let groups = Groups::new(pool, "daemons", &Limits::default()).unwrap();
    let script = format!("{wait}\n{}", DAEMONS.replace("NUMBER", number));
    let mut child = in_groups(&groups, &script);
    assert_eq!(groups.is_certain(), wait.is_empty());
    let words = format!("sleep {number}");
    eventually_blocking("all are there", || running(&words) == 7);
    assert_eq!(groups.is_empty(), Some(false));
    groups.kill_all();
    child.wait().unwrap();
    eventually_blocking("empty", || {
        groups.kill_all();
        groups.is_empty() == Some(true)
    });
    assert_eq!(running(&words), 0);
    groups.remove();
    pool.close();
}

#[test]
fn daemons_end_with_all_control_groups() {
    let site = Site::new();
    let v1 = hierarchy::find()
        .iter()
        .any(|one| one.version == Version::V1);
    let wait = if v1 { "" } else { "read -r inside" };
    match site.pool(|_all| true) {
        Some(pool) => ends_daemons(&pool, "4712.01", wait),
        None => skipped("daemons", "no control groups can be made"),
    }
    assert!(site.left().is_empty());
}

#[test]
fn daemons_end_with_v2_alone() {
    let site = Site::new();
    match site.pool(|one| one.version == Version::V2) {
        Some(pool) => ends_daemons(&pool, "4712.02", "read -r inside"),
        None => skipped("daemons with v2", "no control groups v2 can be made"),
    }
    assert!(site.left().is_empty());
}

#[test]
fn daemons_end_with_the_memory_hierarchy_of_v1_alone() {
    let site = Site::new();
    let memory = |one: &Hierarchy| one.controllers == [hierarchy::Controller::Memory];
    match site.pool(memory) {
        Some(pool) => ends_daemons(&pool, "4712.03", ""),
        None => skipped(
            "daemons with v1 memory",
            "no such control groups can be made",
        ),
    }
    assert!(site.left().is_empty());
}

#[test]
fn forking_without_end_is_ended() {
    let site = Site::new();
    let isolator = site.isolator();
    if !isolator.level().pids {
        return skipped("fork bomb", &isolator.level().to_string());
    }
    let limits = Limits {
        pids: Some(40),
        ..Limits::default()
    };
    let groups = isolator.groups("bomb", &limits).unwrap();
    let mut child = in_groups(&groups, "f() { sleep 4712.04 & (f &) ; f; }; f");
    eventually_blocking("it has grown", || running("sleep 4712.04") > 15);
    groups.kill_all();
    child.wait().unwrap();
    eventually_blocking("empty", || groups.is_empty() == Some(true));
    assert_eq!(running("sleep 4712.04"), 0);
    groups.remove();
    isolator.close();
    assert!(site.left().is_empty());
}

#[test]
fn children_that_slipped_through_are_moved() {
    let site = Site::new();
    let Some(pool) = site.pool(|one| one.version == Version::V2) else {
        return skipped("slipped children", "no control groups v2 can be made");
    };
    let groups = Groups::new(&pool, "slipped", &Limits::default()).unwrap();
    let script = "sleep 4712.05 & bash -c 'sleep 4712.05 & wait' & wait";
    let mut command = Command::new("bash");
    let mut child = command
        .arg("-c")
        .arg(script)
        .env(MARK, mark())
        .spawn()
        .unwrap();
    eventually_blocking("all are there", || running("sleep 4712.05") == 2);
    groups.add(pid(&child)).unwrap();
    groups.kill_all();
    child.wait().unwrap();
    eventually_blocking("empty", || groups.is_empty() == Some(true));
    assert_eq!(running("sleep 4712.05"), 0);
    groups.remove();
    pool.close();
    assert!(site.left().is_empty());
}

#[test]
fn a_process_that_is_gone_can_be_added() {
    let site = Site::new();
    let isolator = site.isolator();
    let groups = isolator.groups("gone", &Limits::default()).unwrap();
    let mut child = Command::new("true").spawn().unwrap();
    let number = pid(&child);
    child.wait().unwrap();
    groups.add(number).unwrap();
    groups.remove();
    isolator.close();
    assert!(site.left().is_empty());
}

#[test]
fn what_a_dead_executor_left_is_swept() {
    let site = Site::new();
    let isolator = site.isolator();
    if isolator.pool.versions().is_empty() {
        return skipped("sweep", &isolator.level().to_string());
    }
    let limits = Limits {
        cpu_millis: Some(1000),
        ..Limits::default()
    };
    let groups = isolator.groups("left", &limits).unwrap();
    let mut child = in_groups(&groups, "setsid sleep 4712.06 & sleep 4712.06");
    eventually_blocking("all are there", || running("sleep 4712.06") == 2);
    // An executor that is killed does not get to drop anything.
    std::mem::forget((groups, isolator));
    assert!(!site.left().is_empty());
    sweep::sweep(&site.executor).unwrap();
    child.wait().unwrap();
    assert_eq!(running("sleep 4712.06"), 0);
    assert!(!sweep::record(&site.executor).exists());
    sweep::sweep(&site.executor).unwrap();
}

#[test]
fn a_record_that_names_other_folders_harms_nothing() {
    let site = Site::new();
    let folder = site.site.join("tripline-folder");
    fs::create_dir(&folder).unwrap();
    let own = hierarchy::find()
        .first()
        .map(|one| one.own.clone())
        .unwrap_or_default();
    let text = format!(
        "/\n\ntripline-x\n{}\n{}\n{}/..\n",
        folder.display(),
        own.display(),
        folder.display()
    );
    fs::write(sweep::record(&site.executor), text).unwrap();
    sweep::sweep(&site.executor).unwrap();
    assert!(folder.exists());
}

#[test]
fn a_restricted_thread_can_start_within_groups() {
    let site = Site::new();
    for version in [Version::V1, Version::V2] {
        let Some(pool) = site.pool(|one| one.version == version) else {
            skipped("groups for restricted threads", &format!("no {version:?}"));
            continue;
        };
        let rules = Ruleset::new(&site.data, &site.site, &site.scratch()).unwrap();
        let limits = Limits {
            pids: Some(2),
            ..Limits::default()
        };
        let groups = Groups::new(&pool, "restricted", &limits).unwrap();
        let start = || {
            rules.restrict_this_thread().unwrap();
            in_groups(&groups, "sleep 4712.07 & wait")
        };
        let mut child = thread::scope(|scope| scope.spawn(start).join().unwrap());
        eventually_blocking("it is there", || running("sleep 4712.07") == 1);
        assert_eq!(groups.is_empty(), Some(false));
        groups.kill_all();
        child.wait().unwrap();
        eventually_blocking("empty", || groups.is_empty() == Some(true));
        assert_eq!(running("sleep 4712.07"), 0);
        groups.remove();
        pool.close();
        assert!(site.left().is_empty());
        fs::remove_file(sweep::record(&site.executor)).unwrap();
    }
}
