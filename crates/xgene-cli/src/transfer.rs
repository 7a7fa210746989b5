//! What stands between the store and each backend: patience, and its limits.

use std::sync::Arc;
use std::time::Duration;

use xstore::StorageBackend;
use xstore::breaker::Breaker;
use xstore::entropy::Entropy;
use xstore::limit::{Limit, LimitOptions};
use xstore::retry::{Retry, RetryOptions};
use xstore::timeout::{Timeout, TimeoutOptions};

use crate::args::Transfer;

impl Transfer {
    /// The same backend, asked as these options say.
    ///
    /// From the inside out, each has its place:
    /// - the time-out is next to the backend, so that it measures the backend alone: a request that
    ///   waits for its turn under `--limit-upload` is not late;
    /// - the limit is below the retries, so that what is sent again is counted again, and a request
    ///   that waits for its next try holds no place;
    /// - the breaker is above them: it counts what no retry could mend, and while it is open
    ///   nothing waits and nothing is tried again.
    ///
    /// A folder or file of this computer has no breaker: one file that cannot be read says nothing about the next, and its
    /// refusal must not close all of them. What a breaker spares others, a waiting network, is not
    /// there.
    ///
    /// A folder's calls run on threads of their own. One that is given up ends there: its object is
    /// whole or absent, and its temporary file is removed.
    pub(crate) fn before(
        &self,
        url: &str,
        backend: Arc<dyn StorageBackend>,
        entropy: Arc<dyn Entropy>,
    ) -> Arc<dyn StorageBackend> {
        let timed = Timeout::new(backend, self.timeout_options());
        let limited = Limit::new(timed, self.limit_options());
        let retried = Retry::new(limited, self.retry_options(), Arc::clone(&entropy));
        if ["file:", "sqlite:"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Arc::new(retried);
        }
        Arc::new(Breaker::new(retried, entropy))
    }

    fn timeout_options(&self) -> TimeoutOptions {
        let mut options = TimeoutOptions::default();
        options.floor = Duration::from_secs(self.timeout);
        options
    }

    fn retry_options(&self) -> RetryOptions {
        let mut options = RetryOptions::default();
        options.retries = self.retries;
        options
    }

    fn limit_options(&self) -> LimitOptions {
        let mut options = LimitOptions::default();
        options.concurrency = self.transfers;
        options.upload = self.limit_upload;
        options.download = self.limit_download;
        options
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tokio::time::Instant;
    use xstore::entropy::OsEntropy;
    use xstore::memory::MemoryBackend;
    use xstore::testing::{Fault, FaultyBackend, Plan};
    use xstore::{BackendErrorKind, ObjectKey};

    use super::*;
    use crate::args::Cli;

    fn before(backend: impl StorageBackend + 'static, args: &[&str]) -> Arc<dyn StorageBackend> {
        before_at("memory:", backend, args)
    }

    fn before_at(
        url: &str,
        backend: impl StorageBackend + 'static,
        args: &[&str],
    ) -> Arc<dyn StorageBackend> {
        let args = ["xgene", "errors"].iter().chain(args);
        let transfer = Cli::try_parse_from(args).unwrap().global.transfer;
        transfer.before(url, Arc::new(backend), Arc::new(OsEntropy))
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::try_new(name).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_rate_is_not_being_late() {
        let args = ["--limit-upload", "1KiB", "--timeout", "5", "--retries", "0"];
        let backend = before(MemoryBackend::new("m"), &args);
        let begun = Instant::now();
        for name in ["a", "b"] {
            let bytes = vec![0; 60 << 10].into();
            backend.put_new(&key(name), bytes).await.unwrap();
        }
        assert_eq!(begun.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_backend_is_given_up_and_then_left_alone() {
        let plan = Plan::new([Fault::Stall { calls: 0..u64::MAX }]);
        let stalled = FaultyBackend::new(MemoryBackend::new("m"), plan.clone());
        let backend = before(stalled, &["--timeout", "7", "--retries", "1"]);
        let begun = Instant::now();
        for _ in 0..5 {
            let error = backend.head(&key("a")).await.unwrap_err();
            assert_eq!(error.kind, BackendErrorKind::Timeout);
        }
        assert_eq!(begun.elapsed().as_secs(), 5 * 2 * 7);
        let error = backend.head(&key("a")).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable);
        assert_eq!(begun.elapsed().as_secs(), 5 * 2 * 7, "at once");
        assert_eq!(
            plan.counts().calls,
            10,
            "an open breaker is not tried again"
        );
    }

    #[tokio::test]
    async fn a_file_that_is_refused_closes_no_folder() {
        let refused = Fault::FailCalls {
            calls: 0..1,
            kind: BackendErrorKind::AuthFailed,
        };
        for (url, next, calls) in [
            ("file:///srv/a", BackendErrorKind::NotFound, 2),
            ("memory:", BackendErrorKind::AuthFailed, 1),
        ] {
            let plan = Plan::new([refused.clone()]);
            let folder = FaultyBackend::new(MemoryBackend::new("m"), plan.clone());
            let backend = before_at(url, folder, &[]);
            let error = backend.head(&key("a")).await.unwrap_err();
            assert_eq!(error.kind, BackendErrorKind::AuthFailed);
            let error = backend.head(&key("b")).await.unwrap_err();
            assert_eq!(error.kind, next, "{url}");
            assert_eq!(plan.counts().calls, calls, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_requests_are_under_way_as_are_wanted() {
        let late = Fault::Delay {
            calls: 0..u64::MAX,
            by: Duration::from_secs(1),
        };
        let inner = FaultyBackend::new(MemoryBackend::new("m"), Plan::new([late]));
        let backend = before(inner, &["--transfers", "2"]);
        let begun = Instant::now();
        let mut lists = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let backend = Arc::clone(&backend);
            lists.spawn(async move { backend.list("", None).await.is_ok() });
        }
        assert_eq!(lists.join_all().await, [true; 6]);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }
}
