//! The `tripline` binary: arguments in, exit code out.

use std::process::ExitCode;

/// Events are made on one thread and dropped on another: the C library's allocator spends a seventh of the hub's time on
/// that. This one gives back what a burst took, too, where mimalloc keeps it with threads that went to sleep.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tripline::main()
}
