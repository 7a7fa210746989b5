//! Sizes, rates and times as people type them: a number and a unit.

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

/// `90m`, `12h`, `30d` or `8w` in seconds; a number alone counts days.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let seconds = match unit {
        "m" => Some(60),
        "h" => Some(3600),
        "" | "d" => Some(86_400),
        "w" => Some(7 * 86_400),
        _ => None,
    };
    let product = digits.parse::<u64>().ok().zip(seconds);
    let product = product.and_then(|(number, seconds)| number.checked_mul(seconds));
    product.ok_or_else(|| "a time is like 90m, 12h, 30d or 8w".into())
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

    #[test]
    fn times_are_days_unless_they_say_otherwise() {
        let times = ["30", "30d", "720h", "43200m"].map(seconds);
        assert!(
            times.iter().all(|time| *time == Ok(30 * 86_400)),
            "{times:?}"
        );
        assert_eq!(seconds("2w"), seconds("14d"));
        for bad in ["", "d", "1y", "-1d", "1.5h", "1 d", "9999999999999999999d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
