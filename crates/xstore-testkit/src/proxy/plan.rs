//! `Fault`, `Rule` and `Plan`: the script of a [`Proxy`](super::Proxy).
//!
//! Requests are numbered from 0 in the order in which they arrive, and a plan decides by method,
//! target and number alone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};

/// One thing that goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The request is passed on late.
    Delay {
        /// How late, in tokio's time.
        by: Duration,
    },
    /// The request is passed on once that many requests of another plan have ended: what happens
    /// there is known before anything comes from here, without either being timed.
    WaitFor {
        /// The plan of another proxy.
        plan: Plan,
        /// As [`Counts::ended`] counts.
        ended: u64,
    },
    /// The request is accepted, not passed on and never answered; its body is not read.
    Stall,
    /// The request is not passed on, and the connection is closed.
    Cut,
    /// The request is not passed on, and this is the answer; see [`Fault::answer`].
    Answer {
        /// Status of the answer.
        status: StatusCode,
        /// Headers but the length, which is that of the body.
        headers: HeaderMap,
        /// Body of the answer.
        body: Bytes,
    },
    /// The request is not passed on; the answer is 503 with `Retry-After`, as S3 gives it.
    SlowDown {
        /// How long to wait before the next request; whole seconds.
        retry_after: Duration,
    },
    /// The request is passed on and answered, but the client never sees the answer.
    LoseAnswer {
        /// What the client sees instead.
        then: Ending,
    },
    /// The connection is closed once this much of the answer's body was sent.
    ///
    /// A body that is not longer is not touched. What exceeds the system's buffers may be lost
    /// with the connection, so that the client sees less.
    BreakAnswer {
        /// How many bytes of the body are sent.
        after_bytes: u64,
    },
    /// One bit of the answer's body is flipped.
    FlipBit {
        /// Byte within the body.
        offset_bytes: u64,
        /// Bit within the byte, 0 (lowest) to 7; taken modulo 8.
        bit: u8,
    },
    /// The answer's body ends early, and its `Content-Length` says so too.
    Truncate {
        /// Length at which the body ends.
        len_bytes: u64,
    },
    /// The request is passed on twice, and the answer is that to the second.
    ///
    /// A body of more than 64 MiB closes the connection.
    Repeat,
    /// The first answer to each method and target is recorded, and repeated for all that follow,
    /// which are not passed on.
    ///
    /// An answer of more than 64 MiB closes the connection.
    Stale,
    /// Bodies pass at this speed, in both directions.
    Throttle {
        /// Speed, in tokio's time; at least 1.
        bytes_per_second: u64,
    },
}

/// How a client finds out that there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The connection stays open, and nothing comes.
    Silence,
    /// The connection is closed.
    Close,
}

impl Fault {
    /// [`Fault::Answer`] of plain values.
    ///
    /// # Panics
    /// When the status or a header is none.
    #[must_use]
    pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let Ok(status) = StatusCode::from_u16(status) else {
            panic!("{status} is no status");
        };
        let parse = |(name, value): &(&str, &str)| {
            let (name, value) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
            let (Ok(name), Ok(value)) = (name, value) else {
                panic!("a header that is none: {headers:?}");
            };
            (name, value)
        };
        Self::Answer {
            status,
            headers: headers.iter().map(parse).collect(),
            body: body.into(),
        }
    }
}

/// A fault and the requests that meet it: all of them, unless it is told otherwise.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    method: Option<Method>,
    target: String,
    requests: Range<u64>,
}

impl Rule {
    /// A rule for all requests.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            method: None,
            target: String::new(),
            requests: 0..u64::MAX,
        }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self {
            method: Some(method),
            ..self
        }
    }

    /// Only requests whose target, path and query as they were sent, has this part.
    #[must_use]
    pub fn target(self, part: &str) -> Self {
        Self {
            target: part.to_owned(),
            ..self
        }
    }

    /// Only requests with these numbers among those that method and target select; half-open.
    #[must_use]
    pub fn requests(self, requests: Range<u64>) -> Self {
        Self { requests, ..self }
    }

    fn selects(&self, method: &Method, target: &str) -> bool {
        let method_fits = self.method.as_ref().is_none_or(|wanted| wanted == method);
        method_fits && target.contains(&self.target)
    }
}

/// What passed through the proxies of a plan since it was last set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections, refused ones included.
    pub connections: u64,
    /// Requests, whatever became of them.
    pub requests: u64,
    /// The same by method.
    pub by_method: BTreeMap<String, u64>,
    /// Requests whose answer has begun, or never will because their connection is closed; refused
    /// connections included.
    pub ended: u64,
    /// Bytes read of the bodies of requests.
    pub written_bytes: u64,
    /// Bytes handed out as bodies of answers.
    pub read_bytes: u64,
}

