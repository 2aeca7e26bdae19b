use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

const LIMITS: Limits = Limits {
    header: Duration::from_secs(10),
    idle: Duration::from_secs(75),
};

fn paced() -> (Paced<DuplexStream>, DuplexStream, Exchanges) {
    let (near, far) = duplex(64);
    let exchanges = Exchanges::new(Instant::now(), Default::default());
    let head_by = Instant::now() + LIMITS.header;
    (
        Paced::new(near, LIMITS, exchanges.clone(), head_by),
        far,
        exchanges,
    )
}

/// Sends a byte a second for as long as the other side reads.
async fn trickle(mut far: DuplexStream) {
    while far.write_all(b"x").await.is_ok() {
        sleep(Duration::from_secs(1)).await;
    }
}

/// Reads until the deadline; returns after how many seconds that was.
async fn seconds_to_timeout(mut paced: Paced<DuplexStream>) -> u64 {
    let (started, mut buf) = (Instant::now(), [0; 16]);
    loop {
        match paced.read(&mut buf).await {
            Ok(0) => panic!("the peer closed"),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return started.elapsed().as_secs();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_head_has_its_time_from_the_accept() {
    let (paced, _silent, _) = paced();
    assert_eq!(seconds_to_timeout(paced).await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_trickling_head_gets_no_more_time() {
    let (paced, far, _) = paced();
    tokio::select! {
        seconds = seconds_to_timeout(paced) => assert_eq!(seconds, 10),
        () = trickle(far) => panic!("nobody read"),
    }
}

#[tokio::test(start_paused = true)]
async fn between_requests_the_idle_time_counts() {
    let (paced, _silent, exchanges) = paced();
    drop(exchanges.begin());
    assert_eq!(seconds_to_timeout(paced).await, 75);
}

#[tokio::test(start_paused = true)]
async fn a_later_head_has_its_time_from_its_first_byte() {
    let (paced, far, exchanges) = paced();
    drop(exchanges.begin());
    let late = async {
        sleep(Duration::from_secs(60)).await;
        trickle(far).await;
    };
    tokio::select! {
        seconds = seconds_to_timeout(paced) => assert_eq!(seconds, 70),
        () = late => panic!("nobody read"),
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_application_works_there_is_no_deadline() {
    let (mut paced, mut far, exchanges) = paced();
    let _exchange = exchanges.begin();
    let body = async {
        sleep(Duration::from_secs(3600)).await;
        far.write_all(b"body").await
    };
    let mut buf = [0; 4];
    let (read, _) = tokio::join!(paced.read_exact(&mut buf), body);
    assert_eq!(read.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_cut_off() {
    let (mut paced, _far, exchanges) = paced();
    let _exchange = exchanges.begin();
    let started = Instant::now();
    let error = paced.write_all(&[0; 65]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed(), LIMITS.idle);
}

/// Reads 512 bytes each time, at this interval.
async fn read_slowly(mut far: DuplexStream, every: Duration) {
    let mut buf = [0; 512];
    while far.read_exact(&mut buf).await.is_ok() {
        sleep(every).await;
    }
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_its_response_slowly_is_cut_off() {
    let answer = vec![0; 256 * 1024];
    // Two a second are 1 KiB/s: the least that is fast enough.
    for (every, is_fast_enough) in [(400, true), (1000, false), (10_000, false)] {
        let (mut paced, far, exchanges) = paced();
        let _exchange = exchanges.begin();
        let started = Instant::now();
        let written = tokio::select! {
            written = paced.write_all(&answer) => written,
            () = read_slowly(far, Duration::from_millis(every)) => unreachable!("it never ends"),
        };
        assert_eq!(written.is_ok(), is_fast_enough, "every {every} ms");
        if !is_fast_enough {
            // What it read has earned it some time, and no more than that.
            assert!(started.elapsed() <= 2 * LIMITS.idle, "every {every} ms");
        }
    }
}
