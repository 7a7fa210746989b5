//! What no client should send is refused, by the right name.

use reqwest::{Client, Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xstore_testkit::gcs::{Access, Fake, Versioning};

use super::setup::{BUCKET, client, fake, store};

/// A service with a token for it.
struct Service {
    fake: Fake,
    client: Client,
    token: String,
}

impl Service {
    async fn start() -> Self {
        let fake = fake().await;
        let store = store(&fake);
        let credential = store.credentials().get_credential().await.unwrap();
        let token = credential.bearer.clone();
        let client = client();
        Self {
            fake,
            client,
            token,
        }
    }

    async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)]) -> Response {
        let url = format!("{}{target}", self.fake.base_url());
        let mut request = self
            .client
            .request(method.clone(), url)
            .bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == Method::PUT {
            request = request.body("body");
        }
        request.send().await.unwrap()
    }

    /// Status and code of a refusal.
    async fn refusal(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let response = self.send(method.parse().unwrap(), target, headers).await;
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        (
            status,
            code.map(|(code, _)| code.to_owned()).unwrap_or_default(),
        )
    }

    /// What the service answers to an upload that no client would send. It ends with the
    /// connection, at the latest when the client has sent all it will send.
    async fn raw_put(&self, headers: &str, body: &str) -> String {
        let address = self.fake.base_url().replace("http://", "");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let token = &self.token;
        let request = format!(
            "PUT /{BUCKET}/raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn nothing_unknown_is_passed_over() {
    let service = Service::start().await;
    let object = &format!("/{BUCKET}/object");
    let bucket = &format!("/{BUCKET}");
    let put = service.send(Method::PUT, object, &[]).await;
    assert_eq!(put.status(), 200);
    for (method, target, headers, status, code) in [
        (
            "PUT",
            object.as_str(),
            &[("x-goog-meta-owner", "me")][..],
            501,
            "NotImplemented",
        ),
        (
            "PUT",
            object,
            &[("x-goog-hash", "crc32c=AAAAAA==")],
            501,
            "NotImplemented",
        ),
        (
            "PUT",
            object,
            &[("x-goog-copy-source", "a/b")],
            501,
            "NotImplemented",
        ),
        (
            "PUT",
            object,
            &[("content-md5", "x")],
            501,
            "NotImplemented",
        ),
        (
            "PUT",
            object,
            &[("content-encoding", "gzip")],
            501,
            "NotImplemented",
        ),
        (
            "PUT",
            object,
            &[("if-none-match", "*")],
            501,
            "NotImplemented",
        ),
        ("GET", object, &[("if-match", "x")], 501, "NotImplemented"),
        ("GET", object, &[("if-range", "x")], 501, "NotImplemented"),
        (
            "GET",
            object,
            &[("x-goog-if-generation-match", "1")],
            400,
            "InvalidArgument",
        ),
        (
            "HEAD",
            object,
            &[("x-goog-if-generation-match", "1")],
            400,
            "",
        ),
        (
            "GET",
            &format!("{bucket}?list-type=2"),
            &[("x-goog-if-generation-match", "1")],
            400,
            "InvalidArgument",
        ),
        (
            "PUT",
            object,
            &[("x-goog-if-generation-match", "-1")],
            400,
            "InvalidArgument",
        ),
        (
            "PUT",
            object,
            &[("x-goog-if-generation-match", "+1")],
            400,
            "InvalidArgument",
        ),
        (
            "PUT",
            object,
            &[("x-goog-if-generation-match", "")],
            400,
            "InvalidArgument",
        ),
        (
            "PUT",
            object,
            &[("x-goog-if-generation-match", "1")],
            412,
            "PreconditionFailed",
        ),
        (
            "PUT",
            object,
            &[("x-goog-if-generation-match", "0")],
            412,
            "PreconditionFailed",
        ),
        (
            "DELETE",
            object,
            &[("x-goog-if-generation-match", "1")],
            412,
            "PreconditionFailed",
        ),
        (
            "PUT",
            object,
            &[("range", "bytes=0-1")],
            400,
            "InvalidArgument",
        ),
        (
            "GET",
            object,
            &[("range", "bytes=1-0")],
            400,
            "InvalidArgument",
        ),
        (
            "GET",
            object,
            &[("range", "bytes=0-0,2-2")],
            400,
            "InvalidArgument",
        ),
        (
            "GET",
            object,
            &[("range", "bytes=-")],
            400,
            "InvalidArgument",
        ),
        (
            "GET",
            object,
            &[("range", "lines=0-1")],
            400,
            "InvalidArgument",
        ),
        (
            "GET",
            object,
            &[("range", "bytes=4-9")],
            416,
            "InvalidRange",
        ),
        ("GET", object, &[("range", "bytes=-0")], 416, "InvalidRange"),
        ("POST", object, &[], 405, "MethodNotAllowed"),
        ("PATCH", object, &[], 405, "MethodNotAllowed"),
        ("POST", bucket, &[], 405, "MethodNotAllowed"),
        ("PUT", bucket, &[], 501, "NotImplemented"),
        ("DELETE", bucket, &[], 501, "NotImplemented"),
        ("GET", bucket, &[], 501, "NotImplemented"),
        ("GET", "/", &[], 501, "NotImplemented"),
        ("GET", "/elsewhere/object", &[], 404, "NoSuchBucket"),
        ("GET", &format!("/{BUCKET}/absent"), &[], 404, "NoSuchKey"),
        (
            "DELETE",
            &format!("/{BUCKET}/absent"),
            &[],
            404,
            "NoSuchKey",
        ),
    ] {
        let refusal = service.refusal(method, target, headers).await;
        assert_eq!(
            refusal,
            (status, code.to_owned()),
            "{method} {target} {headers:?}"
        );
    }
    assert_eq!(service.fake.objects(BUCKET)["object"], "body");
}

#[tokio::test]
async fn what_decides_is_said_once_and_a_body_only_where_it_belongs() {
    let service = Service::start().await;
    let object = &format!("/{BUCKET}/object");
    let condition = ("x-goog-if-generation-match", "0");
    let range = ("range", "bytes=0-1");
    for (method, twice) in [("PUT", condition), ("GET", range)] {
        let refusal = service.refusal(method, object, &[twice, twice]).await;
        assert_eq!(refusal, (400, "InvalidArgument".to_owned()), "{method}");
    }
    let url = format!("{}{object}", service.fake.base_url());
    let request = service.client.delete(url).bearer_auth(&service.token);
    let answer = request.body("body").send().await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn queries_are_read_to_the_last_parameter() {
    let service = Service::start().await;
    for (query, status, code) in [
        ("list-type=1", 501, "NotImplemented"),
        ("list-type=2&marker=a", 501, "NotImplemented"),
        ("list-type=2&encoding-type=url", 501, "NotImplemented"),
        ("versioning", 501, "NotImplemented"),
        ("lifecycle", 501, "NotImplemented"),
        ("list-type=2&list-type=2", 400, "InvalidArgument"),
        ("list-type=2&max-keys=0", 400, "InvalidArgument"),
        ("list-type=2&max-keys=%2B1", 400, "InvalidArgument"),
        ("list-type=2&continuation-token=eA", 400, "InvalidArgument"),
        ("list-type=2&prefix=%zz", 400, "InvalidURI"),
        ("list-type=2&prefix=%ff", 400, "InvalidURI"),
    ] {
        let target = format!("/{BUCKET}?{query}");
        let refusal = service.refusal("GET", &target, &[]).await;
        assert_eq!(refusal, (status, code.to_owned()), "{query}");
    }
    for query in ["uploads", "uploadId=1", "generation=1", "acl"] {
        let target = format!("/{BUCKET}/object?{query}");
        let refusal = service.refusal("GET", &target, &[]).await;
        assert_eq!(refusal, (501, "NotImplemented".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn names_are_decoded_once_and_checked() {
    let service = Service::start().await;
    let long = "x".repeat(1025);
    for (name, status, code) in [
        ("%zz", 400, "InvalidURI"),
        ("%", 400, "InvalidURI"),
        ("%ff", 400, "InvalidURI"),
        ("a%0Ab", 400, "InvalidArgument"),
        (".well-known/acme-challenge/x", 400, "InvalidArgument"),
        (&long, 400, "KeyTooLong"),
    ] {
        let refusal = service
            .refusal("PUT", &format!("/{BUCKET}/{name}"), &[])
            .await;
        assert_eq!(refusal, (status, code.to_owned()), "{name}");
    }
    for name in ["%2525", "a+b", "a%2Fb", "a//b", "%C3%A4"] {
        let put = service
            .send(Method::PUT, &format!("/{BUCKET}/{name}"), &[])
            .await;
        assert_eq!(put.status(), 200, "{name}");
    }
    let stored = service.fake.objects(BUCKET);
    let names: Vec<_> = stored.keys().map(String::as_str).collect();
    assert_eq!(names, ["%25", "a+b", "a//b", "a/b", "\u{e4}"]);
}

#[tokio::test]
async fn a_listing_has_what_the_service_says_of_an_object() {
    let service = Service::start().await;
    service
        .send(Method::PUT, &format!("/{BUCKET}/a%26b"), &[])
        .await;
    let listing = service
        .send(
            Method::GET,
            &format!("/{BUCKET}?list-type=2&max-keys=1"),
            &[],
        )
        .await;
    assert!(listing.headers().contains_key("date"));
    let listing = listing.text().await.unwrap();
    for part in [
        "<Key>a&amp;b</Key>",
        "<Size>4</Size>",
        "<ETag>&quot;",
        "<IsTruncated>false<",
    ] {
        assert!(listing.contains(part), "{part}: {listing}");
    }
}

#[tokio::test]
async fn settings_can_be_asked_for() {
    let service = Service::start().await;
    let fields = "fields=versioning,softDeletePolicy,retentionPolicy";
    let target = format!("/storage/v1/b/{BUCKET}?{fields}");
    let settings = async || {
        let answer = service.send(Method::GET, &target, &[]).await;
        answer.text().await.unwrap()
    };
    assert_eq!(settings().await, "{}");
    service.fake.set_versioning(BUCKET, Versioning::Enabled);
    assert_eq!(settings().await, r#"{"versioning":{"enabled":true}}"#);
    for (method, target, status) in [
        ("GET", format!("/storage/v1/b/nowhere?{fields}"), 404),
        ("GET", format!("/storage/v1/b/{BUCKET}"), 501),
        ("GET", format!("/storage/v1/b/{BUCKET}?{fields},acl"), 501),
        ("PUT", target.clone(), 501),
    ] {
        assert_eq!(
            service.refusal(method, &target, &[]).await.0,
            status,
            "{target}"
        );
    }
    service.fake.set_access(BUCKET, Access::Denied);
    assert_eq!(service.refusal("GET", &target, &[]).await.0, 403);
}

#[tokio::test]
async fn a_request_without_proof_is_challenged() {
    let service = Service::start().await;
    let url = format!("{}/{BUCKET}/object", service.fake.base_url());
    let response = client().get(url).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.headers().contains_key("www-authenticate"));
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("AuthenticationRequired")
    );
}

#[tokio::test]
async fn an_upload_has_a_length_and_arrives_whole() {
    let service = Service::start().await;
    let chunked = "Transfer-Encoding: chunked\r\n";
    for answer in [
        service.raw_put(chunked, "1\r\nx\r\n0\r\n\r\n").await,
        service.raw_put("", "").await,
    ] {
        assert!(answer.starts_with("HTTP/1.1 411 "), "{answer}");
        assert!(answer.contains("MissingContentLength"), "{answer}");
    }
    assert_eq!(service.raw_put("Content-Length: 10\r\n", "12345").await, "");
    assert!(service.fake.objects(BUCKET).is_empty());
    let whole = service.raw_put("Content-Length: 5\r\n", "12345").await;
    assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
    assert_eq!(service.fake.objects(BUCKET)["raw"], "12345");
}
