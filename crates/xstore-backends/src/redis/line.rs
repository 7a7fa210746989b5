//! `Line`: the connection to the server, made when it is needed and made again when it broke.
//!
//! One connection carries all calls at once; the library puts each answer to its question. It is tried
//! once: retries and time-outs are those of `xstore`, which stand in front.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult, cmd,
};
use tokio::sync::OnceCell;
use xstore::BackendErrorKind;

use super::address::Address;
use super::refusal::Refusal;
use crate::credential::{Source, Variables};
use crate::network::CONNECT_TIME;

/// How long the other end may be silent before it is asked whether it is still there, and how long it
/// may leave that unanswered. A call that takes longer is not cut: the other end's system answers.
const ALIVE_TIME: Duration = Duration::from_secs(30);

/// A connection that several calls wait for and share.
type Shared = Arc<OnceCell<MultiplexedConnection>>;

pub(super) struct Line {
    address: Address,
    source: Source,
    current: Mutex<Shared>,
}

impl Line {
    pub(super) fn new(address: Address, source: Source) -> Self {
        Self {
            address,
            source,
            current: Mutex::default(),
        }
    }

    /// Asks over the connection that there is, or over a new one.
    ///
    /// One that answered with trouble other than being full is not used again: behind a new one there
    /// may be another server, or another user.
    pub(super) async fn ask<T, F>(
        &self,
        call: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let shared = Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner));
        let asked = async {
            let connection = shared.get_or_try_init(|| self.connect()).await?;
            Ok(call(connection.clone()).await?)
        };
        let outcome: Result<T, Refusal> = asked.await;
        if let Err(refusal) = &outcome
            && refusal.kind() != BackendErrorKind::QuotaExceeded
        {
            self.forget(&shared);
        }
        outcome
    }

    /// Unless another call has done so and there is a newer one.
    fn forget(&self, shared: &Shared) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, shared) {
            *current = Shared::default();
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Refusal> {
        let variables = self.variables().await?;
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(ALIVE_TIME));
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(ALIVE_TIME);
        let address = self.address.to_connect_to().into_connection_info()?;
        let address = address
            .set_tcp_settings(tcp)
            .set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME))
            .set_response_timeout(None);
        let mut connection = Client::open(address)?
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        authenticate(&mut connection, &variables).await?;
        select(&mut connection, self.address.database).await?;
        check_keeps(&mut connection).await?;
        Ok(connection)
    }

    /// Read for each connection, so that what is newer is used.
    async fn variables(&self) -> Result<Variables, Refusal> {
        let source = self.source.clone();
        let read = tokio::task::spawn_blocking(move || source.read());
        let read = read.await.map_err(Refusal::Stopped)?;
        read.map_err(Refusal::Credential)
    }
}

/// Not left to the library, which does not tell a wrong password from a server that has no room.
async fn authenticate(
    connection: &mut MultiplexedConnection,
    variables: &Variables,
) -> Result<(), Refusal> {
    let Some(password) = variables.value("REDIS_PASSWORD") else {
        return Ok(());
    };
    let mut auth = cmd("AUTH");
    if let Some(user) = variables.value("REDIS_USERNAME") {
        auth.arg(user);
    }
    Ok(auth.arg(password).query_async(connection).await?)
}

async fn select(connection: &mut MultiplexedConnection, database: u16) -> Result<(), Refusal> {
    // A cluster has this one alone, and a user may have no right to choose.
    if database == 0 {
        return Ok(());
    }
    Ok(cmd("SELECT").arg(database).query_async(connection).await?)
}

/// Refuses a server that makes room by throwing keys away, where it tells: it is a cache.
///
/// Policies that throw away only what has a time to live are none of ours.
async fn check_keeps(connection: &mut MultiplexedConnection) -> Result<(), Refusal> {
    let told: RedisResult<String> = cmd("INFO").arg("memory").query_async(connection).await;
    let evicts = |line: &str| line.starts_with("maxmemory_policy:allkeys-");
    if told.is_ok_and(|text| text.lines().any(evicts)) {
        let why = "the server throws keys away when it is full; set maxmemory-policy noeviction";
        return Err(Refusal::Unexpected(why));
    }
    Ok(())
}
