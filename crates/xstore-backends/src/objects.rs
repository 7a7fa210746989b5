//! What backends share that keep names and bytes in one place each: how long an object can be, and
//! how a page of names is cut.

#[cfg(any(feature = "redis", feature = "sqlite"))]
use xstore::{ListPage, ObjectKey};

/// No object is longer; what claims to be is neither stored nor read. A segment has 16 MiB and a
/// footer.
pub(crate) const OBJECT_LEN_BYTES_MAX: u64 = 64 << 20;

/// Most keys on one page of a listing.
#[cfg(any(feature = "redis", feature = "sqlite"))]
const PAGE_KEY_COUNT_MAX: u16 = 1000;

/// How many names to ask for: one more than a page holds tells whether another follows.
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) const NAME_COUNT_ASKED: u16 = PAGE_KEY_COUNT_MAX + 1;

/// The half-open range of names that start with `prefix`: its end is the first text behind them all,
/// since no key holds a character from `{` on.
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) fn names_under(prefix: &str) -> std::ops::Range<String> {
    prefix.to_owned()..format!("{prefix}{{")
}

/// A page of the first `names` asked for, which are in order. What is no key is not ours, and passed
/// over.
#[cfg(any(feature = "redis", feature = "sqlite"))]
pub(crate) fn page(mut names: Vec<String>) -> ListPage {
    let page_len = usize::from(PAGE_KEY_COUNT_MAX);
    let is_last = names.len() <= page_len;
    names.truncate(page_len);
    let keys = names.iter().filter_map(|name| ObjectKey::try_new(name));
    let keys = keys.collect();
    let next = if is_last { None } else { names.pop() };
    ListPage { keys, next }
}

#[cfg(all(test, any(feature = "redis", feature = "sqlite")))]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_the_keys_with_the_prefix_and_no_others() {
        let names = ["0", "a", "a/b", "a0", "az/z", "b", "z"];
        for prefix in ["", "0", "a", "a/", "a/b", "az/zz", "é", "{"] {
            let range = names_under(prefix);
            for name in names {
                let is_inside = range.contains(&name.to_owned());
                assert_eq!(is_inside, name.starts_with(prefix), "{name} {prefix}");
            }
        }
    }

    #[test]
    fn a_page_goes_on_behind_its_last_name() {
        let names = |count| (0..count).map(|number| format!("{number:04}")).collect();
        let whole = page(names(PAGE_KEY_COUNT_MAX));
        assert_eq!((whole.keys.len(), whole.next), (1000, None));
        let first = page(names(NAME_COUNT_ASKED));
        assert_eq!(first.keys.len(), 1000);
        assert_eq!(first.next.as_deref(), Some("0999"));
        let foreign = page(vec!["A".to_owned(), "a".to_owned()]);
        assert_eq!(foreign.keys, [ObjectKey::try_new("a").unwrap()]);
    }
}
