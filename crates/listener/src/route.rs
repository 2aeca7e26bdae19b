//! A route of the gateway: a method and a path pattern.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use http::Method;

/// The longest path pattern, in bytes.
const MAX_PATH_BYTES: usize = 1024;

/// Parameters of a path, at most. (The router panics at 26.)
pub(crate) const MAX_PARAMETERS: usize = 16;

/// The methods a route can have.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A method and a path pattern, written `POST /orders/{id}`. `{name}` stands for one segment, or for part of one, and
/// `{*name}`, at the end only, for all that are left.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The one method it answers.
    pub method: Method,
    /// The pattern, beginning with `/`; compared with the path as it is sent, still percent-encoded.
    pub path: String,
}

/// Why text is not a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoute {
    /// It is not a method, a space and a path.
    #[error("a route is a method and a path, such as `POST /orders/{{id}}`")]
    Form,
    /// The method is not one that routes can have.
    #[error("`{0}` is not a method of routes: write GET, POST, PUT, PATCH or DELETE")]
    Method(String),
    /// The path does not begin with `/`.
    #[error("the path must begin with `/`")]
    NotAbsolute,
    /// The path is longer than is allowed.
    #[error("the path has more than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// A character that a path cannot have.
    #[error("a path cannot have {0:?} in it: write it percent-encoded")]
    Character(char),
    /// The path matches no query, but has one.
    #[error("a route matches the path only: leave out what follows `{0}`")]
    Beyond(char),
    /// More parameters than are allowed.
    #[error("a path can have {MAX_PARAMETERS} parameters, not more")]
    TooMany,
    /// Braces without a name, or that do not match.
    #[error("write parameters as `{{name}}`, and braces that are none as `{{{{` and `}}}}`")]
    Parameter,
    /// Two parameters in one segment.
    #[error("a segment of the path can have one parameter only")]
    TwoInSegment,
    /// Two parameters with one name.
    #[error("the parameter `{0}` is there twice")]
    Twice(String),
    /// `{*name}` before the end.
    #[error("`{{*name}}` can only be at the end of the path, after a `/`")]
    CatchAll,
}

// === impl Route ===

impl Route {
    /// A route of these two, if the path is valid.
    ///
    /// # Errors
    /// What is wrong with the path.
    pub fn new(method: Method, path: &str) -> Result<Self, InvalidRoute> {
        check_path(path)?;
        let path = path.to_owned();
        Ok(Self { method, path })
    }

    /// Whether no hub can have both: the router cannot hold one beside the other.
    pub fn conflicts(&self, other: &Self) -> bool {
        // The cheap check first: thousands of routes may be compared, each with each.
        if self.method != other.method || self.differ_at_a_literal(other) {
            return false;
        }
        let mut both = [self, other];
        both.sort_by_key(|route| route.shapes().collect::<Vec<_>>());
        let mut router = matchit::Router::new();
        both.iter()
            .any(|route| router.insert(route.path.as_str(), ()).is_err())
    }

    /// Whether the very same requests match both.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.method == other.method && self.shapes().eq(other.shapes())
    }

    /// The segments of the path.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = Shape<'_>> {
        self.path.split('/').map(|segment| Shape::of(segment).0)
    }

    /// Whether the first segment that is not the same in both is plain text in both.
    fn differ_at_a_literal(&self, other: &Self) -> bool {
        let mut both = self.shapes().zip(other.shapes());
        let differ = both.find(|(one, two)| one != two);
        matches!(differ, Some((Shape::Plain(_), Shape::Plain(_))))
    }
}

/// One segment of a path, without the name of its parameter.
///
/// Routes that are the same up to this segment must be added to the router in the order of their segments. The router
/// looks beyond the segment for conflicts: it reports one for `/{a}/x` if it has `/p{b}` or `/orders/p{b}` already, and
/// for `/p{a}.png` if it has `/p{a}/x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shape<'p> {
    /// `{name}`.
    Whole,
    /// `{*name}`, perhaps behind some text.
    Rest(&'p str),
    /// `{name}` with text before it, after it, or both.
    Part(&'p str, Reverse<&'p str>),
    /// No parameter.
    Plain(&'p str),
}

impl<'p> Shape<'p> {
    /// The text before and after the parameter, if it is one segment or a part of one.
    pub(crate) fn around(self) -> Option<(&'p str, &'p str)> {
        match self {
            Self::Whole => Some(("", "")),
            Self::Part(before, Reverse(after)) => Some((before, after)),
            Self::Rest(_) | Self::Plain(_) => None,
        }
    }

    /// A segment of a pattern that is known to be well-formed, and its parameter's name.
    fn of(segment: &'p str) -> (Self, Option<&'p str>) {
        // A segment has one parameter at most; doubled braces are plain characters and hold no name.
        let bytes = segment.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match (bytes[at], bytes.get(at + 1)) {
                (b'{', Some(b'{')) | (b'}', Some(b'}')) => at += 2,
                (b'{', _) => break,
                _ => at += 1,
            }
        }
        let Some((name, after)) = segment.get(at + 1..).and_then(|text| text.split_once('}'))
        else {
            return (Self::Plain(segment), None);
        };
        let before = &segment[..at];
        match (name.strip_prefix('*'), before, after) {
            (Some(name), ..) => (Self::Rest(before), Some(name)),
            (None, "", "") => (Self::Whole, Some(name)),
            (None, ..) => (Self::Part(before, Reverse(after)), Some(name)),
        }
    }
}

impl FromStr for Route {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        let (method, path) = text.trim().split_once(' ').ok_or(InvalidRoute::Form)?;
        if !METHODS.contains(&method) {
            return Err(InvalidRoute::Method(method.chars().take(20).collect()));
        }
        let method = Method::from_str(method).expect("the list holds methods");
        Self::new(method, path.trim_start())
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

fn check_path(path: &str) -> Result<(), InvalidRoute> {
    if !path.starts_with('/') {
        return Err(InvalidRoute::NotAbsolute);
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(InvalidRoute::TooLong);
    }
    if let Some(c) = path.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(InvalidRoute::Beyond(c));
    }
    if let Some(c) = path
        .chars()
        .find(|c| !c.is_ascii_graphic() || "\"<>\\^`|".contains(*c))
    {
        return Err(InvalidRoute::Character(c));
    }
    if path.replace("{{", "").matches('{').count() > MAX_PARAMETERS {
        return Err(InvalidRoute::TooMany);
    }
    let mut router = matchit::Router::new();
    router.insert(path, ()).map_err(|error| match error {
        matchit::InsertError::InvalidCatchAll => InvalidRoute::CatchAll,
        matchit::InsertError::InvalidParamSegment => InvalidRoute::TwoInSegment,
        _ => InvalidRoute::Parameter,
    })?;
    let mut seen = BTreeSet::new();
    match parameters(path).find(|name| !seen.insert(*name)) {
        Some(name) => Err(InvalidRoute::Twice(name.to_owned())),
        None => Ok(()),
    }
}

/// The names of the parameters of a pattern that is known to be well-formed.
fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| Shape::of(segment).1)
}

#[cfg(test)]
mod tests;
