//! Each rule finds what it is for: a good history is broken in one place, and that rule speaks.

use tripline_tests::Vitals;

use super::*;
use crate::facts::Printed;
use crate::history::Answer;
use crate::ledger::Deeds;
use crate::payload;
use crate::secrets::Search;

struct Scene {
    observed: Observations,
    ledger: Ledger,
    facts: Facts,
}

fn invocation(id: &str, trigger: &str, mark: &str, state: &str) -> Invocation {
    Invocation {
        id: id.to_owned(),
        trigger: trigger.to_owned(),
        event: format!("event of {id}"),
        mark: mark.to_owned(),
        state: state.to_owned(),
        ran: "yes".to_owned(),
        signal: None,
        accepted_at: 5000,
        ended_at: 5000,
        stands_for: 1,
        printed: Some(printed(PRINTS)),
    }
}

/// A tick that was due at this second.
fn tick(id: &str, second: i64) -> Invocation {
    Invocation {
        event: format!("tick@1970-01-01T00:00:{second:02}Z"),
        ..invocation(id, "tick", "tick", "succeeded")
    }
}

fn printed(lines: [&[&str]; 2]) -> Printed {
    lines.map(|of_one| of_one.iter().map(|line| (*line).to_owned()).collect())
}

/// A call that succeeded, one that failed as it was to, one refused, a record and a tick.
fn good() -> Scene {
    let mut observed = Observations::default();
    for (mark, answer) in [
        ("/call/a", Answer::Receipt("1".to_owned())),
        ("/call/b-fail", Answer::Receipt("2".to_owned())),
        ("/call/c", Answer::Refused),
    ] {
        let call = observed.calls.entry(mark.to_owned()).or_default();
        call.sent += 1;
        call.answers.push(answer);
    }
    observed.records.insert("record-0".to_owned(), true);
    observed.committed.insert((0, 1), 5000);
    observed.seen.insert("1".to_owned(), "succeeded".to_owned());
    let deeds = |mark: &str| Deeds {
        data: Some(payload::digest(mark)),
        starts: 1,
        halves: 1,
        ends: 1,
        mark: mark.to_owned(),
    };
    let runs = [
        ("1", "/call/a"),
        ("2", "/call/b-fail"),
        ("3", "record-0"),
        ("4", "tick"),
    ];
    let ledger = runs.map(|(id, mark)| (id.to_owned(), deeds(mark))).into();
    let facts = Facts {
        invocations: vec![
            invocation("1", "call", "/call/a", "succeeded"),
            invocation("2", "call", "/call/b-fail", "failed"),
            Invocation {
                event: "0/0".to_owned(),
                ..invocation("3", "record", "record-0", "succeeded")
            },
            tick("4", 4),
        ],
        lives: vec![0],
        vitals: Some(Vitals {
            rss_kib: 1,
            files: 1,
            threads: 1,
        }),
        executors: vec![Vitals {
            rss_kib: 1,
            files: 1,
            threads: 1,
        }],
        search: Search::of_so_many(1),
        ..Facts::default()
    };
    Scene {
        observed,
        ledger,
        facts,
    }
}

fn wrong(scene: &Scene) -> Vec<String> {
    check(&Evidence {
        observed: &scene.observed,
        ledger: &scene.ledger,
        facts: &scene.facts,
    })
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(wrong(&good()), Vec::<String>::new());
}

/// Breaks a good history; the rule of that name must be among those that speak.
fn speaks(rule: &str, harm: impl Fn(&mut Scene)) {
    let mut scene = good();
    harm(&mut scene);
    let found = wrong(&scene);
    assert!(
        found
            .iter()
            .any(|one| one.starts_with(&format!("{rule}: "))),
        "{rule}: {found:?}"
    );
}

