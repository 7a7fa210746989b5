//! Each fault does what it says, and nothing else.

use std::time::Duration;

use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use xstore_testkit::proxy::{Ending, Fault, Rule};

use crate::setup::{BODY, Setup};

/// Long enough to see that nothing comes; a slow machine makes it no less true.
const A_WHILE: Duration = Duration::from_millis(50);
/// Waited for in virtual time only.
const AN_HOUR: Duration = Duration::from_secs(3600);

async fn always(fault: Fault) -> Setup {
    Setup::new([Rule::new(fault)]).await
}

async fn body_of(setup: &Setup) -> String {
    let answer = setup.get("/o").send().await.unwrap();
    answer.text().await.unwrap()
}

/// All that the proxy sends for a GET on a connection of its own.
async fn raw(setup: &Setup) -> String {
    let mut stream = TcpStream::connect(setup.address()).await.unwrap();
    let request = b"GET /o HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn rules_are_limited_by_method_target_and_number() {
    let first_puts_to_b = Rule::new(Fault::answer(500, &[], ""))
        .method(Method::PUT)
        .target("/b")
        .requests(0..2);
    let setup = Setup::new([first_puts_to_b]).await;
    for (method, target, status) in [
        (Method::PUT, "/a", 200),
        (Method::GET, "/b", 200),
        (Method::PUT, "/b/1", 500),
        (Method::PUT, "/a?x=/b", 500),
        (Method::PUT, "/b/1", 200),
    ] {
        let answer = setup.request(method.clone(), target).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {target}");
    }
    assert_eq!(setup.seen().len(), 3);
    setup.proxy.plan().set([Rule::new(Fault::Cut)]);
    assert!(setup.get("/a").send().await.is_err());
    setup.proxy.plan().set([]);
    assert_eq!(body_of(&setup).await, BODY);
}

#[tokio::test]
async fn a_refused_connection_is_closed_at_once() {
    let setup = Setup::new([]).await;
    setup.proxy.plan().refuse_connections(0..2);
    for _ in 0..2 {
        let mut stream = TcpStream::connect(setup.address()).await.unwrap();
        let mut nothing = Vec::new();
        stream.read_to_end(&mut nothing).await.unwrap();
        assert!(nothing.is_empty());
    }
    assert_eq!(body_of(&setup).await, BODY);
    assert_eq!(setup.proxy.plan().counts().connections, 3);
}

#[tokio::test]
async fn a_stopped_proxy_closes_open_connections_too() {
    let setup = Setup::new([]).await;
    assert_eq!(body_of(&setup).await, BODY);
    setup.proxy.plan().stop();
    assert!(setup.get("/o").send().await.is_err());
    assert_eq!(setup.seen().len(), 1);
    setup.proxy.plan().set([]);
    assert_eq!(body_of(&setup).await, BODY);
}

#[tokio::test]
async fn a_stalled_request_is_neither_passed_on_nor_answered() {
    let setup = always(Fault::Stall).await;
    assert!(timeout(A_WHILE, setup.put("/o", "x").send()).await.is_err());
    assert!(setup.seen().is_empty());
    assert_eq!(setup.proxy.plan().counts().written_bytes, 0);
}

