//! Which crate may use which: the map of `crates/README.md` as data. A new arrow is a decision; it is made
//! here, in the open.

/// One package and the packages of ours that it may depend on.
pub(super) struct Row {
    pub(super) package: &'static str,
    pub(super) may_use: &'static [&'static str],
    /// What its tests may use on top.
    pub(super) tests_may_use: &'static [&'static str],
}

/// Test kits that every package's tests may use: builders of model values, the contract suite
/// with its fake dispatcher, and how a test says that it did not run.
pub(super) const TEST_KITS: [&str; 3] = ["tripline-model", "tripline-trigger", "tripline-skipped"];

/// What every kind of trigger may use: never another kind, never what stands behind `Dispatch`.
const TRIGGER_KIND: &[&str] = &["tripline-model", "tripline-trigger", "tripline-config"];

/// What those may use that are called.
const CALLED_KIND: &[&str] = &[
    "tripline-model",
    "tripline-trigger",
    "tripline-config",
    "tripline-listener",
];

pub(super) const TABLE: [Row; 22] = [
    row("tripline-model", &[]),
    row("tripline-config", &[]),
    row("tripline-listener", &["tripline-model"]),
    row(
        "tripline-trigger",
        &["tripline-model", "tripline-config", "tripline-listener"],
    ),
    row("tripline-cron", TRIGGER_KIND),
    row("tripline-http", CALLED_KIND),
    row("tripline-kafka", TRIGGER_KIND),
    row("tripline-s3", CALLED_KIND),
    row("tripline-journal", &["tripline-model"]),
    row("tripline-executor", &["tripline-model"]),
    row(
        "tripline-credentials",
        &[
            "tripline-model",
            "tripline-config",
            "tripline-executor",
            "tripline-runtime",
        ],
    ),
    row(
        "tripline-bench",
        &["tripline-model", "tripline-executor", "tripline-journal"],
    ),
    row("tripline-runtime", &["tripline-model", "tripline-executor"]),
    row(
        "tripline-dispatcher",
        &["tripline-model", "tripline-journal", "tripline-runtime"],
    ),
    Row {
        package: "tripline-api",
        may_use: &[
            "tripline-model",
            "tripline-dispatcher",
            "tripline-journal",
            "tripline-listener",
            "tripline-trigger",
        ],
        // Its tests put a whole hub together, with a runtime that is a script.
        tests_may_use: &["tripline-config", "tripline-runtime"],
    },
    row(
        "tripline",
        &[
            "tripline-model",
            "tripline-config",
            "tripline-listener",
            "tripline-trigger",
            "tripline-cron",
            "tripline-http",
            "tripline-kafka",
            "tripline-s3",
            "tripline-journal",
            "tripline-executor",
            "tripline-runtime",
            "tripline-dispatcher",
            "tripline-credentials",
            "tripline-api",
        ],
    ),
    // It must build and help when the others do not compile.
    row("xtask", &[]),
    row(
        "tripline-simulation",
        &[
            "tripline-model",
            "tripline-journal",
            "tripline-runtime",
            "tripline-dispatcher",
        ],
    ),
    row(
        "tripline-fuzz",
        &[
            "tripline",
            "tripline-model",
            "tripline-config",
            "tripline-listener",
            "tripline-trigger",
            "tripline-runtime",
            "tripline-cron",
            "tripline-http",
            "tripline-kafka",
            "tripline-s3",
        ],
    ),
    // It believes nothing that the hub's own code says: it knows the hub's binary only.
    row("tripline-crash", &["tripline-model", "tripline-tests"]),
    row("tripline-tests", &["tripline-skipped"]),
    row("tripline-skipped", &[]),
];

const fn row(package: &'static str, may_use: &'static [&'static str]) -> Row {
    Row {
        package,
        may_use,
        tests_may_use: &[],
    }
}
