//! The release binary under pressure, alone on the machine; and documents under hostile messages (`hostile`).
//!
//! `YMESH_BIN` names the binary (else the one that cargo has built), `YMESH_PRESSURE_SECONDS` how long the reader
//! doesn't read (else 5 s, which is too short for the memory that it may cost to show).
#![cfg(feature = "server")]

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

mod attack;
mod hostile;
mod reader;
mod server;
mod shed;
