//! Integration tests, one binary.

#![allow(clippy::unwrap_used, clippy::panic)]

mod carto_contract;
mod config;
mod documented;
mod migrations;
mod sandbox;
mod sqlite_file;
mod store_conformance;
mod support;
