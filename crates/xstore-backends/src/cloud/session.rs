//! `Session`: a client, and another one in its place when its credentials are refused.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::answers::Provider;
use super::refusal::Refusal;
use super::tap::{Seen, watched};
use crate::credential::Source;
use crate::url::ConnectError;

/// Makes a client from what the source says now.
type Connect<C> = dyn Fn(&Source) -> Result<C, ConnectError> + Send + Sync;

/// How one backend is asked.
pub(crate) struct Session<C> {
    provider: Provider,
    source: Source,
    connect: Arc<Connect<C>>,
    client: RwLock<Arc<C>>,
}

impl<C: Send + Sync + 'static> Session<C> {
    /// Makes the first client.
    pub(crate) fn new(
        provider: Provider,
        source: &Source,
        connect: impl Fn(&Source) -> Result<C, ConnectError> + Send + Sync + 'static,
    ) -> Result<Self, ConnectError> {
        let client = connect(source)?;
        Ok(Self {
            provider,
            source: source.clone(),
            connect: Arc::new(connect),
            client: RwLock::new(Arc::new(client)),
        })
    }

    fn client(&self) -> Arc<C> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks, and once more with new credentials when those that we have are refused and their source
    /// may know newer ones.
    pub(crate) async fn ask<T, F>(
        &self,
        call: impl Fn(Arc<C>) -> F,
    ) -> Result<(T, Option<Seen>), Refusal>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let client = self.client();
        let refusal = match self.ask_once(call(Arc::clone(&client))).await {
            Err(refusal) if refusal.is_of_credentials() && self.source.may_change() => refusal,
            outcome => return outcome,
        };
        match self.renewed(&client).await {
            Some(client) => self.ask_once(call(client)).await,
            None => Err(refusal),
        }
    }

    async fn ask_once<T>(
        &self,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<(T, Option<Seen>), Refusal> {
        let (outcome, seen) = watched(call).await;
        match outcome {
            Ok(value) => Ok((value, seen)),
            Err(error) => Err(Refusal::new(self.provider, &error, seen)),
        }
    }

    /// A client made anew in place of `old`, unless another call has done so meanwhile. One that
    /// cannot be made leaves the old one, whose refusal says more.
    async fn renewed(&self, old: &Arc<C>) -> Option<Arc<C>> {
        let now = self.client();
        if !Arc::ptr_eq(&now, old) {
            return Some(now);
        }
        let (connect, source) = (Arc::clone(&self.connect), self.source.clone());
        let made = tokio::task::spawn_blocking(move || connect(&source)).await;
        let made = Arc::new(made.ok()?.ok()?);
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&made);
        Some(made)
    }
}

/// No client, which knows a secret.
impl<C> fmt::Debug for Session<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}
