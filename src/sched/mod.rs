//! The pure heart: it decides. No IO, no async, no clock reading, no randomness, no logging.

pub mod trigger;
