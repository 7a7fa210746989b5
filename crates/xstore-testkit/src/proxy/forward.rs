//! One request on its way to the server and back, past the plan.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::{self, Cut, Passing};
use super::plan::{Ending, Fault, Plan, Turn};
use crate::listener::Closed;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Between two looks at another plan.
const TICK: Duration = Duration::from_millis(1);

const SLOW_DOWN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
    <Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";

/// The server behind the proxy.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    host_and_port: Arc<str>,
    plan: Plan,
}

impl Upstream {
    pub(super) fn new(host_and_port: &str, plan: Plan) -> Self {
        Self {
            host_and_port: host_and_port.into(),
            plan,
        }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// # Errors
    /// When the connection is closed: the plan wants it, or the server gave no answer either.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Passing>, Closed> {
        let target = request.uri().path_and_query();
        let target = target.map_or("", |target| target.as_str());
        let turn = self.plan.next_request(request.method(), target);
        let request = request.map(|body| {
            let body = body::of(body);
            body::counted(body, &self.plan, Plan::count_written)
        });
        let answer = match turn {
            Turn::Pass => self.pass(request).await,
            Turn::Stopped => Err("the plan is stopped".into()),
            Turn::Meet(fault) => self.meet(fault, request).await,
        };
        self.plan.count_ended();
        Ok(answer?.map(|body| body::counted(body, &self.plan, Plan::count_read)))
    }

    async fn meet(
        &self,
        fault: Fault,
        request: Request<Passing>,
    ) -> Result<Response<Passing>, Closed> {
        match fault {
            Fault::Delay { by } => {
                tokio::time::sleep(by).await;
                self.pass(request).await
            }
            Fault::WaitFor { plan, ended } => {
                while plan.counts().ended < ended {
                    tokio::time::sleep(TICK).await;
                }
                self.pass(request).await
            }
            Fault::Stall => silence().await,
            Fault::Cut => Err("the plan cuts the request".into()),
            Fault::Answer {
                status,
                headers,
                body,
            } => made_up(request, status, headers, body).await,
            Fault::SlowDown { retry_after } => {
                let seconds = HeaderValue::from(retry_after.as_secs());
                let headers = HeaderMap::from_iter([(RETRY_AFTER, seconds)]);
                let body = Bytes::from_static(SLOW_DOWN.as_bytes());
                made_up(request, StatusCode::SERVICE_UNAVAILABLE, headers, body).await
            }
            Fault::LoseAnswer { then } => {
                let answer = self.pass(request).await?;
                body::drain(answer.into_body()).await?;
                match then {
                    Ending::Silence => silence().await,
                    Ending::Close => Err("the plan loses the answer".into()),
                }
            }
            Fault::BreakAnswer { after_bytes } => {
                let answer = self.pass(request).await?;
                Ok(answer.map(|body| body::cut(body, after_bytes, Cut::Broken)))
            }
            Fault::FlipBit { offset_bytes, bit } => {
                let answer = self.pass(request).await?;
                Ok(answer.map(|body| body::with_flipped_bit(body, offset_bytes, bit)))
            }
            Fault::Truncate { len_bytes } => self.truncated(request, len_bytes).await,
            Fault::Repeat => self.repeated(request).await,
            Fault::Stale => self.stale(request).await,
            Fault::Throttle { bytes_per_second } => {
                let request = request.map(|body| body::throttled(body, bytes_per_second));
                let answer = self.pass(request).await?;
                Ok(answer.map(|body| body::throttled(body, bytes_per_second)))
            }
        }
    }

    /// Sends the request to the server, on a connection of its own: one that is shared could have
    /// been closed meanwhile, and the proxy would add a fault that no plan has.
    async fn pass(&self, mut request: Request<Passing>) -> Result<Response<Passing>, Closed> {
        remove_hop(request.headers_mut());
        let stream = TcpStream::connect(&*self.host_and_port).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer, or when the answer is dropped.
        tokio::spawn(connection);
        let mut answer = sender.send_request(request).await?;
        remove_hop(answer.headers_mut());
        *answer.version_mut() = Version::HTTP_11;
        Ok(answer.map(body::of))
    }

    async fn truncated(
        &self,
        request: Request<Passing>,
        len_bytes: u64,
    ) -> Result<Response<Passing>, Closed> {
        // The answer to HEAD has the length of a body that does not follow.
        let has_body = request.method() != Method::HEAD;
        let mut answer = self.pass(request).await?;
        let declared = answer.headers_mut().get_mut(CONTENT_LENGTH);
        if let Some(declared) = declared.filter(|_| has_body) {
            let whole: u64 = declared.to_str()?.parse()?;
            *declared = HeaderValue::from(whole.min(len_bytes));
        }
        Ok(answer.map(|body| body::cut(body, len_bytes, Cut::Clean)))
    }

    async fn repeated(&self, request: Request<Passing>) -> Result<Response<Passing>, Closed> {
        let (parts, body) = request.into_parts();
        let body = body::read(body).await?;
        let again = |parts: Parts| Request::from_parts(parts, body::whole(body.clone()));
        let first = self.pass(again(parts.clone())).await?;
        body::drain(first.into_body()).await?;
        self.pass(again(parts)).await
    }

    async fn stale(&self, request: Request<Passing>) -> Result<Response<Passing>, Closed> {
        let line = format!("{} {}", request.method(), request.uri());
        if let Some(recorded) = self.plan.recorded(&line) {
            body::drain(request.into_body()).await?;
            return Ok(recorded.map(body::whole));
        }
        let (parts, body) = self.pass(request).await?.into_parts();
        let answer = Response::from_parts(parts, body::read(body).await?);
        self.plan.record(&line, answer.clone());
        Ok(answer.map(body::whole))
    }
}

async fn silence<T>() -> T {
    future::pending().await
}

/// An answer that the server knows nothing of. The request is read first: a client that is answered
/// while it still sends may not see the answer.
async fn made_up(
    request: Request<Passing>,
    status: StatusCode,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response<Passing>, Closed> {
    body::drain(request.into_body()).await?;
    let len_bytes = HeaderValue::from(bytes.len());
    let mut answer = Response::new(body::whole(bytes));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer.headers_mut().insert(CONTENT_LENGTH, len_bytes);
    Ok(answer)
}

fn remove_hop(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(KEEP_ALIVE);
}
