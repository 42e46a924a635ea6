//! Integration tests, one binary.

#![allow(clippy::unwrap_used, clippy::panic)]

mod acting;
mod after;
mod carto_contract;
mod cli_binary;
mod cli_reading;
mod clock;
mod config;
mod control;
mod crash;
mod daemon;
mod disk;
mod doctor;
mod documented;
mod first_night;
mod hostile;
mod import;
mod metrics;
mod migrations;
mod network;
mod notify;
mod operations;
mod operator;
mod outbox;
mod plan;
mod sandbox;
mod sqlite_file;
mod store_conformance;
mod support;
mod systemd;
mod telling;
mod tidy;
