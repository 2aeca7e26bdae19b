//! Secrets are not compared with `==`, which ends at the first difference and so tells how much of a guess is right.

use std::path::PathBuf;

use super::processes::is_product;

/// What gives a secret's text.
const TEXTS: [&str; 2] = [".expose()", ".hand_out()"];

/// Each line of the product on which a secret's text is compared.
pub(super) fn check(sources: &[(PathBuf, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| is_product(path)) {
        for (at, line) in text.lines().enumerate() {
            if compares(line) {
                complaints.push(format!(
                    "{}:{}: compares a secret with `==`: use `Key::matches`, or `subtle`",
                    path.display(),
                    at + 1
                ));
            }
        }
    }
    complaints
}

fn compares(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let has = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
    has(&TEXTS) && has(&["==", "!="])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_in_the_product_is_found_with_its_line() {
        let text = "fn a() {\n    key.hand_out().as_bytes() == shown\n}\n";
        let sources = |path: &str| [(path.into(), text.to_owned())];
        let complaints = check(&sources("crates/executor/src/a.rs"));
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].starts_with("crates/executor/src/a.rs:2: compares a secret"));
        assert!(check(&sources("crates/executor/src/a/tests.rs")).is_empty());
    }

    #[test]
    fn what_compares_no_secret_is_let_alone() {
        assert!(compares("if hello.key.expose() != key {"));
        for line in [
            "let text = key.expose();",
            "if a == b { // key.expose() == c",
            "assert_eq!(found.expose(), text);",
        ] {
            assert!(!compares(line), "{line}");
        }
    }
}
