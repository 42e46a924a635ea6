//! What several tests need.

pub(crate) mod arbitrary;
pub(crate) mod mail_server;
pub(crate) mod memory_store;
pub(crate) mod moody_store;
pub(crate) mod preload;
pub(crate) mod receiver;
pub(crate) mod runs;
pub(crate) mod world;
