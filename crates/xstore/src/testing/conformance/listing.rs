//! Checks of `list`: order, prefixes and pages.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Area, Violation, expect_eq, list_all};
use crate::backend::{ListPage, ObjectKey, StorageBackend};

/// A prefix is any text, whether or not it ends at a slash; keys ascend by their bytes.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn list_matches_any_prefix(backend: &dyn StorageBackend) -> Result<(), Violation> {
    let area = Area::new("prefix");
    // In the order of their bytes: `/` sorts before every digit and letter.
    let names = ["a", "a/b", "a/b/c", "a/bc", "a0", "ab", "ab/c", "b/0", "b0"];
    for name in names.iter().rev() {
        let body = Bytes::from_static(b"object");
        backend.put_new(&area.key(name)?, body).await?;
    }
    let sentence = "list answers the keys under a prefix in ascending order";
    let prefixes = [
        "", "a", "a/", "a/b", "a/b/", "a/bc", "a0", "ab", "b", "b/", "b1", "a//", "A", "..", "../",
        "é", "\0", "a.b", "a b",
    ];
    for prefix in prefixes {
        let prefix = format!("{}/{prefix}", area.prefix);
        let keys = names.iter().map(|name| area.key(name));
        let mut expected = keys.collect::<Result<Vec<_>, _>>()?;
        expected.retain(|key| key.as_str().starts_with(&prefix));
        expect_eq(list_all(backend, &prefix).await?, expected, sentence)?;
    }
    let within_a_segment = area.prefix.strip_suffix("fix").unwrap_or(&area.prefix);
    let listed = list_all(backend, within_a_segment).await?;
    expect_eq(listed.len(), names.len(), sentence)?;
    let page = backend.list("/", None).await?;
    let nothing = ListPage {
        keys: Vec::new(),
        next: None,
    };
    expect_eq(page, nothing, "an unknown prefix is one empty page")?;
    area.clean(backend).await
}

/// More keys than any page holds come in pages: each key once, ascending, and the last page says
/// that it is the last.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn list_pages_every_key_once(backend: &dyn StorageBackend) -> Result<(), Violation> {
    /// More than the largest page of the providers known, which is 1000 keys.
    const KEY_COUNT: u32 = 1100;
    let area = Area::new("pages");
    let mut keys = (0..KEY_COUNT)
        .map(|number| area.key(&format!("{:x}/{number}", number % 7)))
        .collect::<Result<Vec<ObjectKey>, _>>()?;
    stream::iter(&keys)
        .map(|key| backend.put_new(key, Bytes::from_static(b"x")))
        .buffer_unordered(16)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    keys.sort();

    let mut listed = Vec::new();
    let mut cursor = None;
    // One key to a page is the worst that a backend may do.
    for _ in 0..=KEY_COUNT {
        let page = backend.list(&area.prefix, cursor.as_deref()).await?;
        listed.extend(page.keys);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    expect_eq(cursor, None, "the last page has no cursor")?;
    expect_eq(listed, keys, "pages hold every key once, in order")?;
    area.clean(backend).await
}
