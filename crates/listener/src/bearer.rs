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
use crate::guesses::Guesses;
use crate::serve::ListenerName;

/// Lets a request in if it carries the right token. Only the token's digest is kept, and it is compared in constant
/// time. Clones count wrong tokens together.
#[derive(Clone)]
pub struct Bearer {
    /// `None`: an empty token, which lets nobody in.
    digest: Option<[u8; 32]>,
    guesses: Arc<Guesses>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// It did not send the token.
    Unknown,
    /// Its address sent too many wrong ones, and is not listened to for so long.
    Guessed(Duration),
}

// === impl Bearer ===

impl Bearer {
    /// Checks requests against `token`.
    pub fn new(token: &str) -> Self {
        Self {
            digest: (!token.is_empty()).then(|| digest(token.as_bytes())),
            guesses: Arc::default(),
        }
    }

    /// Whether a request with these headers, whose extensions tell the peer, holds exactly one
    /// `Authorization: Bearer TOKEN` with the right token.
    ///
    /// After too many wrong tokens an address is not listened to at all for a while: else it could go on to guess. On
    /// loopback one address stands for everybody on this machine and behind a proxy on it, so that whoever guesses
    /// there would shut all the others out: the right token is let in there, and only wrong ones are refused otherwise.
    ///
    /// # Errors
    /// Who it is not.
    pub fn admits(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<(), Stranger> {
        let token = sent(headers).ok_or(Stranger::Unknown)?;
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
        let barred = self.guesses.barred(peer).map(Stranger::Guessed);
        if let Some(stranger) = barred
            && !peer.to_canonical().is_loopback()
        {
            return Err(stranger);
        }
        let sent = digest(token);
        if self.digest.is_some_and(|own| bool::from(own.ct_eq(&sent))) {
            return Ok(());
        }
        let listener = extensions.get::<ListenerName>();
        let listener = listener.map_or("none", |name| name.0);
        self.guesses.wrong(listener, peer, sent);
        Err(barred.unwrap_or(Stranger::Unknown))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(***)")
    }
}

// === impl Stranger ===

impl Stranger {
    /// 401 in these words, or 429 in our own.
    pub fn problem(self, title: &str, detail: &str) -> Problem {
        match self {
            Self::Unknown => {
                Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", title).detail(detail)
            }
            Self::Guessed(retry_after) => {
                let title = "too many wrong tokens came from this address";
                let kind = "too_many_wrong_tokens";
                let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, kind, title);
                problem.retry_after = Some(retry_after);
                problem
            }
        }
    }
}

/// What the caller says is the token; nothing is no guess.
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
