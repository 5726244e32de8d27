//! What the end-to-end tests share: a server of their own, foreign phones, an ear, and the record.
#![allow(dead_code, reason = "every test binary takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

pub(crate) mod baresip;
pub(crate) mod caller;
pub(crate) mod clock;
pub(crate) mod listen;
pub(crate) mod record;
pub(crate) mod server;
pub(crate) mod sipp;
pub(crate) mod speech;

use std::path::PathBuf;

/// The root of the tree.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder for one test, under the build's own, gone when dropped.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("cityline-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A UDP port of loopback that is free now.
pub(crate) fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
