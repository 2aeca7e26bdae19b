//! Each kind of bad network, seen from both ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{ChaosProxy, Direction, Network};

/// Long enough for bytes that pass to arrive.
const SILENCE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// A client and a server that are connected through a proxy.
fn connected() -> (ChaosProxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = ChaosProxy::start(listener.local_addr().unwrap());
    let client = TcpStream::connect(proxy.address()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (proxy, client, server)
}

fn send(from: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).unwrap();
}

fn receive(at: &mut TcpStream, text: &str) {
    let mut received = vec![0; text.len()];
    at.read_exact(&mut received).unwrap();
    assert_eq!(received, text.as_bytes());
}

/// Nothing comes, and the connection is not closed either.
fn silence(at: &mut TcpStream) {
    at.set_read_timeout(Some(SILENCE)).unwrap();
    let received = at.read(&mut [0; 8]);
    let kind = received.expect_err("something was received").kind();
    assert!(
        matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{kind}"
    );
    at.set_read_timeout(Some(PATIENCE)).unwrap();
}

#[test]
fn bytes_and_the_end_pass_both_ways() {
    let (proxy, mut client, mut server) = connected();
    send(&mut client, "question");
    receive(&mut server, "question");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(
        server.read(&mut [0; 8]).unwrap(),
        0,
        "the client has sent everything"
    );
    send(&mut server, "answer");
    receive(&mut client, "answer");
    assert_eq!(proxy.passed(Direction::ToServer), 8);
    drop(server);
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_black_hole_is_silent_and_gives_back_what_it_held() {
    let (proxy, mut client, mut server) = connected();
    proxy.set(Network::Blackhole);
    send(&mut client, "one");
    send(&mut server, "two");
    silence(&mut server);
    silence(&mut client);
    // A new connection seems to work, and stays silent, too.
    let mut late = TcpStream::connect(proxy.address()).unwrap();
    send(&mut late, "three");
    silence(&mut late);
    proxy.set(Network::Pass);
    receive(&mut server, "one");
    receive(&mut client, "two");
}

#[test]
fn one_way_lets_the_other_direction_work() {
    let (proxy, mut client, mut server) = connected();
    let held = Direction::ToClient;
    proxy.set(Network::OneWay { held });
    send(&mut client, "received");
    receive(&mut server, "received");
    send(&mut server, "lost on the way");
    silence(&mut client);
    proxy.set(Network::Pass);
    receive(&mut client, "lost on the way");
}

#[test]
fn a_reset_is_a_reset_and_a_cut_is_an_end() {
    let (proxy, mut client, mut server) = connected();
    proxy.reset();
    for stream in [&mut client, &mut server] {
        let error = stream.read(&mut [0; 8]).expect_err("no orderly end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let (proxy, mut client, mut server) = connected();
    proxy.cut();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn refused_connections_are_reset_and_open_ones_go_on() {
    let (proxy, mut client, mut server) = connected();
    proxy.set(Network::Refuse);
    let mut late = TcpStream::connect(proxy.address()).unwrap();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    let error = late.read(&mut [0; 8]).expect_err("no orderly end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    send(&mut client, "still here");
    receive(&mut server, "still here");
}

#[test]
fn a_slow_link_takes_its_time() {
    let (proxy, mut client, mut server) = connected();
    proxy.set(Network::Slow {
        bytes_per_second: 10_000,
        latency: Duration::from_millis(50),
    });
    let begun = tokio::time::Instant::now();
    send(&mut client, &"x".repeat(3_000));
    receive(&mut server, &"x".repeat(3_000));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(350), "{took:?}");
}

#[test]
fn a_dropped_proxy_frees_its_port_and_a_server_that_is_gone_is_seen() {
    // Bound and never listened on: nobody else gets the port, and nobody answers.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = socket.local_addr().unwrap();
    let proxy = ChaosProxy::start(server);
    let address = proxy.address();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let error = client.read(&mut [0; 8]).expect_err("no orderly end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    drop(proxy);
    assert!(ChaosProxy::start_at(address, server).is_ok());
}

/// A thread that echoes until its client ends.
fn echo(listener: TcpListener) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut copy = stream.try_clone().unwrap();
        std::io::copy(&mut stream, &mut copy).unwrap();
    })
}

#[test]
fn large_amounts_pass_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = ChaosProxy::start(listener.local_addr().unwrap());
    let echo = echo(listener);
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = client.try_clone().unwrap();
    let whole = sent.clone();
    let writing = std::thread::spawn(move || writer.write_all(&whole).unwrap());
    let mut received = vec![0; sent.len()];
    client.read_exact(&mut received).unwrap();
    assert!(received == sent, "other bytes came back");
    writing.join().unwrap();
    drop((client, proxy));
    echo.join().unwrap();
}