#[test]
fn every_rule_speaks() {
    speaks("receipts are known", |scene| {
        scene.facts.invocations.remove(0);
    });
    speaks("receipts are known", |scene| {
        scene.facts.invocations[0].mark = "/call/z".to_owned()
    });
    speaks("one start", |scene| {
        scene.ledger.get_mut("1").unwrap().starts = 2
    });
    speaks("everything ends", |scene| {
        scene.facts.invocations[0].state = "running".to_owned()
    });
    speaks("nothing runs that nobody sent", |scene| {
        scene.ledger.insert("9".to_owned(), Deeds::default());
    });
    speaks("nothing runs that nobody sent", |scene| {
        scene.observed.calls.remove("/call/a");
    });
    speaks("events are whole", |scene| {
        let deeds = scene.ledger.get_mut("1").unwrap();
        deeds.data = Some(payload::digest("/call/b"));
    });
    speaks("events are whole", |scene| {
        scene.ledger.get_mut("3").unwrap().data = None
    });
    speaks("one acceptance for one event", |scene| {
        let again = invocation("5", "record", "record-0", "succeeded");
        scene.facts.invocations.push(again);
    });
    speaks("one acceptance for one event", |scene| {
        let call = scene.observed.calls.get_mut("/call/a").unwrap();
        call.answers.push(Answer::Receipt("2".to_owned()));
    });
    speaks("records and objects are accepted", |scene| {
        scene.observed.objects.insert("object-0".to_owned(), true);
    });
    speaks("positions follow", |scene| {
        scene.observed.committed.insert((0, 1), 4999);
    });
    speaks("positions follow", |scene| {
        scene.observed.committed.insert((0, 2), 6000);
    });
    speaks("refused is refused", |scene| {
        scene
            .facts
            .invocations
            .push(invocation("5", "call", "/call/c", "succeeded"));
    });
    speaks("refused is refused", |scene| {
        scene.observed.strange.insert("418".to_owned());
    });
    speaks("the limit", |scene| {
        let many = (0..=QPS).map(|n| invocation(&n.to_string(), "tick", "tick", "succeeded"));
        scene.facts.invocations = many.collect();
    });
    speaks("states go forward", |scene| {
        scene
            .observed
            .seen
            .insert("1".to_owned(), "failed".to_owned());
    });
    speaks("ends are true", |scene| {
        scene.ledger.get_mut("1").unwrap().ends = 0
    });
    speaks("ends are true", |scene| {
        scene.facts.invocations[0].state = "failed".to_owned()
    });
    speaks("ends are true", |scene| {
        scene.facts.invocations[0].state = "expired".to_owned()
    });
    speaks("ends are true", |scene| {
        scene.facts.invocations[0].state = "lost".to_owned()
    });
    speaks("what ran is said", |scene| {
        scene.facts.invocations[0].ran = "no".to_owned()
    });
    speaks("what ran is said", |scene| {
        scene.ledger.remove("1");
    });
    speaks("logs are whole", |scene| {
        scene.facts.invocations[0].printed = Some(printed([&["one"], &["aside"]]));
    });
    speaks("logs are whole", |scene| {
        scene.facts.invocations[0].printed = Some(printed([&["one", "two"], &[]]));
    });
    speaks("logs are whole", |scene| {
        scene.facts.invocations[1].printed = Some(printed([&["one", "two", "two"], &["aside"]]));
    });
    speaks("logs are whole", |scene| {
        scene.facts.invocations[1].printed = Some(printed([&[], &[]]));
    });
}

#[test]
fn rules_of_ticks_and_of_the_machine_speak() {
    speaks("ticks", |scene| {
        let again = scene.facts.invocations[3].clone();
        scene.facts.invocations.push(again);
    });
    speaks("ticks", |scene| {
        "tick@1970-01-01T00:00:04.5Z".clone_into(&mut scene.facts.invocations[3].event);
    });
    speaks("ticks", |scene| scene.facts.invocations.push(tick("5", 6)));
    speaks("reclaimed", |scene| {
        scene.observed.outlived.insert("1".to_owned());
    });
    speaks("reclaimed", |scene| scene.facts.alive.push(1));
    speaks("reclaimed", |scene| {
        scene.facts.scratch.insert("a".to_owned());
    });
    speaks("reclaimed", |scene| {
        scene.facts.groups.insert("a".to_owned());
    });
    speaks("secrets stay secret", |scene| {
        scene.observed.leaks.insert("in a".to_owned());
    });
    speaks("secrets stay secret", |scene| {
        scene.facts.search.leaks.push("in a".to_owned());
    });
    speaks("secrets stay secret", |scene| {
        scene.facts.search.searched = 0
    });
    speaks("bounded", |scene| scene.facts.executors[0].files = 1000);
    speaks("bounded", |scene| scene.facts.disk_kib = 64 << 10);
    speaks("bounded", |scene| {
        scene.facts.vitals.as_mut().unwrap().threads = 1000
    });
}

#[test]
fn a_second_that_spans_two_lives_has_no_more_than_the_limit() {
    let mut scene = good();
    scene.facts.lives.push(5005);
    let there = scene.facts.invocations.len();
    let mut over = |last: i64| {
        scene.facts.invocations.truncate(there);
        let many = (there..=QPS).map(|n| Invocation {
            accepted_at: if n < QPS { 5000 } else { last },
            ..invocation(&n.to_string(), "call", &format!("/call/{n}"), "succeeded")
        });
        scene.facts.invocations.extend(many);
        wrong(&scene).iter().any(|one| one.starts_with("the limit"))
    };
    assert!(over(5999));
    assert!(!over(6000));
}

#[test]
fn a_tick_stands_for_those_that_did_not_fire() {
    let mut scene = good();
    let deeds = scene.ledger["4"].clone();
    scene.ledger.insert("5".to_owned(), deeds);
    scene.facts.invocations.push(tick("5", 7));
    for (stands_for, count) in [(1, 1), (2, 1), (3, 0), (4, 1)] {
        scene.facts.invocations[4].stands_for = stands_for;
        assert_eq!(wrong(&scene).len(), count, "{:?}", wrong(&scene));
    }
}

