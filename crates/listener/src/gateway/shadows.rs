//! Routes that would not get all requests which match them.
//!
//! Of the routes that have a parameter in the same place, the router takes those whose text after the parameter is the
//! longest, and does not come back: beside `/{a}.png/x` it never tries `/{b}/y` for `/u.png/y`.

use std::cmp::Reverse;
use std::collections::HashMap;

use http::Method;

use crate::Route;
use crate::route::{MAX_PARAMETERS, Shape};

/// What routes have in common that part at the text after a parameter: the method, the path up to there, and the text
/// before it.
type Place<'r> = (&'r Method, Vec<Shape<'r>>, &'r str);

/// Pairs of a route and one that takes requests away from it, each route once. `matched` is the router.
pub(super) fn find<'r>(
    routes: impl Iterator<Item = &'r Route>,
    matched: impl Fn(&Route, &str) -> Option<&'r Route>,
) -> Vec<(Route, Route)> {
    let mut routes: Vec<&Route> = routes.collect();
    // The same file has the same report.
    routes.sort_by_key(|route| route.path.as_str());
    let mut found: Vec<(Route, Route)> = Vec::new();
    for ((_, start, before), there) in places(&routes) {
        for (after, route) in &there {
            let shadow = there.iter().find(|(other, _)| {
                let longer = other.len() > after.len() && other.ends_with(after);
                let here = Shape::Part(before, Reverse(other));
                longer && goes_astray(route, &start, here, &matched)
            });
            found.extend(shadow.map(|(_, by)| ((*route).clone(), (*by).clone())));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    found.dedup_by(|(one, _), (other, _)| one == other);
    found
}

fn places<'r>(routes: &[&'r Route]) -> HashMap<Place<'r>, Vec<(&'r str, &'r Route)>> {
    let mut places: HashMap<Place<'r>, Vec<(&'r str, &'r Route)>> = HashMap::new();
    for route in routes {
        let shapes: Vec<Shape<'r>> = route.shapes().collect();
        // At the path's end every text has its own route: the longest is always the right one.
        for at in 0..shapes.len() - 1 {
            if let Some((before, after)) = shapes[at].around() {
                let place = (&route.method, shapes[..at].to_vec(), before);
                places.entry(place).or_default().push((after, route));
            }
        }
    }
    places
}

/// Whether some request for `route` that has the text of `here` behind `start` is for no route which has it, too.
fn goes_astray<'r>(
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
            // All longer paths arrive there, too.
            return false;
        }
    }
    false
}

/// Paths for `route` whose segment `at` is like `here`. What stands for parameters is no text that a pattern can have, so
/// that where these paths arrive, all such paths do.
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
    // What is left of a path may be longer than every pattern that has no such end itself.
    let is_open = matches!(route.shapes().last(), Some(Shape::Rest(_)));
    let most = if is_open { MAX_PARAMETERS } else { 0 };
    (0..=most).map(move |more| path.clone() + &format!("/{ANY}").repeat(more))
}
