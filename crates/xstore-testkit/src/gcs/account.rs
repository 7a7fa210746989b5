//! `Account`: the one service account, and the key file that its users have.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::json;

/// The account's key, and one that the service does not know.
pub(super) const PEM: &str = include_str!("../../keys/account.pem");
pub(super) const STRANGERS_PEM: &str = include_str!("../../keys/stranger.pem");

pub(super) const EMAIL: &str = "tests@xgene-testkit.iam.gserviceaccount.com";
pub(super) const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the service knows of the account.
#[derive(Debug)]
pub(super) struct Account {
    public_key: Vec<u8>,
}

impl Account {
    pub(super) fn open() -> io::Result<Self> {
        let pair = RsaKeyPair::from_pkcs8(&der(PEM)?).map_err(io::Error::other)?;
        Ok(Self {
            public_key: pair.public_key().as_ref().to_vec(),
        })
    }

    /// Whether `signature` is the account's over `message`, as RS256 has it (RFC 7518, 3.3).
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key);
        key.verify(message, signature).is_ok()
    }
}

/// A key file as the service hands them out; `gcs_base_url` is what `object_store` adds.
pub(super) fn key_file(pem: &str, base_url: &str, token_uri: &str) -> String {
    let fields = json!({
        "type": "service_account",
        "project_id": "xgene-testkit",
        "private_key_id": KEY_ID,
        "private_key": key_block(pem),
        "client_email": EMAIL,
        "client_id": "100000000000000000000",
        "token_uri": token_uri,
        "gcs_base_url": base_url,
    });
    fields.to_string()
}

/// The file without the words before the key.
fn key_block(pem: &str) -> &str {
    pem.find("-----BEGIN").map_or(pem, |start| &pem[start..])
}

fn der(pem: &str) -> io::Result<Vec<u8>> {
    let lines = key_block(pem).lines();
    let base64: String = lines.filter(|line| !line.starts_with("-----")).collect();
    BASE64_STANDARD.decode(base64).map_err(io::Error::other)
}
