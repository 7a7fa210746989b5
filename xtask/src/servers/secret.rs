//! Passwords and identifiers of the operating system's random generator.

use std::fs::{self, File};
use std::io::Read as _;

use anyhow::{Context, Result};

/// 256 random bits as 64 hexadecimal digits, which are valid Base64 as well.
pub(super) fn password() -> Result<String> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("/dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A random UUID, RFC 9562 version 4.
pub(super) fn uuid() -> Result<String> {
    const FILE: &str = "/proc/sys/kernel/random/uuid";
    let text = fs::read_to_string(FILE).context(FILE)?;
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_differ() {
        let [one, two] = [password().unwrap(), password().unwrap()];
        assert_eq!(one.len(), 64);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, two);
        assert_ne!(uuid().unwrap(), uuid().unwrap());
    }
}
