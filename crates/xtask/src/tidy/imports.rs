//! Compares the manifests' dependencies with the [`table`](super::table).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::tidy::table::{Row, TEST_KITS};

/// A workspace member and which other members its manifest names.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) uses: Vec<Use>,
}

/// One dependency on another member.
pub(super) struct Use {
    pub(super) package: String,
    /// Under `[dev-dependencies]`.
    pub(super) for_tests: bool,
}

/// The members in what `cargo metadata --no-deps` prints.
pub(super) fn packages(metadata: &Value) -> Vec<Package> {
    let members = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = members.iter().map(name).collect();
    let uses = |member: &Value| {
        let dependencies = member["dependencies"].as_array().into_iter().flatten();
        dependencies
            .map(|to| Use {
                package: name(to),
                for_tests: to["kind"].as_str() == Some("dev"),
            })
            .filter(|to| names.contains(&to.package))
            .collect()
    };
    members
        .iter()
        .map(|member| Package {
            name: name(member),
            uses: uses(member),
        })
        .collect()
}

/// Complains about every arrow that the table does not allow, every one that it allows and nobody
/// needs, every member that it does not know and every row that describes nobody.
pub(super) fn check(packages: &[Package], table: &[Row]) -> Vec<String> {
    let rows: BTreeMap<&str, &Row> = table.iter().map(|row| (row.package, row)).collect();
    let mut complaints = Vec::new();
    for package in packages {
        let name = &package.name;
        let Some(row) = rows.get(name.as_str()) else {
            complaints.push(format!(
                "{name}: not in the table (crates/xtask/src/tidy/table.rs)"
            ));
            continue;
        };
        for used in package.uses.iter().filter(|used| !allowed(row, used)) {
            let kind = if used.for_tests {
                "its tests may not use"
            } else {
                "may not use"
            };
            complaints.push(format!("{name}: {kind} {}", used.package));
        }
        complaints.extend(unneeded(row, package));
    }
    let known = |row: &&Row| packages.iter().any(|package| package.name == row.package);
    let stale = table.iter().filter(|row| !known(row));
    complaints
        .extend(stale.map(|row| format!("{}: in the table, but no such member", row.package)));
    complaints
}

fn allowed(row: &Row, used: &Use) -> bool {
    let name = used.package.as_str();
    let in_tests =
        used.for_tests && (TEST_KITS.contains(&name) || row.tests_may_use.contains(&name));
    row.may_use.contains(&name) || in_tests
}

/// An arrow that is allowed and not there would come back without anybody deciding it.
fn unneeded(row: &Row, package: &Package) -> Vec<String> {
    let is_used = |name: &str, for_tests: bool| {
        let mut uses = package.uses.iter();
        uses.any(|used| used.package == name && used.for_tests == for_tests)
    };
    let may_use = row.may_use.iter().filter(|name| !is_used(name, false));
    let tests = row.tests_may_use.iter().filter(|name| !is_used(name, true));
    may_use
        .chain(tests)
        .map(|name| {
            format!(
                "{}: the table lets it use {name}, which it does not",
                row.package
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: [Row; 3] = [
        Row {
            package: "tripline-model",
            may_use: &[],
            tests_may_use: &[],
        },
        Row {
            package: "tripline-journal",
            may_use: &["tripline-model"],
            tests_may_use: &["tripline-api"],
        },
        Row {
            package: "tripline-api",
            may_use: &["tripline-journal"],
            tests_may_use: &[],
        },
    ];

    /// All that the table allows.
    const NEEDED: [(&str, &str, Option<&str>); 3] = [
        ("tripline-journal", "tripline-model", None),
        ("tripline-journal", "tripline-api", Some("dev")),
        ("tripline-api", "tripline-journal", None),
    ];

    /// Where all that the table allows is needed, and `further` arrows are there.
    fn complaints(further: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        complaints_of(&[&NEEDED, further].concat())
    }

    fn complaints_of(uses: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let members = ["tripline-model", "tripline-journal", "tripline-api"].map(|member| {
            let dependencies: Vec<Value> = uses
                .iter()
                .filter(|(from, ..)| *from == member)
                .map(|(_, to, kind)| json!({ "name": to, "kind": kind }))
                .collect();
            json!({ "name": member, "dependencies": dependencies })
        });
        check(&packages(&json!({ "packages": members })), &TABLE)
    }

    #[test]
    fn allowed_arrows_and_foreign_crates_pass() {
        let uses = [
            ("tripline-journal", "serde", None),
            ("tripline-api", "tripline-journal", Some("build")),
        ];
        assert_eq!(complaints(&uses), Vec::<String>::new());
    }

    #[test]
    fn a_forbidden_arrow_is_named() {
        let uses = [("tripline-model", "tripline-api", None)];
        assert_eq!(
            complaints(&uses),
            ["tripline-model: may not use tripline-api"]
        );
    }

    #[test]
    fn an_arrow_that_nobody_needs_is_named() {
        for (at, (package, used, _)) in NEEDED.iter().enumerate() {
            let mut uses = NEEDED.to_vec();
            uses.remove(at);
            assert_eq!(
                complaints_of(&uses),
                [format!(
                    "{package}: the table lets it use {used}, which it does not"
                )]
            );
        }
    }

    #[test]
    fn what_tests_may_use_the_code_may_not() {
        let uses = [("tripline-journal", "tripline-api", None)];
        assert_eq!(
            complaints(&uses),
            ["tripline-journal: may not use tripline-api"]
        );
        let uses = [("tripline-api", "tripline-model", Some("dev"))];
        assert_eq!(
            complaints(&uses),
            Vec::<String>::new(),
            "test kits are for all"
        );
        let uses = [("tripline-model", "tripline-api", Some("dev"))];
        assert_eq!(
            complaints(&uses),
            ["tripline-model: its tests may not use tripline-api"]
        );
    }

    #[test]
    fn unknown_members_and_stale_rows_are_named() {
        let metadata = json!({ "packages": [{ "name": "tripline-new", "dependencies": [] }] });
        let complaints = check(&packages(&metadata), &TABLE[..1]);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(
            complaints[0].starts_with("tripline-new: not in the table"),
            "{complaints:?}"
        );
        assert!(
            complaints[1].starts_with("tripline-model: in the table, but"),
            "{complaints:?}"
        );
    }

    #[test]
    fn the_real_table_allows_no_kind_of_trigger_to_see_another_or_the_dispatcher() {
        let kinds = [
            "tripline-cron",
            "tripline-http",
            "tripline-kafka",
            "tripline-s3",
        ];
        for row in super::super::table::TABLE
            .iter()
            .filter(|row| kinds.contains(&row.package))
        {
            for other in kinds
                .iter()
                .chain(&["tripline-dispatcher", "tripline-journal"])
            {
                let used = Use {
                    package: (*other).to_owned(),
                    for_tests: false,
                };
                assert!(!allowed(row, &used), "{} may use {other}", row.package);
            }
        }
    }
}
