//! Every input of every corpus, and some thousand others made out of them.

use std::panic::catch_unwind;

use tripline_fuzz::{Mutator, TARGETS, Target, corpus, keep};

#[test]
fn every_input_that_is_kept_is_read_as_it_must_be() {
    for target in TARGETS {
        let inputs = corpus(target.name).expect("a corpus");
        assert!(inputs.len() >= 3, "{} has hardly any input", target.name);
        for input in inputs {
            let path = input.path.display().to_string();
            let run = catch_unwind(|| (target.run)(&input.bytes));
            assert!(run.is_ok(), "{} goes wrong with {path}", target.name);
        }
    }
}

#[test]
fn inputs_that_nobody_wrote_are_read_as_they_must_be() {
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(move || try_many(target));
        }
    });
}

fn try_many(target: Target) {
    let inputs = corpus(target.name).expect("a corpus");
    let inputs: Vec<Vec<u8>> = inputs.into_iter().map(|input| input.bytes).collect();
    // The same in every run.
    let mut mutator = Mutator::new(1);
    for _ in 0..target.tries {
        let bytes = mutator.next(&inputs);
        if catch_unwind(|| (target.run)(&bytes)).is_err() {
            let path = keep(target.name, &bytes).expect("it can be kept");
            panic!(
                "{} goes wrong with {}, which is now in its corpus",
                target.name,
                path.display()
            );
        }
    }
}
