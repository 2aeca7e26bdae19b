//! S3 stores for a test run: versitygw everywhere, and a MinIO where there is one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::ports::{self, Port};
use crate::process::{self, Logged};
use crate::services::{Services, must_answer, named, program, versitygw};
use crate::time::Stopwatch;

const BINARY: &str = "TRIPLINE_TEST_VERSITYGW";
const MINIO_BINARY: &str = "TRIPLINE_TEST_MINIO";
const START_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Keys of the servers started here. They guard empty stores on the loopback address.
const ACCESS_KEY: &str = "tripline-test";
const SECRET_KEY: &str = "tripline-test-secret";

/// The variables that hold where a store is and how to log in.
struct Variables {
    endpoint: &'static str,
    access_key: &'static str,
    secret_key: &'static str,
}

const S3: Variables = Variables {
    endpoint: "TRIPLINE_TEST_S3_ENDPOINT",
    access_key: "TRIPLINE_TEST_S3_ACCESS_KEY",
    secret_key: "TRIPLINE_TEST_S3_SECRET_KEY",
};

const MINIO: Variables = Variables {
    endpoint: "TRIPLINE_TEST_MINIO_ENDPOINT",
    access_key: "TRIPLINE_TEST_MINIO_ACCESS_KEY",
    secret_key: "TRIPLINE_TEST_MINIO_SECRET_KEY",
};

/// Finds or starts the S3 store, and offers the program for tests that start their own.
pub(super) fn provide(services: &mut Services, port: Port) -> Outcome<()> {
    let binary = versitygw::installed();
    if let Ok(binary) = &binary {
        services.export(BINARY, binary.display());
    }
    if use_named(services, "S3", &S3)? {
        return match binary {
            Ok(_) => Ok(()),
            Err(failure) => services.skip("versitygw", failure),
        };
    }
    let binary = match binary {
        Ok(binary) => binary,
        Err(failure) => return services.skip("S3", failure),
    };
    let watch = Stopwatch::start();
    let port = port.take()?;
    let versions = services.folder("s3-versions");
    let mut command = versitygw::server(&binary, port, &services.buckets(), &versions)?;
    command
        .env("ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("ROOT_SECRET_KEY", SECRET_KEY);
    let mut server = Logged::spawn(&mut command, &services.folder("versitygw.log"))?;
    server.wait_ready("versitygw starts", START_LIMIT, |_| {
        status(port, "/").is_some()
    })?;
    services.running.push(server);
    let text = format!(
        "versitygw {} on http://127.0.0.1:{port}, started in {}",
        versitygw::VERSION,
        watch.text()
    );
    started(services, "S3", &S3, port, text);
    Ok(())
}

/// Finds or starts a MinIO; no registry carries it, so often there is none.
pub(super) fn provide_minio(services: &mut Services) -> Outcome<()> {
    let minio = process::on_path("minio");
    if let Some(minio) = &minio {
        services.export(MINIO_BINARY, minio.display());
    }
    if use_named(services, "MinIO", &MINIO)? {
        return Ok(());
    }
    let Some(minio) = minio else {
        return services.skip(
            "MinIO",
            Failure::new("no endpoint named and no minio on PATH"),
        );
    };
    let watch = Stopwatch::start();
    let [port, console] = ports::free()?;
    let mut command = program(minio)?;
    command
        .args(["server", "--address", &format!("127.0.0.1:{port}")])
        .args(["--console-address", &format!("127.0.0.1:{console}")])
        .arg(services.folder("minio-data"))
        .env("MINIO_ROOT_USER", ACCESS_KEY)
        .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
        .envs([
            ("MINIO_BROWSER", "off"),
            ("MINIO_UPDATE", "off"),
            ("MINIO_CI_CD", "1"),
        ]);
    let mut server = Logged::spawn(&mut command, &services.folder("minio.log"))?;
    let ready = |_: &str| status(port, "/minio/health/ready").as_deref() == Some("200");
    server.wait_ready("MinIO starts", START_LIMIT, ready)?;
    services.running.push(server);
    let text = format!(
        "minio on http://127.0.0.1:{port}, started in {}",
        watch.text()
    );
    started(services, "MinIO", &MINIO, port, text);
    Ok(())
}

fn started(
    services: &mut Services,
    service: &'static str,
    variables: &Variables,
    port: u16,
    text: String,
) {
    services.export(variables.endpoint, format!("http://127.0.0.1:{port}"));
    services.export(variables.access_key, ACCESS_KEY);
    services.export(variables.secret_key, SECRET_KEY);
    services.have(service, text);
}

/// Whether the environment names a store; a half-named one is a failure.
fn use_named(
    services: &mut Services,
    service: &'static str,
    variables: &Variables,
) -> Outcome<bool> {
    let Some(endpoint) = named(variables.endpoint) else {
        return Ok(false);
    };
    let must_name = |variable: &'static str| {
        named(variable).ok_or_else(|| {
            Failure::new(format!(
                "{} is set, but {variable} is not",
                variables.endpoint
            ))
        })
    };
    let (access, secret) = (
        must_name(variables.access_key)?,
        must_name(variables.secret_key)?,
    );
    must_answer(variables.endpoint, &host_and_port(&endpoint)?)?;
    services.have(
        service,
        format!("{endpoint} (named by {})", variables.endpoint),
    );
    services.export(variables.endpoint, endpoint);
    services.export(variables.access_key, access);
    services.export(variables.secret_key, secret);
    Ok(true)
}

/// `http://host:port/…` → `host:port`.
pub(super) fn host_and_port(endpoint: &str) -> Outcome<String> {
    let (scheme, rest) = endpoint
        .split_once("://")
        .ok_or_else(|| Failure::new(format!("{endpoint} is not a URL such as http://host:9000")))?;
    let host = rest.split('/').next().unwrap_or(rest);
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if scheme == "https" { 443 } else { 80 };
    Ok(if has_port {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    })
}

/// The status of `GET path`, if a server on this port answers; any status shows that it is up.
pub(super) fn status(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    stream.set_write_timeout(Some(ANSWER_LIMIT)).ok()?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).ok()?;
    let line = std::str::from_utf8(&start).ok()?;
    Some(line.strip_prefix("HTTP/1.")?.get(2..5)?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn endpoints_become_addresses() {
        let address = |endpoint| host_and_port(endpoint).ok();
        assert_eq!(
            address("http://127.0.0.1:9000").as_deref(),
            Some("127.0.0.1:9000")
        );
        assert_eq!(
            address("https://s3.example.org/x").as_deref(),
            Some("s3.example.org:443")
        );
        assert_eq!(address("http://[::1]:9000/").as_deref(), Some("[::1]:9000"));
        assert_eq!(address("127.0.0.1:9000"), None);
    }

    #[test]
    fn a_status_is_read_from_a_live_server_only() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = server.local_addr().expect("bound").port();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("a client");
            stream
                .write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                .expect("the client reads");
        });
        assert_eq!(status(port, "/").as_deref(), Some("403"));
        answering.join().expect("the server ends");
        assert_eq!(status(port, "/"), None);
    }
}
