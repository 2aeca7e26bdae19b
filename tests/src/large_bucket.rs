//! A bucket of very many objects that exist only in its listing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use tokio::task::JoinSet;

/// Objects on a page, as in S3.
const PAGE: usize = 1_000;

/// The store; dropping it takes it off the network.
pub struct LargeBucket {
    /// Where it is.
    pub endpoint: String,
    shown: Arc<Shown>,
    _server: JoinSet<()>,
}

struct Shown {
    objects: AtomicUsize,
    pages: AtomicUsize,
}

// === impl LargeBucket ===

impl LargeBucket {
    /// A store in which every bucket holds that many objects.
    pub async fn start(objects: usize) -> Self {
        let shown = Arc::new(Shown {
            objects: AtomicUsize::new(objects),
            pages: AtomicUsize::new(0),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shown));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let socket = socket.expect("a port is free");
        let address = socket.local_addr().expect("a socket has an address");
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(socket, app).await.expect("the store serves");
        });
        Self {
            endpoint: format!("http://{address}"),
            shown,
            _server: server,
        }
    }

    /// Puts that many more objects behind the others.
    pub fn add(&self, more: usize) {
        self.shown.objects.fetch_add(more, Ordering::Relaxed);
    }

    /// Pages that were asked for since the start.
    pub fn pages(&self) -> usize {
        self.shown.pages.load(Ordering::Relaxed)
    }
}

async fn answer(
    State(shown): State<Arc<Shown>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if query.contains_key("versioning") {
        return xml("VersioningConfiguration", "");
    }
    shown.pages.fetch_add(1, Ordering::Relaxed);
    let from: usize = query
        .get("continuation-token")
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let all = shown.objects.load(Ordering::Relaxed);
    let until = all.min(from + PAGE);
    let mut body: String = (from..until)
        .map(|n| {
            format!(
                "<Contents><Key>folder/object-{n:09}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                 <ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag><Size>5</Size></Contents>"
            )
        })
        .collect();
    if until < all {
        body += &format!("<NextContinuationToken>{until}</NextContinuationToken>");
    }
    xml(
        "ListBucketResult",
        &format!("{body}<IsTruncated>{}</IsTruncated>", until < all),
    )
}

fn xml(root: &str, body: &str) -> Response {
    let space = "http://s3.amazonaws.com/doc/2006-03-01/";
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{space}\">{body}</{root}>"
    );
    ([("content-type", "application/xml")], text).into_response()
}
