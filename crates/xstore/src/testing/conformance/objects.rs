//! Checks of single objects: what is stored is read back, once and for all.

use bytes::Bytes;

use super::{Area, Violation, expect_eq, expect_not_found, list_all, read};
use crate::backend::{ObjectKey, Put, StorageBackend};

/// An object is visible to `get_range`, `head` and `list` as soon as `put_new` has returned, with
/// the bytes given; the empty object is one, and so is one with the longest key.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn objects_round_trip(backend: &dyn StorageBackend) -> Result<(), Violation> {
    let area = Area::new("roundtrip");
    let room_bytes = ObjectKey::MAX_LEN - area.prefix.len() - 1;
    for (name, body) in [
        ("one", "some bytes"),
        ("empty", ""),
        // A name may also be the first segments of another.
        ("one/below", "more bytes"),
        (&"z".repeat(room_bytes), "longest key"),
    ] {
        round_trip(
            backend,
            area.key(name)?,
            Bytes::from_static(body.as_bytes()),
        )
        .await?;
    }
    area.clean(backend).await
}

/// An object of more than 16 MiB, the usual size of a stored unit, comes back whole.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn large_object_round_trips(backend: &dyn StorageBackend) -> Result<(), Violation> {
    const LEN_BYTES: u32 = (16 << 20) + 5;
    let area = Area::new("large");
    // A product of the offset, so that no two blocks of a power of two look alike.
    let pattern = |offset: u32| offset.wrapping_mul(0x9E37_79B1).to_be_bytes()[0];
    let body: Vec<u8> = (0..LEN_BYTES).map(pattern).collect();
    round_trip(backend, area.key("object")?, body.into()).await?;
    area.clean(backend).await
}

async fn round_trip(
    backend: &dyn StorageBackend,
    key: ObjectKey,
    body: Bytes,
) -> Result<(), Violation> {
    let put = backend.put_new(&key, body.clone()).await?;
    expect_eq(put, Put::Created, "a free name is created")?;
    let len_bytes = backend.head(&key).await?.len_bytes;
    expect_eq(len_bytes, body.len() as u64, "head tells the length")?;
    let bytes = read(backend, &key).await?;
    expect_eq(bytes, body, "the bytes put are the bytes got")?;
    let listed = list_all(backend, key.as_str()).await?;
    expect_eq(listed.first(), Some(&key), "a stored object is listed")
}

/// `put_new` on a taken name says so and changes nothing.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn names_are_never_overwritten(backend: &dyn StorageBackend) -> Result<(), Violation> {
    let area = Area::new("overwrite");
    let key = area.key("object")?;
    backend.put_new(&key, Bytes::from_static(b"first")).await?;
    for other in ["other", "longer than before", "", "first"] {
        let put = backend
            .put_new(&key, Bytes::from_static(other.as_bytes()))
            .await?;
        expect_eq(put, Put::AlreadyExists, "a taken name is refused")?;
        let bytes = read(backend, &key).await?;
        expect_eq(
            bytes,
            Bytes::from_static(b"first"),
            "a refused put changes nothing",
        )?;
    }
    area.clean(backend).await
}

/// Ranges are half-open and end where the object ends.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn ranges_are_clamped(backend: &dyn StorageBackend) -> Result<(), Violation> {
    let area = Area::new("ranges");
    let (key, empty) = (area.key("object")?, area.key("empty")?);
    let body = Bytes::from_static(b"0123456789");
    backend.put_new(&key, body).await?;
    backend.put_new(&empty, Bytes::new()).await?;
    for (range, expected) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (9..10, "9"),
        (3..7, "3456"),
        (8..100, "89"),
        (8..u64::MAX, "89"),
        (0..0, ""),
        (5..5, ""),
        (10..11, ""),
        (11..20, ""),
        (u64::MAX - 1..u64::MAX, ""),
    ] {
        let bytes = backend.get_range(&key, range).await?;
        expect_eq(
            bytes,
            Bytes::from_static(expected.as_bytes()),
            "a range is clamped",
        )?;
    }
    for range in [0..0, 0..1, 5..9] {
        let bytes = backend.get_range(&empty, range).await?;
        expect_eq(bytes, Bytes::new(), "an empty object has empty ranges")?;
    }
    area.clean(backend).await
}

/// `get_range` and `head` answer `NotFound` for what is not there, whatever stands beside it.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn missing_objects_are_not_found(backend: &dyn StorageBackend) -> Result<(), Violation> {
    let area = Area::new("missing");
    let there = area.key("a/there")?;
    backend
        .put_new(&there, Bytes::from_static(b"object"))
        .await?;
    let long = "y".repeat(ObjectKey::MAX_LEN - area.prefix.len() - 1);
    for name in [
        "b",
        "b/c/d",
        "a",
        "a/ther",
        "a/there0",
        "a/there/below",
        &long,
    ] {
        let key = area.key(name)?;
        let got = backend.get_range(&key, 0..1).await;
        expect_not_found(backend, got, "get_range of a missing object is NotFound")?;
        let empty = backend.get_range(&key, 0..0).await;
        expect_not_found(backend, empty, "so is an empty range of it")?;
        let head = backend.head(&key).await;
        expect_not_found(backend, head, "head of a missing object is NotFound")?;
    }
    area.clean(backend).await
}

/// `delete` takes any number of keys, missing and repeated ones too, and touches no others.
///
/// # Errors
/// The first [`Violation`] found.
pub async fn delete_is_idempotent(backend: &dyn StorageBackend) -> Result<(), Violation> {
    let area = Area::new("delete");
    let names = ["a", "a/b", "b/c/d", "b/c/e", "kept/f"];
    for name in names {
        backend
            .put_new(&area.key(name)?, Bytes::from_static(b"object"))
            .await?;
    }
    backend.delete(&[]).await?;
    let missing = area.key("never/stored")?;
    let mut batch = vec![missing.clone(), missing];
    for name in &names[..4] {
        batch.push(area.key(name)?);
    }
    batch.push(area.key("a")?);
    for _ in 0..2 {
        backend.delete(&batch).await?;
        for key in &batch {
            let head = backend.head(key).await;
            expect_not_found(backend, head, "a deleted object is missing")?;
        }
        let left = list_all(backend, &area.prefix).await?;
        expect_eq(
            left,
            vec![area.key("kept/f")?],
            "delete touches its keys only",
        )?;
    }
    area.clean(backend).await
}
