//! Sizes and rates as people type them: a number and a binary unit.

use xstore::rate::Rate;

/// `64KiB`, `2MiB` or `1GiB` in bytes; `None` for anything else.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let shift = match unit {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// So many bytes each second, and not none.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    bytes(text)
        .and_then(Rate::try_new)
        .ok_or_else(|| "a rate is like 512KiB or 10MiB, and more than nothing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(bytes("64KiB"), Some(65_536));
        assert_eq!(bytes("2MiB"), Some(2 << 20));
        assert_eq!(bytes("3GiB"), Some(3 << 30));
        assert_eq!(rate("1KiB").unwrap().bytes_per_s(), 1024);
        for bad in [
            "",
            "10",
            "KiB",
            "10MB",
            "10 MiB",
            "-1MiB",
            "+1MiB",
            "1.5MiB",
            "10MiB/s",
            "99999999999GiB",
        ] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
        assert!(rate("0MiB").is_err());
    }
}
