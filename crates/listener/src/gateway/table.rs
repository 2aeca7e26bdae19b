//! The routes, and the handlers that are mounted on them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode_str;

use super::{GatewayHandler, Obstacle, shadows};
use crate::Route;

type Handler = Arc<dyn GatewayHandler>;

/// Every route there is, and the handlers that are mounted.
#[derive(Default)]
pub(super) struct Table {
    /// One tree per method, so that `GET /{a}` and `POST /{b}` can live side by side. Nothing is ever taken out.
    trees: HashMap<Method, matchit::Router<Route>>,
    handlers: HashMap<Route, Option<Handler>>,
}

/// What the table has for a request.
pub(super) enum Found {
    Handler(Handler, Vec<(String, String)>),
    /// It is for a route that has no handler.
    NoHandler,
    /// A parameter does not decode to text.
    NotText,
    /// It is for no route. These methods have one for the same path, with `HEAD` and `OPTIONS` where they come with them.
    Others(BTreeSet<String>),
}

// === impl Table ===

impl Table {
    /// Adds routes, whatever their order. Returns those that cannot be added, by their index, with the obstacle.
    pub(super) fn reserve(&mut self, routes: &[Route]) -> Vec<(usize, Obstacle)> {
        let mut wanted: Vec<(usize, &Route)> = routes.iter().enumerate().collect();
        wanted.sort_by_key(|(_, route)| route.shapes().collect::<Vec<_>>());
        let mut refused = Vec::new();
        for (at, route) in wanted {
            if let Err(obstacle) = self.insert(route) {
                refused.push((at, obstacle));
            }
        }
        let lost = shadows::find(self.handlers.keys(), |route, path| {
            self.match_at(route, path)
        });
        for (shadowed, by) in lost {
            if let Some(at) = routes.iter().position(|route| *route == shadowed) {
                refused.push((at, Obstacle::Shadow(by)));
            }
        }
        refused.sort_by_key(|(at, _)| *at);
        refused
    }

    fn insert(&mut self, route: &Route) -> Result<(), Obstacle> {
        if self.handlers.contains_key(route) {
            return Ok(());
        }
        let tree = self.trees.entry(route.method.clone()).or_default();
        let inserted = tree.insert(route.path.as_str(), route.clone());
        inserted.map_err(|error| {
            let mut others = self.handlers.keys();
            match others.find(|other| other.conflicts(route)) {
                Some(other) => Obstacle::Route(other.clone()),
                None => Obstacle::Router(error.to_string()),
            }
        })?;
        self.handlers.insert(route.clone(), None);
        Ok(())
    }

    fn match_at(&self, route: &Route, path: &str) -> Option<&Route> {
        let tree = self.trees.get(&route.method)?;
        tree.at(path).ok().map(|matched| matched.value)
    }

    /// Gives a route its handler, or returns why it cannot.
    pub(super) fn mount(&mut self, route: &Route, handler: Handler) -> Result<(), &'static str> {
        match self.handlers.get_mut(route) {
            None => Err("it was not reserved"),
            Some(Some(_)) => Err("it has a handler already"),
            Some(mounted) => {
                *mounted = Some(handler);
                Ok(())
            }
        }
    }

    /// Takes a route's handler; the route stays.
    pub(super) fn unmount(&mut self, route: &Route) -> Option<Handler> {
        self.handlers.get_mut(route)?.take()
    }

    pub(super) fn is_mounted(&self, route: &Route) -> bool {
        matches!(self.handlers.get(route), Some(Some(_)))
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found {
        let tree = self.trees.get(method);
        let Some(matched) = tree.and_then(|tree| tree.at(path).ok()) else {
            return Found::Others(self.methods(path));
        };
        let Some(Some(handler)) = self.handlers.get(matched.value) else {
            return Found::NoHandler;
        };
        match decoded(matched.params.iter()) {
            Some(params) => Found::Handler(Arc::clone(handler), params),
            None => Found::NotText,
        }
    }

    /// The methods that `path` answers, with `HEAD` and `OPTIONS`, which come with others; empty if there is no such path.
    fn methods(&self, path: &str) -> BTreeSet<String> {
        let there = self.trees.iter().filter(|(_, tree)| tree.at(path).is_ok());
        let mut methods: BTreeSet<String> = there.map(|(method, _)| method.to_string()).collect();
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        if !methods.is_empty() {
            methods.insert("OPTIONS".to_owned());
        }
        methods
    }
}

fn decoded<'a>(params: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Vec<(String, String)>> {
    params
        .map(|(name, value)| {
            let value = percent_decode_str(value).decode_utf8().ok()?;
            Some((name.to_owned(), value.into_owned()))
        })
        .collect()
}
