//! End-to-end tests on the real binary. One binary, one module a subject.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

mod bad_config;
mod check;
mod crash;
mod cron;
mod deploy;
mod doctor;
mod examples;
mod executor;
mod functions;
mod handshake;
mod hostile;
mod http;
mod http_function;
mod isolation;
mod kafka;
mod lifecycle;
mod logs;
mod metrics;
mod openapi;
mod overload;
mod reclaim;
mod role;
mod routes;
mod s3;
mod s3_faults;
mod security;
mod shell;
mod shutdown;
mod traces;
mod wall_clock;
mod worker;
