//! Names: which are allowed, which known one is nearest to a misspelt one, and dotted paths.

use crate::excerpt::visible;

/// Longer words are not compared with known names: nobody misspells by hundreds of letters.
const MAX_COMPARED_CHARS: usize = 64;

/// The longest name of a function or trigger, in characters.
const MAX_NAME_CHARS: usize = 63;

const NAME_RULE: &str =
    "a name is 1 to 63 of `a-z`, `0-9`, `-` and `_`, and starts with a letter or a digit";

/// A name of a function or trigger that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {help}")]
pub struct NameError {
    /// Which name is wrong.
    pub message: String,
    /// The rule, and a name that would do if one is easily made.
    pub help: String,
}

/// Checks the name of a function or trigger: `[a-z0-9][a-z0-9_-]{0,62}`.
///
/// # Errors
/// The name, the rule, and a similar name that is allowed.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME_CHARS + 1).collect();
    let suggested =
        suggest_name(name).map_or_else(String::new, |name| format!("; `{name}` would do"));
    Err(NameError {
        message: format!("`{}` cannot be a name", visible(&shown)),
        help: format!("{NAME_RULE}{suggested}"),
    })
}

/// The known name that `word` most likely stands for, if any is near: at most a third of the letters may differ.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    let length = word.chars().count();
    if length == 0 || length > MAX_COMPARED_CHARS {
        return None;
    }
    // One slip is allowed in short words, but a single letter is near to nothing.
    let allowed = if length == 1 { 0 } else { (length / 3).max(1) };
    let distances = known
        .into_iter()
        .filter(|name| name.len() <= 4 * MAX_COMPARED_CHARS);
    let distances = distances.map(|name| (strsim::damerau_levenshtein(&word, &folded(name)), name));
    distances
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A key as TOML writes it: bare where possible, else quoted.
pub(crate) fn quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare {
        key.to_owned()
    } else {
        format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// The dotted path of `key` inside `path`.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        quoted(key)
    } else {
        format!("{path}.{}", quoted(key))
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    !name.is_empty()
        && name.len() <= MAX_NAME_CHARS
        && name.chars().all(allowed)
        && !name.starts_with(['-', '_'])
}

fn suggest_name(name: &str) -> Option<String> {
    let letters = name.chars().map(|c| c.to_ascii_lowercase());
    let letters = letters.map(|c| {
        if matches!(c, ' ' | '.' | '/' | ':') {
            '-'
        } else {
            c
        }
    });
    let kept: String = letters
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    let kept: String = kept
        .trim_start_matches(['-', '_'])
        .chars()
        .take(MAX_NAME_CHARS)
        .collect();
    is_name(&kept).then_some(kept)
}

/// Case and the choice of separator are the commonest slips: they cost nothing.
fn folded(word: &str) -> String {
    word.chars()
        .map(|c| {
            if matches!(c, '-' | '.' | ' ') {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}
