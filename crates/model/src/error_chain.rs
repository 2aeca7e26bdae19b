//! The causes of an error.

use std::error::Error;
use std::io;

/// The error and its causes, from the outermost to the innermost.
///
/// An [`io::Error`] around another error returns that error's source as its own, and so leaves the error itself out. Here it
/// is included, so that it can be found by `downcast_ref`.
pub fn error_chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |one| {
        let one: &'a (dyn Error + 'static) = *one;
        let inside = one.downcast_ref().and_then(io::Error::get_ref);
        match inside {
            Some(inside) => Some(inside as &(dyn Error + 'static)),
            None => one.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner(#[source] std::fmt::Error);

    #[test]
    fn an_error_inside_an_io_error_is_included() {
        let error = Outer(io::Error::other(Inner(std::fmt::Error)));
        let chain: Vec<_> = error_chain(&error).collect();
        assert_eq!(chain.len(), 4);
        assert!(chain[0].is::<Outer>());
        assert!(chain[1].is::<io::Error>());
        assert!(chain[2].is::<Inner>());
        assert!(chain[3].is::<std::fmt::Error>());
    }

    #[test]
    fn an_error_without_a_cause_is_alone() {
        let error = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(error_chain(&error).count(), 1);
    }
}
