//! What a client must know of a running server: its address and credentials.

use std::collections::BTreeMap;

/// The bucket or container that every object server holds.
pub(super) const BUCKET: &str = "xstore";

/// The folder, or first part of names, that the credentials give access to.
pub(super) const PREFIX: &str = "shares";

/// A backend's address, as `xgene` takes it, and the variables that it reads.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) url: String,
    pub(super) env: BTreeMap<String, String>,
}

impl Access {
    pub(super) fn new<const N: usize>(url: String, env: [(&str, String); N]) -> Self {
        let env = env.map(|(name, value)| (name.to_owned(), value));
        Self {
            url,
            env: env.into(),
        }
    }

    /// Of a server that speaks S3.
    pub(super) fn s3(port: u16, key_id: &str, secret: &str) -> Self {
        let url =
            format!("s3://{BUCKET}/{PREFIX}?region=us-east-1&endpoint=http://127.0.0.1:{port}");
        let env = [
            ("AWS_ACCESS_KEY_ID", key_id.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
        ];
        Self::new(url, env)
    }
}