/// The faults to come and the counts so far. A clone is the same plan, and equal to no other.
#[derive(Debug, Clone, Default)]
pub struct Plan(Arc<Mutex<State>>);

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Plan {}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// How many requests each rule selected so far.
    selected: Vec<u64>,
    refused: Range<u64>,
    stopped: bool,
    counts: Counts,
    recorded: BTreeMap<String, Response<Bytes>>,
}

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Pass,
    Stopped,
    Meet(Fault),
}

impl Plan {
    /// A plan with these rules; the first that concerns a request decides.
    #[must_use]
    pub fn new(rules: impl Into<Vec<Rule>>) -> Self {
        let plan = Self::default();
        plan.set(rules);
        plan
    }

    /// Replaces the rules, lets all connections in and counts from 0 again.
    pub fn set(&self, rules: impl Into<Vec<Rule>>) {
        let rules = rules.into();
        *self.state() = State {
            selected: vec![0; rules.len()],
            rules,
            ..State::default()
        };
    }

    /// Connections with these numbers are closed at once, until the next [`Plan::set`].
    ///
    /// A connection that is open already, which clients keep for later requests, is not touched.
    pub fn refuse_connections(&self, connections: Range<u64>) {
        self.state().refused = connections;
    }

    /// From now on every connection is closed, an open one at its next request, until the next
    /// [`Plan::set`].
    pub fn stop(&self) {
        self.state().stopped = true;
    }

    /// What passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection.
    pub(super) fn lets_connect(&self) -> bool {
        let mut state = self.state();
        let number = state.counts.connections;
        state.counts.connections += 1;
        let lets_in = !state.stopped && !state.refused.contains(&number);
        state.counts.ended += u64::from(!lets_in);
        lets_in
    }

    /// Counts a request.
    pub(super) fn next_request(&self, method: &Method, target: &str) -> Turn {
        let mut state = self.state();
        state.counts.requests += 1;
        let by_method = state.counts.by_method.entry(method.to_string());
        *by_method.or_default() += 1;
        if state.stopped {
            return Turn::Stopped;
        }
        let State {
            rules, selected, ..
        } = &mut *state;
        let mut turn = Turn::Pass;
        for (rule, selected) in rules.iter().zip(selected) {
            if !rule.selects(method, target) {
                continue;
            }
            if turn == Turn::Pass && rule.requests.contains(selected) {
                turn = Turn::Meet(rule.fault.clone());
            }
            // Every rule counts, or which fault comes first would change what later ones meet.
            *selected += 1;
        }
        turn
    }

    pub(super) fn count_ended(&self) {
        self.state().counts.ended += 1;
    }

    pub(super) fn count_written(&self, len_bytes: usize) {
        self.state().counts.written_bytes += len_bytes as u64;
    }

    pub(super) fn count_read(&self, len_bytes: usize) {
        self.state().counts.read_bytes += len_bytes as u64;
    }

    pub(super) fn recorded(&self, request: &str) -> Option<Response<Bytes>> {
        self.state().recorded.get(request).cloned()
    }

    pub(super) fn record(&self, request: &str, answer: Response<Bytes>) {
        self.state().recorded.insert(request.to_owned(), answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(plan: &Plan, requests: &[(Method, &str)]) -> Vec<Turn> {
        let turn = |(method, target): &(Method, &str)| plan.next_request(method, target);
        requests.iter().map(turn).collect()
    }

    #[test]
    fn a_rule_counts_what_it_selects_and_the_first_decides() {
        let cut_puts = Rule::new(Fault::Cut).method(Method::PUT).requests(1..2);
        let stall_b = Rule::new(Fault::Stall).target("/b?").requests(0..2);
        let plan = Plan::new([cut_puts, stall_b]);
        let requests = [
            (Method::PUT, "/a"),
            (Method::GET, "/a"),
            (Method::PUT, "/b?x"),
            (Method::GET, "/b?x"),
            (Method::GET, "/b?x"),
            (Method::PUT, "/a"),
        ];
        let (cut, stall) = (Turn::Meet(Fault::Cut), Turn::Meet(Fault::Stall));
        let expected = [Turn::Pass, Turn::Pass, cut, stall, Turn::Pass, Turn::Pass];
        assert_eq!(turns(&plan, &requests), expected);
        let counts = plan.counts();
        assert_eq!((counts.requests, counts.by_method["GET"]), (6, 3));
    }

    #[test]
    fn a_stopped_plan_starts_again_when_set() {
        let plan = Plan::default();
        plan.refuse_connections(1..2);
        assert_eq!([(); 3].map(|()| plan.lets_connect()), [true, false, true]);
        plan.stop();
        assert!(!plan.lets_connect());
        assert_eq!(plan.next_request(&Method::GET, "/"), Turn::Stopped);
        plan.set([]);
        assert_eq!(plan.counts(), Counts::default());
        assert!(plan.lets_connect());
        assert_eq!(plan.next_request(&Method::GET, "/"), Turn::Pass);
    }
}
