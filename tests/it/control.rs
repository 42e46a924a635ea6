//! The local API against a real daemon: a real store, a real socket, and the sandbox as the vendor.

mod commands;
mod routes;
mod socket;
mod world;
