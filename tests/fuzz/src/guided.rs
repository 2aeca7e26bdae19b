//! One target in libFuzzer, which keeps what reaches new code. `cargo xtask fuzz` builds and runs it; the environment
//! names the target, since the arguments are libFuzzer's.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tripline_fuzz::{Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TRIPLINE_FUZZ_TARGET").expect("TRIPLINE_FUZZ_TARGET names a target");
    target(&name).expect("there is such a target")
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
