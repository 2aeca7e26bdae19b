//! Results of functions on their way to callers. They count among the bodies of their listener for as long as they take
//! memory, since callers that do not read could make the hub hold many of them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{Extensions, StatusCode};
use hyper::body::{Frame, SizeHint};

use crate::Problem;
use crate::bodies::{Bodies, BodyContext, Share};

/// Bytes that a connection gets at once: it asks for more when it has sent nearly all of them.
const CHUNK_BYTES: usize = 64 * 1024;

/// Memory for the result of one request.
#[derive(Clone)]
pub struct AnswerRoom(Option<Arc<Bodies>>);

/// Bytes with their share of the memory, which is free again when the last of them is sent or dropped.
struct Counted {
    bytes: Bytes,
    _share: Share,
}

/// A body that is sent chunk by chunk.
struct Chunks(Bytes);

// === impl AnswerRoom ===

impl AnswerRoom {
    /// In the memory of the listener that the request with these extensions came through.
    pub fn of(extensions: &Extensions) -> Self {
        let context = extensions.get::<BodyContext>();
        Self(context.map(|context| context.bodies.clone()))
    }

    /// A response body of these bytes.
    ///
    /// # Errors
    /// 503 when other bodies take all the memory there is for bodies.
    pub fn body(self, bytes: Bytes) -> Result<Body, Problem> {
        let Some(bodies) = self.0 else {
            return Ok(bytes.into());
        };
        let mut share = Share::of(bodies);
        if !share.takes_or_is_first(bytes.len()) {
            let title = "too many large answers are on their way";
            let detail = "it has ended; its result is kept under its RequestId";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "answers_full", title);
            return Err(problem.detail(detail));
        }
        let counted = Counted {
            bytes,
            _share: share,
        };
        Ok(Body::new(Chunks(Bytes::from_owner(counted))))
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(CHUNK_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn answer(room: &AnswerRoom, kib: usize) -> Result<Body, Problem> {
        room.clone().body(vec![7; kib * 1024].into())
    }

    #[tokio::test]
    async fn an_answer_counts_until_its_last_byte_is_gone() {
        let room = AnswerRoom(Some(Bodies::new(200 * 1024)));
        let mut unread = answer(&room, 150).unwrap();
        let refused = answer(&room, 150).unwrap_err();
        assert_eq!(
            (refused.status.as_u16(), refused.kind),
            (503, "answers_full")
        );
        assert!(refused.accepted.is_none(), "it was accepted, and has run");
        let mut chunks = Vec::new();
        while let Some(frame) = unread.frame().await {
            chunks.push(frame.unwrap().into_data().unwrap());
        }
        drop(unread);
        assert_eq!(chunks.concat(), vec![7; 150 * 1024]);
        let last = chunks.pop();
        drop(chunks);
        assert!(answer(&room, 150).is_err(), "a chunk is still to be sent");
        drop(last);
        assert!(answer(&room, 150).is_ok());
    }

    #[tokio::test]
    async fn a_connection_gets_a_chunk_at_a_time() {
        let room = AnswerRoom(Some(Bodies::new(200 * 1024)));
        let mut body = answer(&room, 150).unwrap();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap().len(), CHUNK_BYTES);
    }

    #[test]
    fn one_that_is_larger_than_the_room_is_sent_alone() {
        let room = AnswerRoom(Some(Bodies::new(100 * 1024)));
        let alone = answer(&room, 300).unwrap();
        assert!(answer(&room, 20).is_err());
        drop(alone);
        let small = answer(&room, 20).unwrap();
        assert!(answer(&room, 300).is_err());
        drop(small);
        assert!(answer(&room, 300).is_ok());
    }
}
