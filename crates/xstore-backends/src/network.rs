//! What backends beyond this computer share: one cryptography, one patience, and what counts as near.

use std::time::Duration;

/// How long a connection may take to stand. Everything behind it is measured by `xstore::timeout`,
/// which knows how many bytes there are.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Names the one cryptography that this program has; that it was named before is well.
pub(crate) fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whether `host`, with or without a port, is an address of this computer.
pub(crate) fn is_local(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let local = ["localhost", "127.0.0.1", "[::1]"].contains(&name);
    local && port.bytes().all(|byte| byte.is_ascii_digit())
}
