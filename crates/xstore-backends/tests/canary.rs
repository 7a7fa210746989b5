//! Secrets go to the server that they are for and nowhere else: not into `Debug`, not into errors, not
//! into what any library logs at its most talkative.
//!
//! One test in a process of its own, since it listens to everything that is said in it.
#![cfg(all(feature = "s3", feature = "azure", feature = "gcs"))]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use xstore::ObjectKey;
use xstore_backends::credential::Variables;
use xstore_backends::{Place, Source};
use xstore_testkit::gcs::{Fake, Options};

static HEARD: Mutex<String> = Mutex::new(String::new());

fn hear(text: &dyn std::fmt::Debug) {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(heard, "{text:?}").unwrap();
}

/// Hears every span and event of `tracing`.
struct Ear;

impl Visit for Ear {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        hear(value);
    }
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Self);
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Self);
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Self);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Hears every record of `log`.
impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        hear(record.args());
    }
    fn flush(&self) {}
}

const S3_SECRET: &str = "canary-secret-of-s3-0123456789";
const S3_TOKEN: &str = "canary-session-token-of-s3-0123456789";
const AZURE_KEY: &str = "Y2FuYXJ5LWtleS1vZi1henVyZS0wMTIzNDU2Nzg5";
const SAS_SIGNATURE: &str = "canarySignatureOfAzure0123456789";
const BEARER: &str = "canary-bearer-of-google-0123456789";

/// The places and who asks there.
fn asked(endpoint: &str, account: &str) -> Vec<(String, Variables)> {
    let s3 = format!("s3://bucket/a?endpoint={endpoint}");
    let azure = format!("az://account/container/a?endpoint={endpoint}/account");
    let google = format!("gs://bucket/a?endpoint={endpoint}");
    let sas = format!("sv=2024-01-01&sp=rcdl&sig={SAS_SIGNATURE}");
    let of = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Variables>();
    vec![
        (
            s3.clone(),
            of(&[
                ("AWS_ACCESS_KEY_ID", "id"),
                ("AWS_SECRET_ACCESS_KEY", S3_SECRET),
                ("AWS_SESSION_TOKEN", S3_TOKEN),
            ]),
        ),
        // Half a key is none, and the error must not show it.
        (s3, of(&[("AWS_SECRET_ACCESS_KEY", S3_SECRET)])),
        (
            azure.clone(),
            of(&[("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)]),
        ),
        (
            azure.clone(),
            of(&[("AZURE_STORAGE_ACCOUNT_KEY", &format!("{AZURE_KEY}!"))]),
        ),
        (azure, of(&[("AZURE_STORAGE_SAS_TOKEN", &sas)])),
        (google.clone(), of(&[("GOOGLE_BEARER_TOKEN", BEARER)])),
        (
            google.clone(),
            of(&[("GOOGLE_SERVICE_ACCOUNT_KEY", account)]),
        ),
        (
            google,
            of(&[(
                "GOOGLE_SERVICE_ACCOUNT_KEY",
                &account.replace("BEGIN", "BEGIN "),
            )]),
        ),
    ]
}

/// Everything that can be asked, and everything that can be shown of it.
async fn ask(url: &str, variables: Variables) {
    let source = Source::Fixed(variables);
    let place = Place::parse(url).unwrap();
    hear(&(&source, &place));
    let backend = match place.connect("b", &source) {
        Ok(backend) => backend,
        Err(error) => {
            hear(&(error.to_string(), &error));
            hear(&std::error::Error::source(&error).map(ToString::to_string));
            return;
        }
    };
    hear(&backend);
    let key = ObjectKey::try_new("a/b").unwrap();
    let outcomes = [
        backend.put_new(&key, Bytes::from_static(b"x")).await.err(),
        backend.get_range(&key, 0..1).await.err(),
        backend.head(&key).await.err(),
        backend.list("", None).await.err(),
        backend.delete(&[key]).await.err(),
        backend.erasure().await.err(),
    ];
    for error in outcomes.into_iter().flatten() {
        let cause = error.source.as_ref().map(ToString::to_string);
        hear(&(error.to_string(), cause, &error));
    }
}

#[tokio::test]
async fn no_secret_is_shown_logged_or_told() {
    tracing::subscriber::set_global_default(Ear).unwrap();
    log::set_boxed_logger(Box::new(Ear)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);

    let fake = Fake::start(Options::default()).await.unwrap();
    fake.create_bucket("bucket");
    let account = fake.service_account_json();
    let key = account.split("-----").nth(2).unwrap().replace("\\n", "");
    // One server lets the account in and refuses all others; behind the other address nobody listens.
    for endpoint in [fake.base_url(), "http://127.0.0.1:1".to_owned()] {
        for (url, variables) in asked(&endpoint, &account) {
            ask(&url, variables).await;
        }
    }
    assert!(
        fake.counts().puts > 0 && !fake.objects("bucket").is_empty() || fake.counts().deletes > 0
    );

    let heard = HEARD.lock().unwrap();
    // The ear works: libraries did talk.
    assert!(
        heard.contains("connect") && heard.len() > 10_000,
        "{}",
        heard.len()
    );
    let secrets = [
        S3_SECRET,
        S3_TOKEN,
        AZURE_KEY,
        SAS_SIGNATURE,
        BEARER,
        &key[40..80],
    ];
    for secret in secrets {
        let told_in = |form: &str| heard.contains(form);
        assert!(!told_in(secret), "{secret}");
        assert!(
            !told_in(&BASE64_STANDARD.encode(secret)),
            "{secret} in base64"
        );
        assert!(
            !told_in(&BASE64_URL_SAFE_NO_PAD.encode(secret)),
            "{secret} in base64"
        );
    }
    let raw = BASE64_STANDARD.decode(AZURE_KEY).unwrap();
    assert!(!heard.contains(&*String::from_utf8(raw).unwrap()));
}
