//! One call under each fault of a line: which error it is, how long to wait, and that a repeated call
//! does no harm.
//!
//! What a store makes of it is in `tests/matrix`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use xstore::entropy::OsEntropy;
use xstore::retry::{Retry, RetryOptions};
use xstore::timeout::{Timeout, TimeoutOptions};
use xstore::{BackendError, BackendErrorKind, ObjectKey, Put, StorageBackend};
use xstore_testkit::proxy::{Ending, Fault, Method, Plan, Proxy, Rule};

use crate::world::Server;

const BODY: Bytes = Bytes::from_static(b"0123456789");

/// A server behind a line.
struct Line {
    server: Server,
    proxy: Proxy,
    backend: Arc<dyn StorageBackend>,
}

impl Line {
    fn plan(&self) -> &Plan {
        self.proxy.plan()
    }

    /// An object under a name of its own.
    async fn object(&self, name: &str) -> ObjectKey {
        let key = self.key(name).await;
        assert_eq!(
            self.backend.put_new(&key, BODY).await.unwrap(),
            Put::Created
        );
        key
    }

    /// A name that is free.
    async fn key(&self, name: &str) -> ObjectKey {
        self.plan().set([]);
        let key = ObjectKey::try_new(&format!("proxy/{name}")).unwrap();
        self.backend
            .delete(std::slice::from_ref(&key))
            .await
            .unwrap();
        key
    }

    /// What is under `key`, seen past the faults.
    async fn stored(&self, key: &ObjectKey) -> Result<Bytes, BackendErrorKind> {
        self.plan().set([]);
        let read = self.backend.get_range(key, 0..u64::MAX).await;
        read.map_err(|error| error.kind)
    }

    /// The kind of an error in which nothing stands that nobody may know.
    fn kind<T: std::fmt::Debug>(&self, outcome: Result<T, BackendError>) -> BackendErrorKind {
        let error = outcome.unwrap_err();
        let mut text = format!("{error:?} {error} {:?}", self.backend);
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            write!(text, " {error:?} {error}").unwrap();
            cause = error.source();
        }
        for (name, secret) in self.server.variables().iter() {
            let lines = secret.split("\\n").filter(|line| !line.is_empty());
            for line in lines {
                assert!(!text.contains(line), "{name}: {text}");
            }
        }
        for unsaid in ["http://", "Signature", "Bearer", "reduce your request rate"] {
            assert!(!text.contains(unsaid), "{text}");
        }
        error.kind
    }
}

/// The first request of this kind fails, and no other.
fn first(method: Method, fault: Fault) -> [Rule; 1] {
    [Rule::new(fault).method(method).requests(0..1)]
}

async fn stands_every_fault(test: &str, name: &str) {
    let Some(server) = Server::find(test, name).await else {
        return;
    };
    let (proxy, backend) = server.proxied().await;
    let line = Line {
        server,
        proxy,
        backend,
    };
    a_line_that_is_dead_or_cut_is_unavailable(&line).await;
    a_call_that_is_never_answered_is_over_in_time(&line).await;
    the_wait_that_is_asked_for_is_told(&line).await;
    a_body_that_breaks_off_is_not_given(&line).await;
    what_a_backend_cannot_see_is_passed_on(&line).await;
    a_put_that_is_repeated_puts_once(&line).await;
    a_deletion_that_is_repeated_is_no_error(&line).await;
    what_is_slow_arrives(&line).await;
}

async fn a_line_that_is_dead_or_cut_is_unavailable(line: &Line) {
    let key = line.key("cut").await;
    for dead in [true, false] {
        if dead {
            line.plan().stop();
        } else {
            line.plan().set([Rule::new(Fault::Cut)]);
        }
        let keys = std::slice::from_ref(&key);
        let kinds = [
            line.kind(line.backend.put_new(&key, BODY).await),
            line.kind(line.backend.get_range(&key, 0..4).await),
            line.kind(line.backend.head(&key).await),
            line.kind(line.backend.list("proxy/", None).await),
            line.kind(line.backend.delete(keys).await),
        ];
        assert_eq!(kinds, [BackendErrorKind::Unavailable; 5]);
    }
    assert_eq!(line.stored(&key).await, Err(BackendErrorKind::NotFound));
}

async fn a_call_that_is_never_answered_is_over_in_time(line: &Line) {
    let key = line.key("stall").await;
    line.plan().set([Rule::new(Fault::Stall)]);
    let mut options = TimeoutOptions::default();
    options.floor = Duration::from_millis(200);
    let in_time = Timeout::new(Arc::clone(&line.backend), options);
    let kinds = [
        line.kind(in_time.put_new(&key, BODY).await),
        line.kind(in_time.get_range(&key, 0..4).await),
        line.kind(in_time.head(&key).await),
        line.kind(in_time.list("proxy/", None).await),
    ];
    assert_eq!(kinds, [BackendErrorKind::Timeout; 4]);
    assert_eq!(line.stored(&key).await, Err(BackendErrorKind::NotFound));
}

