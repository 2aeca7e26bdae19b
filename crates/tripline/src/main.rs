//! The `tripline` binary: arguments in, exit code out.

use std::process::ExitCode;

/// Events are made on one thread and dropped on another: the C library's allocator spends a seventh of the hub's time on
/// that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tripline::main()
}
