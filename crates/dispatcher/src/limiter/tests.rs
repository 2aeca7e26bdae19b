use proptest::prelude::*;

use super::*;

fn limit(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn name(text: &str) -> FunctionName {
    FunctionName::new(text).unwrap()
}

fn limiter(hub: u32, share: u8, function: Option<u32>, trigger: Option<u32>) -> Limiter {
    let functions = function.map(|n| (name("f"), limit(n)));
    let trigger = trigger.map(|n| (TriggerName::new("t").unwrap(), limit(n)));
    Limiter::new(
        limit(hub),
        share,
        functions.into_iter(),
        &trigger.into_iter().collect(),
    )
}

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

impl Limiter {
    /// Checks and takes at the same time.
    fn admit(
        &mut self,
        now: Duration,
        source: Source,
        function: &FunctionName,
        trigger: Option<&TriggerName>,
    ) -> Result<Charge, OverLimit> {
        let mut charge = self.check(now, source, function, trigger)?;
        self.take(&mut charge, now);
        Ok(charge)
    }
}

#[test]
fn n_at_once_then_none_until_exactly_a_second_later() {
    let mut window = Window::new(limit(3));
    for at in [0, 100, 900_000] {
        assert_eq!(window.wait(micros(at), 0), Duration::ZERO);
        window.take(micros(at));
    }
    assert_eq!(window.wait(micros(950_000), 0), micros(50_000));
    assert_eq!(window.wait(micros(999_999), 0), micros(1));
    assert_eq!(window.wait(micros(1_000_000), 0), Duration::ZERO);
    window.take(micros(1_000_000));
    assert_eq!(window.wait(micros(1_000_000), 0), micros(100));
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let mut limiter = limiter(2, 0, Some(2), None);
    let function = name("f");
    let first = limiter
        .admit(micros(1), Source::Pull, &function, None)
        .unwrap();
    limiter
        .admit(micros(2), Source::Pull, &function, None)
        .unwrap();
    assert!(
        limiter
            .admit(micros(3), Source::Pull, &function, None)
            .is_err()
    );
    limiter.give_back(&first);
    limiter
        .admit(micros(3), Source::Pull, &function, None)
        .unwrap();
    assert!(
        limiter
            .admit(micros(4), Source::Pull, &function, None)
            .is_err()
    );
}

#[test]
fn an_event_counts_from_when_it_was_taken() {
    let mut limiter = limiter(1, 0, None, None);
    let function = name("f");
    let mut charge = limiter
        .check(micros(0), Source::Push, &function, None)
        .unwrap();
    limiter.take(&mut charge, micros(300_000));
    let again = limiter.check(micros(1_200_000), Source::Push, &function, None);
    assert_eq!(again.unwrap_err().retry_after, micros(100_000));
    limiter.give_back(&charge);
    let again = limiter.check(micros(1_200_000), Source::Push, &function, None);
    assert!(again.is_ok());
}

#[test]
fn an_event_takes_from_all_its_limits_or_from_none() {
    let mut limiter = limiter(10, 0, Some(5), Some(2));
    let (function, trigger) = (name("f"), TriggerName::new("t").unwrap());
    let mut admit = |trigger: Option<&TriggerName>| {
        limiter
            .admit(Duration::ZERO, Source::Push, &function, trigger)
            .map(|_| ())
    };
    let refused = |scope, limit| {
        Err(OverLimit {
            scope,
            limit,
            retry_after: WINDOW,
        })
    };
    assert_eq!(
        [admit(Some(&trigger)), admit(Some(&trigger))],
        [Ok(()), Ok(())]
    );
    for _ in 0..20 {
        assert_eq!(admit(Some(&trigger)), refused(Scope::Trigger, 2));
    }
    // The refused took nothing of the function's five.
    assert_eq!([admit(None), admit(None), admit(None)], [Ok(()); 3]);
    assert_eq!(admit(None), refused(Scope::Function, 5));
}

#[test]
fn pull_leaves_the_share_of_push() {
    for (hub, share, pull) in [
        (1000, 20, 800),
        (10, 100, 1),
        (1, 20, 1),
        (7, 0, 7),
        (10, 255, 1),
    ] {
        let mut limiter = limiter(hub, share, None, None);
        let function = name("f");
        let mut count = |source| {
            let admit = |_: &u32| {
                limiter
                    .admit(Duration::ZERO, source, &function, None)
                    .is_ok()
            };
            (0..hub * 2).filter(admit).count() as u32
        };
        assert_eq!(
            (count(Source::Pull), count(Source::Push)),
            (pull, hub - pull)
        );
    }
}

#[test]
fn what_a_held_up_pull_source_waits_for_is_kept_from_push() {
    let mut limiter = limiter(10, 20, None, None);
    let function = name("f");
    let push = |limiter: &mut Limiter, at| {
        let admit = limiter.admit(micros(at), Source::Push, &function, None);
        admit.map(drop).map_err(|over| over.retry_after)
    };
    for at in 0..10 {
        assert_eq!(push(&mut limiter, at * 1000), Ok(()));
    }
    let pull = |limiter: &mut Limiter, at| {
        let admit = limiter.admit(micros(at), Source::Pull, &function, None);
        admit.map(drop).map_err(|over| over.retry_after)
    };
    limiter.want(0, 3);
    assert_eq!(pull(&mut limiter, 999_000), Err(micros(1000)));
    // Three that become free are kept, and it is said when a fourth does.
    assert_eq!(push(&mut limiter, 1_001_000), Err(micros(2000)));
    assert_eq!(push(&mut limiter, 1_003_000), Ok(()));
    for _ in 0..3 {
        assert_eq!(pull(&mut limiter, 1_003_000), Ok(()));
    }
    limiter.want(3, 0);
    assert_eq!(push(&mut limiter, 1_004_000), Ok(()));
    // A source that only waits for its turn, and is not held up, keeps nothing.
    limiter.want(0, 3);
    assert_eq!(push(&mut limiter, 1_005_000), Ok(()));
}

#[test]
fn more_than_the_part_of_pull_is_not_kept() {
    let mut limiter = limiter(10, 20, None, None);
    let function = name("f");
    let admit = |limiter: &mut Limiter, source| {
        limiter
            .admit(Duration::ZERO, source, &function, None)
            .is_ok()
    };
    limiter.want(0, 100);
    let pulled = (0..100).filter(|_| admit(&mut limiter, Source::Pull));
    assert_eq!(pulled.count(), 8);
    let pushed = (0..100).filter(|_| admit(&mut limiter, Source::Push));
    assert_eq!(pushed.count(), 2);
}

#[test]
fn a_late_caller_with_an_early_time_breaks_nothing() {
    let mut limiter = limiter(1, 0, None, None);
    let function = name("f");
    limiter
        .admit(micros(500_000), Source::Push, &function, None)
        .unwrap();
    let over = limiter
        .admit(micros(400_000), Source::Push, &function, None)
        .unwrap_err();
    assert_eq!(over.retry_after, WINDOW);
}

proptest! {
    /// In no window of one second more than N, whatever is offered when; `retry_after` is exact; and an offer is only
    /// refused when the N are used.
    #[test]
    fn exact(n in 1_u32..20, gaps in prop::collection::vec(0_u64..300_000, 1..200)) {
        let mut limiter = limiter(n, 0, None, None);
        let function = name("f");
        let (mut now, mut admitted) = (Duration::ZERO, Vec::new());
        for gap in gaps {
            now += micros(gap);
            let recent = |at: &&Duration| now - **at < WINDOW;
            match limiter.admit(now, Source::Push, &function, None) {
                Ok(_) => admitted.push(now),
                Err(over) => {
                    prop_assert_eq!(admitted.iter().filter(recent).count(), n as usize);
                    let free = now + over.retry_after;
                    let then = admitted.iter().filter(|at| free - **at < WINDOW).count();
                    prop_assert_eq!(then, n as usize - admitted.iter().filter(|at| free - **at == WINDOW).count());
                    prop_assert!(then < n as usize);
                }
            }
        }
        for (first, at) in admitted.iter().enumerate() {
            let within = admitted[first..].iter().filter(|later| **later - *at < WINDOW).count();
            prop_assert!(within <= n as usize);
        }
    }
}