#[tokio::test]
async fn a_cut_request_is_not_passed_on() {
    let setup = always(Fault::Cut).await;
    assert!(setup.put("/o", "x").send().await.is_err());
    assert!(setup.seen().is_empty());
    assert!(!setup.proxy.plan().counts().by_method.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delayed_request_is_passed_on_later() {
    let setup = always(Fault::Delay { by: AN_HOUR }).await;
    let start = Instant::now();
    assert_eq!(body_of(&setup).await, BODY);
    assert!(start.elapsed() >= AN_HOUR);
}

#[tokio::test]
async fn an_answer_can_be_made_up() {
    let headers = [("x-reason", "none"), ("content-type", "text/plain")];
    let setup = always(Fault::answer(507, &headers, "full")).await;
    let answer = setup.put("/o", "x").send().await.unwrap();
    assert_eq!(answer.status(), 507);
    assert_eq!(answer.headers()["x-reason"], "none");
    assert_eq!(answer.headers()["content-length"], "4");
    assert_eq!(answer.text().await.unwrap(), "full");
    assert!(setup.seen().is_empty());
}

#[tokio::test]
async fn a_client_is_told_to_slow_down() {
    let retry_after = Duration::from_secs(7);
    let setup = always(Fault::SlowDown { retry_after }).await;
    let answer = setup.put("/o", "x").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (503, &"7".parse().unwrap())
    );
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("<Code>SlowDown</Code>")
    );
    assert!(setup.seen().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_to_a_request_that_happened() {
    let setup = always(Fault::LoseAnswer {
        then: Ending::Close,
    })
    .await;
    assert!(setup.put("/o", "x").send().await.is_err());
    assert_eq!(setup.seen().len(), 1);

    let silence = Fault::LoseAnswer {
        then: Ending::Silence,
    };
    setup.proxy.plan().set([Rule::new(silence)]);
    let put = tokio::spawn(setup.put("/o", "y").send());
    while setup.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(timeout(A_WHILE, put).await.is_err());
    assert_eq!(setup.seen()[1].body, "y");
}

#[tokio::test]
async fn a_broken_answer_ends_after_so_many_bytes() {
    for after_bytes in [0, 1, 9] {
        let setup = always(Fault::BreakAnswer { after_bytes }).await;
        let answer = raw(&setup).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-length: 10"), "{head}");
        assert_eq!(body, &BODY[..usize::try_from(after_bytes).unwrap()]);
        let answer = setup.get("/o").send().await.unwrap();
        assert!(answer.bytes().await.is_err());
    }
    let setup = always(Fault::BreakAnswer { after_bytes: 10 }).await;
    assert_eq!(body_of(&setup).await, BODY);
}

#[tokio::test]
async fn one_bit_is_flipped() {
    for (offset_bytes, bit, expected) in [
        (0, 0, "1123456789"),
        (9, 3, "0123456781"),
        (9, 11, "0123456781"),
        (10, 0, BODY),
    ] {
        let setup = always(Fault::FlipBit { offset_bytes, bit }).await;
        assert_eq!(body_of(&setup).await, expected);
    }
}

#[tokio::test]
async fn a_truncated_body_looks_whole() {
    let setup = always(Fault::Truncate { len_bytes: 4 }).await;
    let answer = setup.get("/o").send().await.unwrap();
    assert_eq!(answer.headers()["content-length"], "4");
    assert_eq!(answer.text().await.unwrap(), "0123");
    let head = setup.request(Method::HEAD, "/o").send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "10");
    let setup = always(Fault::Truncate { len_bytes: 40 }).await;
    assert_eq!(body_of(&setup).await, BODY);
    let setup = always(Fault::Truncate { len_bytes: 0 }).await;
    assert_eq!(body_of(&setup).await, "");
}

#[tokio::test]
async fn a_repeated_request_happens_twice_and_the_second_is_answered() {
    let setup = always(Fault::Repeat).await;
    let answer = setup.put("/o", "x").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "1");
    let bodies: Vec<_> = setup.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["x", "x"]);
    assert_eq!(setup.proxy.plan().counts().requests, 1);
}

#[tokio::test]
async fn a_stale_answer_is_the_first() {
    let setup = Setup::new([Rule::new(Fault::Stale).target("list")]).await;
    let text = async |target: &str| {
        let answer = setup.request(Method::POST, target).send().await.unwrap();
        answer.text().await.unwrap()
    };
    assert_eq!(text("/list?a").await, "0");
    assert_eq!(text("/other").await, "1");
    assert_eq!(text("/list?a").await, "0");
    assert_eq!(text("/list?b").await, "2");
    assert_eq!(text("/list?a").await, "0");
    assert_eq!(setup.seen().len(), 3);
    setup.proxy.plan().set([]);
    assert_eq!(text("/list?a").await, "3");
}

#[tokio::test]
async fn what_is_too_long_to_hold_is_not_repeated() {
    let setup = always(Fault::Repeat).await;
    let long = "x".repeat((64 << 20) + 1);
    assert!(setup.put("/o", &long).send().await.is_err());
    assert!(setup.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_body_takes_its_time_in_both_directions() {
    let setup = always(Fault::Throttle {
        bytes_per_second: 2,
    })
    .await;
    let start = Instant::now();
    assert_eq!(body_of(&setup).await, BODY);
    assert!(start.elapsed() >= Duration::from_secs(5));
    let start = Instant::now();
    setup.put("/o", "0123456789abcdef").send().await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(8));
    assert_eq!(setup.seen()[1].body, "0123456789abcdef");
}

#[tokio::test]
async fn one_proxy_waits_for_what_happens_at_another() {
    let other = Setup::new([Rule::new(Fault::Cut).requests(1..2)]).await;
    let plan = other.proxy.plan().clone();
    let waiting = always(Fault::WaitFor { plan, ended: 3 }).await;
    let waits = tokio::spawn({
        let request = waiting.get("/o");
        async move { request.send().await.unwrap().status() }
    });
    assert_eq!(body_of(&other).await, BODY);
    assert!(other.get("/o").send().await.is_err());
    assert!(waiting.seen().is_empty(), "two have ended");
    other.proxy.plan().refuse_connections(0..u64::MAX);
    // Of a client that keeps no connection.
    let mut refused = TcpStream::connect(other.address()).await.unwrap();
    assert!(matches!(refused.read(&mut [0]).await, Ok(0) | Err(_)));
    assert_eq!(waits.await.unwrap(), 200);
    assert_eq!(waiting.seen().len(), 1);
}
