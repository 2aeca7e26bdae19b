//! Routes that would not get all requests that match them.
//!
//! Of the routes that have a parameter in the same position, the router takes those with the longest text after the
//! parameter, and does not backtrack: beside `/{a}.png/x` it never tries `/{b}/y` for `/u.png/y`.

use std::cmp::Reverse;
use std::collections::HashMap;

use http::Method;

use crate::Route;
use crate::route::{MAX_PARAMETERS, Shape};

/// What routes have in common that differ first in the text after a parameter: the method, the path before that segment,
/// and the text before the parameter.
type Position<'r> = (&'r Method, Vec<Shape<'r>>, &'r str);

/// Pairs of a route and another that takes requests away from it, each route once. `matched` is the router's lookup.
pub(super) fn find<'r>(
    routes: impl Iterator<Item = &'r Route>,
    matched: impl Fn(&Route, &str) -> Option<&'r Route>,
) -> Vec<(Route, Route)> {
    let mut routes: Vec<&Route> = routes.collect();
    // So that the same file gets the same report.
    routes.sort_by_key(|route| route.path.as_str());
    let mut found: Vec<(Route, Route)> = Vec::new();
    for ((_, start, before), there) in positions(&routes) {
        for (after, route) in &there {
            let shadow = there.iter().find(|(other, _)| {
                let longer = other.len() > after.len() && other.ends_with(after);
                let here = Shape::Part(before, Reverse(other));
                longer && loses_requests(route, &start, here, &matched)
            });
            found.extend(shadow.map(|(_, by)| ((*route).clone(), (*by).clone())));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    found.dedup_by(|(one, _), (other, _)| one == other);
    found
}

fn positions<'r>(routes: &[&'r Route]) -> HashMap<Position<'r>, Vec<(&'r str, &'r Route)>> {
    let mut positions: HashMap<Position<'r>, Vec<(&'r str, &'r Route)>> = HashMap::new();
    for route in routes {
        let shapes: Vec<Shape<'r>> = route.shapes().collect();
        // In the last segment the longest text is always the right one: nothing comes after it that could differ.
        for at in 0..shapes.len() - 1 {
            if let Some((before, after)) = shapes[at].around() {
                let position = (&route.method, shapes[..at].to_vec(), before);
                positions.entry(position).or_default().push((after, route));
            }
        }
    }
    positions
}

/// Whether some request that `route` matches, and whose segment after `start` is like `here`, reaches no route with that
/// segment.
fn loses_requests<'r>(
    route: &Route,
    start: &[Shape<'_>],
    here: Shape<'_>,
    matched: impl Fn(&Route, &str) -> Option<&'r Route>,
) -> bool {
    for path in examples(route, start.len(), here) {
        let begins = start.iter().copied().chain([here]);
        let right = matched(route, &path);
        let right = right.filter(|right| right.shapes().take(start.len() + 1).eq(begins));
        let Some(right) = right else {
            return true;
        };
        if matches!(right.shapes().last(), Some(Shape::Rest(_))) {
            // All longer paths get there, too.
            return false;
        }
    }
    false
}

/// Paths for `route` whose segment `at` is like `here`. Parameters have a value that no pattern can contain, so that all
/// other such paths get to the same route as these.
fn examples(route: &Route, at: usize, here: Shape<'_>) -> impl Iterator<Item = String> {
    const ANY: &str = "|";
    let segments = route.shapes().enumerate().map(|(index, shape)| {
        let segment = match if index == at { here } else { shape } {
            Shape::Plain(text) => text.to_owned(),
            Shape::Whole => ANY.to_owned(),
            Shape::Rest(before) => format!("{before}{ANY}"),
            Shape::Part(before, Reverse(after)) => format!("{before}{ANY}{after}"),
        };
        segment.replace("{{", "{").replace("}}", "}")
    });
    let path = segments.collect::<Vec<_>>().join("/");
    // A rest may be longer than every pattern without one.
    let is_open = matches!(route.shapes().last(), Some(Shape::Rest(_)));
    let most = if is_open { MAX_PARAMETERS } else { 0 };
    (0..=most).map(move |more| path.clone() + &format!("/{ANY}").repeat(more))
}
