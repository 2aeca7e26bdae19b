//! At which size faults are tried.

use std::sync::LazyLock;

/// Set by `cargo xtask evidence`.
static IS_FULL: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("TRIPLINE_TEST_FULL").is_some_and(|value| value == "1"));

/// How much of a fault a test makes: as much as shows it, or, where `TRIPLINE_TEST_FULL=1`, as much as the fault is
/// `named` with. `tests/README.md` lists what grows.
pub fn full<T>(small: T, named: T) -> T {
    chosen(*IS_FULL, small, named)
}

fn chosen<T>(is_full: bool, small: T, named: T) -> T {
    if is_full { named } else { small }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_run_is_as_large_as_named() {
        assert_eq!((chosen(false, 1, 2), chosen(true, 1, 2)), (1, 2));
    }
}
