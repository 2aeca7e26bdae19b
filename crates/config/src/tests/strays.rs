//! Lines with text that is in no value: they may hold secrets of which nothing else knows.

use super::{login, settings};
use crate::Document;

/// A file, and the line that its report must show. What it must never show is `hunter2`.
const FILES: [(&str, &str); 30] = [
    ("[f.env]\nDB = 'a'\nDB = 'hunter2'", "3 | DB = ***"),
    ("[f.headers]\nX-Key = 'a'\nX-Key='hunter2'", "3 | X-Key=***"),
    (
        "[f.headers]\n'X-Key' = 'a'\n'X-Key' = 'hunter2'",
        "3 | 'X-Key' = ***",
    ),
    ("evn = { A = 'a', A = 'hunter2' }", "1 | evn = ***"),
    ("[f.env]\nDB hunter2", "2 | DB ***"),
    ("[f.headers]\n  X-Key: 'hunter2'", "2 |   X-Key: ***"),
    ("env = {\nDB = 'hunter2'  x = 3", "2 | DB = ***"),
    ("[f.env]\nDB = hunter2", "2 | DB = ***"),
    ("[f.env]\nDB = 'hunter2", "2 | DB = ***"),
    ("[f.env]\nDB = 'hunter2' 'hunter2'", "2 | DB = ***"),
    // Where a key should be there may be the rest of a value.
    ("[f.env]\nhunter2", "2 | ***"),
    ("[f.env]\n'hunter2'", "2 | ***"),
    ("[f.env]\nhunter2==", "2 | ***"),
    ("[f.env]\nhunter2:hunter2", "2 | ***"),
    ("[f.env]\nDB =\n  'hunter2'", "3 |   ***"),
    ("[f.env]\nDB =\n  hunter2 hunter2", "3 |   ***"),
    ("[f.env]\nDB =\n['hunter2', 5", "3 | [***"),
    ("[f.env]\nDB: |\n  hunter2 hunter2", "3 |   ***"),
    ("[f.env]\nDB: |\n  hunter2=", "3 |   ***"),
    ("[f.env]\nDB = \"a\nhunter2\n\"", "3 | ***"),
    ("[f.env]\nDB = [\n'hunter2' 'a'\n]", "3 | ***"),
    ("[f.env]\nDB = \"\"\"\nhunter2\\q\n\"\"\"", "3 | ***"),
    ("[f.env]\nDB = \"\"\"\nhunter2", "3 | ***"),
    ("env = { A = '''\nhunter2 a''', b }", "2 | ***"),
    // A second value may reach to the line of another error.
    (
        "secret_key = { env = 'A', env = '''\nhunter2''', b = 1 }",
        "2 | ***",
    ),
    ("f.env = 5\n[f.env]\nDB = 'hunter2'", "2 | [f.env]"),
    // What is no secret is shown, so that the error can be seen.
    ("[f]\nqps =", "2 | qps ="),
    ("[f]\nqps = 1\n[f] # hunter2", "3 | [f] ***"),
    ("[f]\n[unclosed", "2 | [unclosed"),
    ("a = [\n1\n}\n", "3 | }"),
];

#[test]
fn what_is_in_no_value_is_hidden_wherever_it_is() {
    for (text, shown) in FILES {
        for report in [
            Document::new("f", text).read(login).map(drop),
            Document::new("f", text).read(settings).map(drop),
        ] {
            let report = report.expect_err(text).to_string();
            assert!(!report.contains("hunter2"), "{text}\n---\n{report}");
        }
        let report = Document::new("f", text).read(login).expect_err(text);
        let report = report.to_string();
        assert!(
            report.contains(&format!("\n{shown}\n")),
            "{text}\n---\n{report}"
        );
    }
}

/// Every way to write what is in `env` and `headers`.
const SECRETS: &str = r#"secret_key = { env = 'A' }
[f.env]
DB = "hunter2"
"a.b" = 'hunter2'
K = """
hunter2
hunter2"""
L = [
  "hunter2",
  'hunter2',
]
[f]
env = { DB = "hunter2", X-Y = 'hunter2' }
headers = {
  X-Key = 'hunter2',
  b = { c = 'hunter2' },
}
[f.headers]
DB = "hunter2"
[g.env]
K = '''hunter2
hunter2'''
"#;

#[test]
fn no_slip_of_the_pen_shows_a_secret() {
    let inserted = [
        "[", "]", "{", "}", "'", "\"", "=", ",", ".", ":", "\\", "\n", " ", "x", "DB = ",
    ];
    let outside = |at: usize, removed: usize| {
        let mut secrets = SECRETS.match_indices("hunter2").map(|(from, _)| from);
        SECRETS.is_char_boundary(at)
            && !secrets.any(|from| from < at + removed && at < from + "hunter2".len())
    };
    for at in 0..SECRETS.len() {
        let slips = inserted.map(|text| (0, text)).into_iter();
        for (removed, text) in slips.chain([(1, ""), (2, ""), (1, " "), (1, "\n")]) {
            if !outside(at, removed) || at + removed > SECRETS.len() {
                continue;
            }
            let slip = format!("{}{text}{}", &SECRETS[..at], &SECRETS[at + removed..]);
            let report = Document::new("f", &slip).read(login).expect_err(&slip);
            let report = report.to_string();
            assert!(!report.contains("hunter2"), "{slip}\n---\n{report}");
        }
    }
}
