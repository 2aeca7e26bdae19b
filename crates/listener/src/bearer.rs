//! Bearer tokens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Problem;
use crate::auth_throttle::AuthThrottle;
use crate::serve::ListenerName;

/// Lets a request in if it carries the right token. Only the token's digest is kept, and it is compared in constant
/// time. Clones count wrong tokens together.
#[derive(Clone)]
pub struct Bearer {
    /// `None`: an empty token, which lets nobody in.
    digest: Option<[u8; 32]>,
    throttle: Arc<AuthThrottle>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// The token is missing or wrong.
    InvalidToken,
    /// Too many wrong tokens came from its address, which is blocked for this long.
    Blocked(Duration),
}

// === impl Bearer ===

impl Bearer {
    /// Checks requests against `token`.
    pub fn new(token: &str) -> Self {
        Self {
            digest: (!token.is_empty()).then(|| digest(token.as_bytes())),
            throttle: Arc::default(),
        }
    }

    /// Checks that `headers` have exactly one `Authorization: Bearer TOKEN`, with the right token. `extensions` hold the
    /// peer's address.
    ///
    /// After too many wrong tokens an address is blocked for a while, whatever it sends: else it could go on guessing.
    /// Loopback is an exception: one address stands there for everybody on this machine and behind a proxy on it, and
    /// one of them could shut out all the others. There the right token is always let in, and only wrong ones get
    /// [`AuthError::Blocked`].
    ///
    /// # Errors
    /// The token is missing or wrong, or the address is blocked.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<(), AuthError> {
        let token = sent(headers).ok_or(AuthError::InvalidToken)?;
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
        let blocked = self.throttle.blocked_for(peer).map(AuthError::Blocked);
        if let Some(error) = blocked
            && !peer.to_canonical().is_loopback()
        {
            return Err(error);
        }
        let sent = digest(token);
        if self.digest.is_some_and(|own| bool::from(own.ct_eq(&sent))) {
            return Ok(());
        }
        let listener = extensions.get::<ListenerName>();
        let listener = listener.map_or("none", |name| name.0);
        self.throttle.record_failure(listener, peer, sent);
        Err(blocked.unwrap_or(AuthError::InvalidToken))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(***)")
    }
}

// === impl AuthError ===

impl AuthError {
    /// 401 with this title and detail, or 429 with a title of its own.
    pub fn problem(self, title: &str, detail: &str) -> Problem {
        match self {
            Self::InvalidToken => {
                Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", title).detail(detail)
            }
            Self::Blocked(retry_after) => {
                let title = "too many wrong tokens came from this address";
                let kind = "too_many_wrong_tokens";
                let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, kind, title);
                problem.retry_after = Some(retry_after);
                problem
            }
        }
    }
}

/// The token that the caller sent. Without one there is nothing to count as a guess.
fn sent(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let value = value.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = (&value[..space], value[space + 1..].trim_ascii());
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests;
