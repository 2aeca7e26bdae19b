use super::*;

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(
            header::AUTHORIZATION,
            value.parse().expect("a header value"),
        );
    }
    headers
}

fn from(address: &str) -> Extensions {
    let mut extensions = Extensions::new();
    let peer = SocketAddr::new(address.parse().expect("an address"), 9);
    extensions.insert(ConnectInfo(peer));
    extensions
}

fn allows(bearer: &Bearer, values: &[&str]) -> bool {
    bearer
        .authenticate(&headers(values), &from("127.0.0.1"))
        .is_ok()
}

#[test]
fn only_the_token_is_accepted() {
    let bearer = Bearer::new("s3cret");
    for good in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
        assert!(allows(&bearer, &[good]), "{good}");
    }
    for bad in [
        "Bearer s3cre",
        "Bearer s3crets",
        "Bearer S3cret",
        "Bearer",
        "Bearer ",
        "s3cret",
        "Basic s3cret",
        "Bearers3cret",
    ] {
        assert!(!allows(&bearer, &[bad]), "{bad}");
    }
    assert!(!allows(&bearer, &[]));
}

#[test]
fn two_headers_are_refused() {
    let bearer = Bearer::new("s3cret");
    assert!(!allows(&bearer, &["Bearer s3cret", "Bearer s3cret"]));
    assert!(!allows(&bearer, &["Bearer wrong", "Bearer s3cret"]));
}

#[test]
fn an_empty_token_lets_nobody_in_and_no_token_is_shown() {
    assert!(!allows(&Bearer::new(""), &["Bearer "]));
    assert!(!format!("{:?}", Bearer::new("s3cret")).contains("s3cret"));
}

/// Different wrong tokens from one address; the last answer.
fn send_wrong_tokens(bearer: &Bearer, address: &str, count: usize) -> Result<(), AuthError> {
    let mut last = Ok(());
    for number in 0..count {
        let wrong = format!("Bearer wrong-{number}");
        last = bearer.authenticate(&headers(&[&wrong]), &from(address));
        assert!(last.is_err());
    }
    last
}

#[tokio::test(start_paused = true)]
async fn an_address_that_guesses_is_blocked_and_no_other_is() {
    let bearer = Bearer::new("s3cret");
    let right = headers(&["Bearer s3cret"]);
    assert_eq!(
        send_wrong_tokens(&bearer, "192.0.2.7", 20),
        Err(AuthError::InvalidToken)
    );
    let minute = Duration::from_secs(60);
    // Not even the right token: what is not looked at cannot be guessed.
    let blocked = bearer.clone().authenticate(&right, &from("192.0.2.7"));
    assert_eq!(blocked, Err(AuthError::Blocked(minute)));
    assert_eq!(bearer.authenticate(&right, &from("192.0.2.8")), Ok(()));
    assert_eq!(bearer.authenticate(&right, &from("127.0.0.1")), Ok(()));
    let problem = AuthError::Blocked(minute).problem("t", "d");
    assert_eq!(
        (problem.status.as_u16(), problem.retry_after),
        (429, Some(minute))
    );
    tokio::time::advance(minute).await;
    assert_eq!(bearer.authenticate(&right, &from("192.0.2.7")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn on_loopback_no_client_can_shut_out_the_others() {
    let bearer = Bearer::new("s3cret");
    for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let last = send_wrong_tokens(&bearer, address, 100);
        assert!(matches!(last, Err(AuthError::Blocked(_))), "{last:?}");
        let right = headers(&["Bearer s3cret"]);
        assert_eq!(bearer.authenticate(&right, &from(address)), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_header_is_not_counted_as_a_guess() {
    let bearer = Bearer::new("s3cret");
    for number in 0..100 {
        let basic = format!("Basic {number}");
        let twice = format!("Bearer {number}");
        for values in [
            vec![],
            vec![basic.as_str()],
            vec![twice.as_str(), "Bearer x"],
        ] {
            let answer = bearer.authenticate(&headers(&values), &from("192.0.2.7"));
            assert_eq!(answer, Err(AuthError::InvalidToken));
        }
    }
    assert_eq!(
        bearer.authenticate(&headers(&["Bearer s3cret"]), &from("192.0.2.7")),
        Ok(())
    );
}

#[test]
fn tokens_are_compared_by_their_digests_and_in_constant_time() {
    // A comparison that ends at the first difference would tell how much of a guess is right.
    let source = include_str!("../bearer.rs");
    assert_eq!(source.matches("own.ct_eq(&sent)").count(), 1);
    assert_eq!(
        source.matches("==").count(),
        source.matches("// ===").count() * 2 + 1
    );
}
