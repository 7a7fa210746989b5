//! `Cloud`: an object store behind HTTP as a backend, whoever the provider is.
//!
//! The provider's library signs and speaks; what its answers mean is decided here, by one table. Its
//! own retries and time-outs are off, since those of `xstore` stand in front of every backend and
//! know what they cost. An object is one request, so that it is whole or absent: a single PUT that
//! only creates, never an upload in parts, on which some servers ignore that condition.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore, PutMode, PutOptions};
use xstore::{
    BackendError, Capabilities, Erasure, ListPage, ObjectKey, ObjectMeta, Put, StorageBackend,
};

use crate::credential::Source;
use crate::objects::OBJECT_LEN_BYTES_MAX;
use crate::url::ConnectError;

pub mod answers;
mod refusal;
mod session;
mod setup;
mod tap;

use answers::{Means, Provider};
pub(crate) use refusal::{Refusal, malformed, refused, unusable};
pub(crate) use session::Session;
#[cfg(feature = "webdav")]
pub(crate) use setup::Endpoint;
pub(crate) use setup::{Remote, client_options, no_retries};
pub(crate) use tap::TapConnector;
use tap::{Kept, Seen};

/// Deletions under way at once.
const DELETIONS: usize = 8;

/// What a provider's library has to offer.
#[async_trait]
pub(crate) trait Client: fmt::Debug + Send + Sync + 'static {
    /// Reads and writes.
    fn objects(&self) -> &dyn ObjectStore;

    /// One page of the objects whose names start with `prefix`, by ascending name, and the token of
    /// the next.
    async fn page(&self, prefix: &str, token: Option<String>) -> object_store::Result<Page>;

    /// Deletes one object, with one request whose answer speaks of that object.
    async fn delete(&self, path: &Path) -> object_store::Result<()>;

    /// What the provider says of deletions when it is asked; `None` when it only tells by its answers
    /// to them.
    async fn erasure(&self) -> object_store::Result<Option<Erasure>>;
}

/// Names, and the token of the next page.
pub(crate) type Page = (Vec<Path>, Option<String>);

/// A page as the provider's library lists it.
pub(crate) async fn page_of(
    pages: &dyn PaginatedListStore,
    prefix: &str,
    token: Option<String>,
) -> object_store::Result<Page> {
    let options = PaginatedListOptions {
        page_token: token,
        ..PaginatedListOptions::default()
    };
    let prefix = (!prefix.is_empty()).then_some(prefix);
    let page = pages.list_paginated(prefix, options).await?;
    let objects = page.result.objects.into_iter();
    let names = objects.map(|object| object.location).collect();
    Ok((names, page.page_token))
}

/// Objects of one bucket or container, below one prefix.
pub(crate) struct Cloud<C> {
    id: String,
    session: Session<C>,
    /// With a slash at the end, or empty.
    prefix: String,
    /// Place in [`TOLD`].
    told: AtomicU8,
}

/// What the answers to deletions have told so far, the worst last: what was kept once stays kept.
const TOLD: [Erasure; 4] = [
    Erasure::Untold("nothing was deleted there yet"),
    Erasure::Erases,
    Erasure::Keeps("it keeps deleted objects for a while"),
    Erasure::Keeps("it keeps earlier versions of its objects"),
];

impl<C: Client> Cloud<C> {
    /// Connects for the first time.
    pub(crate) fn new(
        id: &str,
        provider: Provider,
        prefix: &str,
        source: &Source,
        connect: impl Fn(&Source) -> Result<C, ConnectError> + Send + Sync + 'static,
    ) -> Result<Self, ConnectError> {
        let slash = if prefix.is_empty() { "" } else { "/" };
        Ok(Self {
            id: id.to_owned(),
            session: Session::new(provider, source, connect)?,
            prefix: format!("{prefix}{slash}"),
            told: AtomicU8::new(0),
        })
    }