#[test]
fn only_a_run_that_met_the_death_of_an_executor_may_be_lost() {
    let mut scene = good();
    scene.facts.invocations[0].state = "lost".to_owned();
    scene.facts.invocations[0].ended_at = 5100;
    for (deaths, count) in [
        (vec![], 1),
        (vec![[4000, 4999], [5101, 5200]], 1),
        (vec![[4990, 5000]], 0),
        (vec![[5100, 5110]], 0),
    ] {
        scene.facts.executor_deaths = deaths;
        scene.facts.function_deaths = vec![[5050, 5060]];
        let found = wrong(&scene);
        let untrue = found.iter().filter(|one| one.starts_with("ends are true"));
        assert_eq!(untrue.count(), count, "{found:?}");
    }
}

#[test]
fn only_a_run_that_met_the_death_of_a_function_may_be_killed() {
    let mut scene = good();
    scene.facts.invocations[1].signal = Some(9);
    scene.facts.executor_deaths = vec![[5000, 5000]];
    scene.facts.function_deaths = vec![[4000, 4999], [5001, 5002]];
    assert_eq!(wrong(&scene).len(), 1);
    scene.facts.function_deaths.push([4999, 5000]);
    assert_eq!(wrong(&scene), Vec::<String>::new());
}

#[test]
fn only_a_run_that_met_a_death_may_have_read_a_part_or_nothing() {
    let found = |state: &str, data: Option<&str>, deaths: [Vec<[i64; 2]>; 2]| {
        let mut scene = good();
        scene.facts.invocations[0].state = state.to_owned();
        scene.ledger.get_mut("1").unwrap().data = data.map(str::to_owned);
        [scene.facts.executor_deaths, scene.facts.function_deaths] = deaths;
        let found = wrong(&scene);
        let torn = found
            .iter()
            .filter(|one| one.starts_with("events are whole"));
        torn.count()
    };
    let met = || vec![[5000, 5000]];
    assert_eq!(found("lost", Some("part"), [met(), vec![]]), 0);
    assert_eq!(found("lost", Some("part"), [vec![], met()]), 1);
    assert_eq!(found("succeeded", Some("part"), [met(), met()]), 1);
    assert_eq!(found("succeeded", None, [vec![], met()]), 0);
    assert_eq!(found("succeeded", None, [met(), vec![]]), 1);
}

#[test]
fn of_an_object_key_and_size_are_read() {
    let mut scene = good();
    let object = invocation("5", "object", "object-0", "succeeded");
    scene.facts.invocations.push(object);
    scene.observed.objects.insert("object-0".to_owned(), true);
    let mut deeds = scene.ledger["1"].clone();
    "object-0".clone_into(&mut deeds.mark);
    for (data, count) in [
        (payload::of_object("object-0"), 0),
        ("object-0:1".into(), 1),
    ] {
        deeds.data = Some(data);
        scene.ledger.insert("5".to_owned(), deeds.clone());
        assert_eq!(wrong(&scene).len(), count, "{:?}", wrong(&scene));
    }
}

#[test]
fn a_power_cut_takes_the_last_lines_and_no_others() {
    let mut scene = good();
    scene.facts.cuts = vec![5001 + LOG_LAG];
    scene.facts.invocations[0].printed = Some(printed([&[], &[]]));
    assert_eq!(wrong(&scene).len(), 1);
    scene.facts.cuts = vec![5000];
    assert_eq!(wrong(&scene), Vec::<String>::new());
    scene.facts.invocations[0].printed = Some(printed([&["two"], &[]]));
    assert_eq!(wrong(&scene).len(), 1, "not the first ones");
}

#[test]
fn a_killed_function_has_the_lines_it_is_known_to_have_printed_and_a_lost_one_may_have_none() {
    let mut scene = good();
    let deeds = scene.ledger.get_mut("2").unwrap();
    (deeds.halves, deeds.ends) = (1, 0);
    scene.facts.function_deaths = vec![[5000, 5000]];
    scene.facts.executor_deaths = vec![[5000, 5000]];
    let mut found = |state: &str, lines| {
        let one = &mut scene.facts.invocations[1];
        (one.state, one.signal) = (state.to_owned(), Some(9));
        one.printed = Some(printed(lines));
        wrong(&scene).len()
    };
    assert_eq!(found("failed", [&["one"], &[]]), 0);
    assert_eq!(found("failed", [&["one"], &["aside"]]), 0);
    assert_eq!(found("failed", [&[], &[]]), 1);
    assert_eq!(found("lost", [&[], &[]]), 0);
    assert_eq!(found("lost", [&["two"], &[]]), 1);
}

#[test]
fn every_rule_has_a_case() {
    let source = include_str!("tests.rs");
    for (name, _) in RULES {
        assert!(source.contains(&format!("speaks(\"{name}\"")), "{name}");
    }
}
