//! `Script`: a few commands that the server runs as one.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, cmd};

pub(super) struct Script {
    text: &'static str,
    /// By which the server knows a script that it has run before.
    hash: String,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        let hash = redis::Script::new(text).get_hash().to_owned();
        Self { text, hash }
    }

    /// Runs it by its hash, and by its text where the server has not run it since it was started.
    ///
    /// The library would do the same, and copy the bytes of an object more often.
    pub(super) async fn run(
        &self,
        mut connection: MultiplexedConnection,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> RedisResult<i64> {
        let call = |command, script: &str| -> Cmd {
            let mut call = cmd(command);
            call.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            call
        };
        let by_hash = call("EVALSHA", &self.hash)
            .query_async(&mut connection)
            .await;
        match by_hash {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                call("EVAL", self.text).query_async(&mut connection).await
            }
            outcome => outcome,
        }
    }
}