    fn path(&self, key: &ObjectKey) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }

    /// Reads what `range` says, all of it when there is none; `None` where the object ends before.
    async fn read(
        &self,
        key: &ObjectKey,
        range: Option<GetRange>,
    ) -> Result<Option<Bytes>, Refusal> {
        let path = self.path(key);
        let read = self.session.ask(|client| {
            let (path, options) = (path.clone(), GetOptions::new().with_range(range.clone()));
            async move { collect(client.objects().get_opts(&path, options).await?).await }
        });
        match read.await {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(refusal) if refusal.means() == Means::EndsBefore => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn delete_one(&self, path: Path) -> Result<(), Refusal> {
        let deleted = self.session.ask(|client| {
            let path = path.clone();
            async move { client.delete(&path).await }
        });
        match deleted.await {
            Ok((_, seen)) => self.remember(seen),
            Err(refusal) if refusal.means() == Means::Absent => {}
            Err(refusal) => return Err(refusal),
        }
        Ok(())
    }

    fn remember(&self, seen: Option<Seen>) {
        let Some(Seen::Answer { kept, .. }) = seen else {
            return;
        };
        let told = match kept {
            Kept::Unsaid => 1,
            Kept::SoftDeleted => 2,
            Kept::Versions => 3,
        };
        self.told.fetch_max(told, Ordering::Relaxed);
    }

    fn told(&self) -> Erasure {
        TOLD[usize::from(self.told.load(Ordering::Relaxed)) % TOLD.len()]
    }

    /// The keys of a page that are ours; what else lies there is not.
    fn keys(&self, names: &[Path]) -> Vec<ObjectKey> {
        let key = |name: &Path| ObjectKey::try_new(name.as_ref().strip_prefix(&self.prefix)?);
        names.iter().filter_map(key).collect()
    }
}

/// Whether a key can start so. Servers differ on how other characters are signed in a query, so they
/// are not asked what cannot be.
fn starts_a_key(prefix: &str) -> bool {
    let ours = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'/';
    prefix.bytes().all(ours)
}

/// The body of an answer, no longer than it said.
async fn collect(answer: GetResult) -> object_store::Result<Bytes> {
    let len_bytes = answer.range.end.saturating_sub(answer.range.start);
    if len_bytes > OBJECT_LEN_BYTES_MAX {
        return Err(refused("it is longer than an object can be"));
    }
    let len_bytes = usize::try_from(len_bytes).unwrap_or(usize::MAX);
    let mut body = answer.into_stream();
    let mut bytes = BytesMut::with_capacity(len_bytes);
    while let Some(part) = body.try_next().await? {
        if part.len() > len_bytes - bytes.len() {
            return Err(refused("more came than was announced"));
        }
        bytes.extend_from_slice(&part);
    }
    if bytes.len() < len_bytes {
        return Err(refused("less came than was announced"));
    }
    Ok(bytes.freeze())
}

/// What to ask for: `None` for the whole object.
fn asked(range: &Range<u64>) -> Option<GetRange> {
    // Servers count in 63 bits.
    match (range.start, i64::try_from(range.end)) {
        (0, Err(_)) => None,
        (start, Err(_)) => Some(GetRange::Offset(start)),
        (_, Ok(_)) => Some(GetRange::Bounded(range.clone())),
    }
}

#[async_trait]
impl<C: Client> StorageBackend for Cloud<C> {
    fn id(&self) -> &str {
        &self.id
    }

    /// Providers promise both; `xgene store backend test` finds servers that do not keep the first.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true, true)
    }

    async fn put_new(&self, key: &ObjectKey, bytes: Bytes) -> Result<Put, BackendError> {
        let path = self.path(key);
        let put = self.session.ask(|client| {
            let (path, payload) = (path.clone(), bytes.clone().into());
            let options = PutOptions::from(PutMode::Create);
            async move { client.objects().put_opts(&path, payload, options).await }
        });
        match put.await {
            Ok(_) => Ok(Put::Created),
            Err(refusal) if refusal.means() == Means::Taken => Ok(Put::AlreadyExists),
            Err(refusal) => Err(refusal.of_backend(&self.id)),
        }
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        if range.is_empty() || range.start > i64::MAX as u64 {
            return self.head(key).await.map(|_| Bytes::new());
        }
        match self.read(key, asked(&range)).await {
            Ok(read) => Ok(read.unwrap_or_default()),
            // Azurite answers a range behind the end with what the library takes for a broken body.
            Err(refusal) if refusal.is_broken_answer() => {
                if self.head(key).await?.len_bytes <= range.start {
                    return Ok(Bytes::new());
                }
                Err(refusal.of_backend(&self.id))
            }
            Err(refusal) => Err(refusal.of_backend(&self.id)),
        }
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, BackendError> {
        let path = self.path(key);
        let head = self.session.ask(|client| {
            let (path, options) = (path.clone(), GetOptions::new().with_head(true));
            async move { client.objects().get_opts(&path, options).await }
        });
        match head.await {
            Ok((found, _)) => Ok(ObjectMeta {
                len_bytes: found.meta.size,
                modified: Some(found.meta.last_modified.into()),
            }),
            // An answer to HEAD has no body, so a missing bucket looks like a missing object there.
            Err(refusal) if refusal.means() == Means::Absent && refusal.is_wordless() => {
                let first_byte = GetRange::Bounded(0..1);
                let why = match self.read(key, Some(first_byte)).await {
                    Err(why) => why,
                    Ok(_) => refusal,
                };
                Err(why.of_backend(&self.id))
            }
            Err(refusal) => Err(refusal.of_backend(&self.id)),
        }
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<ListPage, BackendError> {
        if !starts_a_key(prefix) {
            return Ok(ListPage {
                keys: Vec::new(),
                next: None,
            });
        }
        let prefix = format!("{}{prefix}", self.prefix);
        let listed = self.session.ask(|client| {
            let (prefix, token) = (prefix.clone(), cursor.map(str::to_owned));
            async move { client.page(&prefix, token).await }
        });
        let listed = listed.await;
        let ((names, next), _) = listed.map_err(|refusal| refusal.of_backend(&self.id))?;
        Ok(ListPage {
            keys: self.keys(&names),
            next,
        })
    }

    async fn delete(&self, keys: &[ObjectKey]) -> Result<(), BackendError> {
        let paths: Vec<Path> = keys.iter().map(|key| self.path(key)).collect();
        let deleted = stream::iter(paths)
            .map(|path| self.delete_one(path))
            .buffer_unordered(DELETIONS)
            .try_collect::<()>();
        deleted
            .await
            .map_err(|refusal| refusal.of_backend(&self.id))
    }

    async fn erasure(&self) -> Result<Erasure, BackendError> {
        let asked = self
            .session
            .ask(|client| async move { client.erasure().await })
            .await;
        let (told, _) = asked.map_err(|refusal| refusal.of_backend(&self.id))?;
        Ok(told.unwrap_or_else(|| self.told()))
    }
}

/// Neither the bucket's URL nor a library's own `Debug`, which is not ours to vouch for.
impl<C> fmt::Debug for Cloud<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud")
            .field("id", &self.id)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
