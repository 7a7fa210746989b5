//! Bodies on their way through, and what faults make of them.
//!
//! An empty body stays what it was in every case: what carries none must not look as if it did.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::stream::{self, Stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};

use super::plan::Plan;
use crate::listener::Closed;

/// A body that may end with the connection.
pub(super) type Passing = UnsyncBoxBody<Bytes, Closed>;

/// What is held in memory at most.
const WHOLE_LEN_BYTES_MAX: usize = 64 << 20;

/// How a body that is cut short ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    /// As if it had been no longer.
    Clean,
    /// With the connection.
    Broken,
}

pub(super) fn of<B>(body: B) -> Passing
where
    B: Body<Data = Bytes, Error: Into<Closed>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

pub(super) fn whole(bytes: Bytes) -> Passing {
    of(Full::from(bytes))
}

/// All of a body in memory, unless it is too long.
pub(super) async fn read(mut body: Passing) -> Result<Bytes, Closed> {
    let mut whole = BytesMut::new();
    while let Some(piece) = next(&mut body).await? {
        if whole.len() + piece.len() > WHOLE_LEN_BYTES_MAX {
            return Err("a body is too long for its fault".into());
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Reads a body to its end, and forgets it.
pub(super) async fn drain(mut body: Passing) -> Result<(), Closed> {
    while next(&mut body).await?.is_some() {}
    Ok(())
}

/// Calls `count` with the length of every piece.
pub(super) fn counted(body: Passing, plan: &Plan, count: fn(&Plan, usize)) -> Passing {
    let plan = plan.clone();
    of(body.map_frame(move |frame| {
        count(&plan, frame.data_ref().map_or(0, Bytes::len));
        frame
    }))
}

pub(super) fn with_flipped_bit(body: Passing, offset_bytes: u64, bit: u8) -> Passing {
    let mut start = 0;
    of(body.map_frame(move |frame| {
        let Ok(data) = frame.into_data().map_err(drop) else {
            // Only trailers hold no data, and no server of ours sends any.
            return Frame::data(Bytes::new());
        };
        let mut data = BytesMut::from(data);
        let offset = offset_bytes.checked_sub(start).map(usize::try_from);
        start += data.len() as u64;
        if let Some(Ok(offset)) = offset
            && let Some(byte) = data.get_mut(offset)
        {
            *byte ^= 1 << (bit % 8);
        }
        Frame::data(data.freeze())
    }))
}

/// The first `len_bytes` of a body that is longer.
pub(super) fn cut(body: Passing, len_bytes: u64, end: Cut) -> Passing {
    if body.is_end_stream() {
        return body;
    }
    streamed(stream::try_unfold(
        (body, len_bytes, Bytes::new()),
        move |(mut body, left_bytes, beyond)| async move {
            if beyond.is_empty() {
                let Some(mut data) = next(&mut body).await? else {
                    return Ok(None);
                };
                let kept = usize::try_from(left_bytes).unwrap_or(usize::MAX);
                let beyond = data.split_off(kept.min(data.len()));
                if !data.is_empty() {
                    let left_bytes = left_bytes - data.len() as u64;
                    return Ok(Some((data, (body, left_bytes, beyond))));
                }
            }
            ended(end).await
        },
    ))
}

async fn ended<T>(end: Cut) -> Result<Option<T>, Closed> {
    match end {
        Cut::Clean => Ok(None),
        Cut::Broken => {
            // While the body has nothing, hyper sends what it has.
            tokio::task::yield_now().await;
            Err("the plan breaks the answer".into())
        }
    }
}

/// The body at a bounded speed.
pub(super) fn throttled(body: Passing, bytes_per_second: u64) -> Passing {
    if body.is_end_stream() {
        return body;
    }
    let bytes_per_second = bytes_per_second.max(1);
    // Ten pieces a second are smooth enough.
    let piece_len = usize::try_from(bytes_per_second.div_ceil(10)).unwrap_or(usize::MAX);
    streamed(stream::try_unfold(
        (body, Bytes::new()),
        move |(mut body, mut rest)| async move {
            if rest.is_empty() {
                match next(&mut body).await? {
                    Some(data) => rest = data,
                    None => return Ok(None),
                }
            }
            let piece = rest.split_to(piece_len.min(rest.len()));
            let micros = piece.len() as u64 * 1_000_000 / bytes_per_second;
            tokio::time::sleep(Duration::from_micros(micros)).await;
            Ok(Some((piece, (body, rest))))
        },
    ))
}

/// The next piece of data that is not empty.
async fn next(body: &mut Passing) -> Result<Option<Bytes>, Closed> {
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if data.has_remaining() => return Ok(Some(data)),
            _ => {}
        }
    }
    Ok(None)
}

fn streamed(pieces: impl Stream<Item = Result<Bytes, Closed>> + Send + 'static) -> Passing {
    of(StreamBody::new(pieces.map_ok(Frame::data)))
}