async fn the_wait_that_is_asked_for_is_told(line: &Line) {
    let key = line.key("busy").await;
    let retry_after = Duration::from_secs(7);
    line.plan()
        .set([Rule::new(Fault::SlowDown { retry_after })]);
    let outcomes = [
        line.backend.put_new(&key, BODY).await.map(drop),
        line.backend.head(&key).await.map(drop),
        line.backend.list("proxy/", None).await.map(drop),
    ];
    for outcome in outcomes {
        let told = outcome.as_ref().map_err(|error| error.retry_after);
        assert_eq!(told, Err(Some(retry_after)));
        assert_eq!(line.kind(outcome), BackendErrorKind::RateLimited);
    }
    assert_eq!(line.stored(&key).await, Err(BackendErrorKind::NotFound));
}

async fn a_body_that_breaks_off_is_not_given(line: &Line) {
    let key = line.object("broken").await;
    line.plan()
        .set([Rule::new(Fault::BreakAnswer { after_bytes: 4 })]);
    let kinds = [
        line.kind(line.backend.get_range(&key, 0..u64::MAX).await),
        line.kind(line.backend.get_range(&key, 1..9).await),
        line.kind(line.backend.list("proxy/", None).await),
    ];
    assert_eq!(kinds, [BackendErrorKind::Unavailable; 3]);
    line.plan()
        .set([Rule::new(Fault::Truncate { len_bytes: 4 })]);
    let short = line.backend.get_range(&key, 1..9).await;
    assert_eq!(line.kind(short), BackendErrorKind::Unavailable);
}

/// A flipped bit, and an answer that says itself that it is short: the store knows what it wrote.
async fn what_a_backend_cannot_see_is_passed_on(line: &Line) {
    let key = line.object("flipped").await;
    let read = async |fault| {
        line.plan().set([Rule::new(fault).method(Method::GET)]);
        line.backend.get_range(&key, 0..u64::MAX).await.unwrap()
    };
    let offset_bytes = 3;
    assert_eq!(
        read(Fault::FlipBit {
            offset_bytes,
            bit: 0
        })
        .await,
        "0122456789"
    );
    assert_eq!(read(Fault::Truncate { len_bytes: 4 }).await, "0123");
    line.plan()
        .set([Rule::new(Fault::Stale).method(Method::GET)]);
    for _ in 0..2 {
        let read = line.backend.get_range(&key, 0..u64::MAX).await;
        assert_eq!(read.unwrap(), BODY);
        line.backend
            .delete(std::slice::from_ref(&key))
            .await
            .unwrap();
    }
    assert_eq!(line.stored(&key).await, Err(BackendErrorKind::NotFound));
}

async fn a_put_that_is_repeated_puts_once(line: &Line) {
    let mut in_time = TimeoutOptions::default();
    in_time.floor = Duration::from_secs(1);
    let retried = Timeout::new(Arc::clone(&line.backend), in_time);
    let retried = Retry::new(retried, RetryOptions::default(), Arc::new(OsEntropy));
    let lost = |then| Fault::LoseAnswer { then };
    for (fault, expected) in [
        (Fault::Cut, Put::Created),
        (lost(Ending::Close), Put::AlreadyExists),
        (lost(Ending::Silence), Put::AlreadyExists),
        (Fault::Repeat, Put::AlreadyExists),
    ] {
        let key = line.key("retried").await;
        line.plan().set(first(Method::PUT, fault.clone()));
        let put = retried.put_new(&key, BODY).await.unwrap();
        assert_eq!(put, expected, "{fault:?}");
        assert_eq!(line.stored(&key).await.unwrap(), BODY);
    }
}

async fn a_deletion_that_is_repeated_is_no_error(line: &Line) {
    let retried = Retry::new(
        Arc::clone(&line.backend),
        RetryOptions::default(),
        Arc::new(OsEntropy),
    );
    let then = Ending::Close;
    for fault in [Fault::Cut, Fault::LoseAnswer { then }, Fault::Repeat] {
        let key = line.object("deleted").await;
        line.plan().set(first(Method::DELETE, fault));
        retried.delete(std::slice::from_ref(&key)).await.unwrap();
        assert_eq!(line.stored(&key).await, Err(BackendErrorKind::NotFound));
    }
}

async fn what_is_slow_arrives(line: &Line) {
    let key = line.key("slow").await;
    let by = Duration::from_millis(50);
    let bytes_per_second = 1000;
    for fault in [Fault::Delay { by }, Fault::Throttle { bytes_per_second }] {
        line.backend
            .delete(std::slice::from_ref(&key))
            .await
            .unwrap();
        line.plan().set([Rule::new(fault)]);
        assert_eq!(
            line.backend.put_new(&key, BODY).await.unwrap(),
            Put::Created
        );
        assert_eq!(line.backend.get_range(&key, 2..5).await.unwrap(), "234");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs_stands_every_fault() {
    stands_every_fault("gcs_stands_every_fault", "gcs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_stands_every_fault() {
    stands_every_fault("moto_stands_every_fault", "moto").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn radosgw_stands_every_fault() {
    stands_every_fault("radosgw_stands_every_fault", "radosgw").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_stands_every_fault() {
    stands_every_fault("azurite_stands_every_fault", "azurite").await;
}
