//! Aborts the hub when a part of it panics.

use std::io::Write;
use std::panic::{set_hook, take_hook};

use tripline_model::is_contained;

/// From now on a panic that nothing contains ends this process, as `kill -9` would. The next start of the hub recovers;
/// a hub that went on after it lost a task would never again do what that task is for.
pub(crate) fn install() {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        print(panic);
        if !is_contained() {
            // Not through the log: it may be the part that failed.
            let _ = writeln!(
                std::io::stderr(),
                "a part of the hub failed, which it cannot do without: it ends now; start it again, and it goes on"
            );
            std::process::abort();
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::pin::pin;
    use std::process::{Command, Output};

    use tripline_model::contain;

    use super::*;

    /// Set in the process that is to panic: this test's own binary, started again, since a hook is for a whole process.
    const INSIDE: &str = "TRIPLINE_TEST_PANIC";

    fn in_a_process_of_its_own(test: &str) -> Option<Output> {
        if std::env::var_os(INSIDE).is_some() {
            return None;
        }
        let this = std::env::current_exe().unwrap();
        let child = Command::new(this)
            .args([
                &format!("panic_hook::tests::{test}"),
                "--exact",
                "--nocapture",
            ])
            .env(INSIDE, "")
            .output();
        Some(child.unwrap())
    }

    fn with_a_task(task: impl Future<Output = ()> + Send + 'static) {
        install();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(task);
            let _failed = tasks.join_next().await;
        });
        println!("the process goes on");
    }

    #[test]
    fn a_task_that_panics_aborts_the_process() {
        let test = "a_task_that_panics_aborts_the_process";
        let Some(done) = in_a_process_of_its_own(test) else {
            return with_a_task(async { panic!("a fault of the test's own") });
        };
        let errors = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.signal(), Some(6), "{errors}");
        assert!(errors.contains("a fault of the test's own"), "{errors}");
        assert!(errors.contains("start it again"), "{errors}");
    }

    #[test]
    fn a_contained_panic_does_not_abort() {
        let Some(done) = in_a_process_of_its_own("a_contained_panic_does_not_abort") else {
            return with_a_task(async {
                let failed = contain(pin!(async { panic!("a fault of the test's own") })).await;
                assert!(failed.is_err());
            });
        };
        let output = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{output}");
        assert!(output.contains("the process goes on"), "{output}");
    }
}
