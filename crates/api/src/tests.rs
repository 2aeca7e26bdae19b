//! The router over a real dispatcher, journal and log store in memory, and a runtime whose runs are scripted by their event.

mod access;
mod hub;
mod invocations;
mod invoke;
mod logs;
mod matrix;
mod openapi;
mod runtime;
mod status;
