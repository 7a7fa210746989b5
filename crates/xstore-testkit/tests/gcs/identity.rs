//! Who may call: access tokens, JWTs that the account signs itself, and forgeries of both.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use xstore_testkit::gcs::{Fake, Options};

use super::setup::{BUCKET, builder, client, fake, fake_with, store};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const READ_SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a key file holds, as far as it is needed to sign.
struct Signer {
    pair: RsaKeyPair,
    email: String,
    key_id: String,
}

impl Signer {
    fn of(key_file: &str) -> Self {
        let file: Value = serde_json::from_str(key_file).unwrap();
        let field = |name: &str| file[name].as_str().unwrap().to_owned();
        let pem = field("private_key");
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        Self {
            pair: RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(base64).unwrap()).unwrap(),
            email: field("client_email"),
            key_id: field("private_key_id"),
        }
    }

    fn header(&self) -> Value {
        json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        let signed = self.pair.sign(
            &RSA_PKCS1_SHA256,
            &random,
            message.as_bytes(),
            &mut signature,
        );
        signed.unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn now_s() -> u64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Claims for an access token.
fn claims(fake: &Fake, signer: &Signer) -> Value {
    let now_s = now_s();
    let (iss, aud) = (&signer.email, fake.token_uri());
    json!({"iss": iss, "aud": aud, "scope": SCOPE, "iat": now_s, "exp": now_s + 3600})
}

/// Claims of a JWT that is a bearer token itself.
fn bearer_claims(signer: &Signer) -> Value {
    let now_s = now_s();
    let email = &signer.email;
    json!({"iss": email, "sub": email, "scope": SCOPE, "iat": now_s, "exp": now_s + 3600})
}

/// The same claims with some replaced, or removed where null.
fn altered(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

async fn exchange(fake: &Fake, assertion: &str) -> (u16, Value) {
    let fields = [("grant_type", GRANT_TYPE), ("assertion", assertion)];
    post(fake, &fields).await
}

async fn post(fake: &Fake, fields: &[(&str, &str)]) -> (u16, Value) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    let request = client()
        .post(fake.token_uri())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (
        status,
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
    )
}

/// The status of a listing with this bearer token.
async fn status_with(fake: &Fake, bearer: &str) -> u16 {
    let url = format!("{}/{BUCKET}?list-type=2", fake.base_url());
    let request = client().get(url).bearer_auth(bearer);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_assertion_is_exchanged_for_a_token_that_ends() {
    let mut options = Options::default();
    options.token_lifetime = Duration::from_secs(60);
    let fake = fake_with(options).await;
    let signer = Signer::of(&fake.service_account_json());
    let assertion = signer.sign(&signer.header(), &claims(&fake, &signer));
    let (status, json) = exchange(&fake, &assertion).await;
    assert_eq!(
        (status, &json["expires_in"], &json["token_type"]),
        (200, &json!(60), &json!("Bearer"))
    );
    let token = json["access_token"].as_str().unwrap();
    assert_eq!(status_with(&fake, token).await, 200);

    fake.set_clock_ahead(Duration::from_secs(61));
    assert_eq!(status_with(&fake, token).await, 401);
    fake.set_clock_ahead(Duration::ZERO);
    assert_eq!(status_with(&fake, token).await, 200);
    fake.expire_tokens();
    assert_eq!(status_with(&fake, token).await, 401);
    let (_, again) = exchange(&fake, &assertion).await;
    assert_ne!(again["access_token"], json["access_token"]);
    assert_eq!(
        status_with(&fake, again["access_token"].as_str().unwrap()).await,
        200
    );
}

#[tokio::test]
async fn every_altered_claim_of_an_assertion_is_refused() {
    let fake = fake().await;
    let signer = Signer::of(&fake.service_account_json());
    let sound = claims(&fake, &signer);
    let now_s = now_s();
    for changes in [
        json!({"iss": "other@xgene-testkit.iam.gserviceaccount.com"}),
        json!({"iss": null}),
        json!({"sub": "owner@example.org"}),
        json!({"aud": "https://oauth2.googleapis.com/token"}),
        json!({"aud": null}),
        json!({"iat": now_s + 360, "exp": now_s + 3000}),
        json!({"iat": now_s - 3000, "exp": now_s - 301}),
        json!({"iat": now_s, "exp": now_s + 3601}),
        json!({"iat": now_s, "exp": now_s}),
        json!({"iat": null}),
        json!({"exp": null}),
        json!({"exp": "soon"}),
        json!({"iat": i64::MIN, "exp": i64::MAX}),
        json!({"target_audience": "https://example.org"}),
    ] {
        let assertion = signer.sign(&signer.header(), &altered(&sound, changes.clone()));
        let (status, json) = exchange(&fake, &assertion).await;
        assert_eq!(
            (status, &json["error"]),
            (400, &json!("invalid_grant")),
            "{changes}"
        );
    }
    for changes in [
        json!({"scope": "https://www.googleapis.com/auth/drive"}),
        json!({"scope": ""}),
    ] {
        let assertion = signer.sign(&signer.header(), &altered(&sound, changes.clone()));
        let (status, json) = exchange(&fake, &assertion).await;
        assert_eq!(
            (status, &json["error"]),
            (400, &json!("invalid_scope")),
            "{changes}"
        );
    }
    // At the edges of what is allowed.
    for changes in [
        json!({"sub": signer.email}),
        json!({"iat": now_s + 240, "exp": now_s + 241}),
        json!({"iat": now_s - 3600, "exp": now_s - 200}),
        json!({"scope": format!("openid {READ_SCOPE}")}),
    ] {
        let assertion = signer.sign(&signer.header(), &altered(&sound, changes.clone()));
        assert_eq!(exchange(&fake, &assertion).await.0, 200, "{changes}");
    }
}

#[tokio::test]
async fn forged_assertions_are_refused() {
    let fake = fake().await;
    let signer = Signer::of(&fake.service_account_json());
    let stranger = Signer::of(&fake.forged_account_json());
    let claims = claims(&fake, &signer);
    let sound = signer.sign(&signer.header(), &claims);
    let (message, signature) = sound.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let other_claims = altered(&claims, json!({"scope": READ_SCOPE}));
    let other_claims = BASE64_URL_SAFE_NO_PAD.encode(other_claims.to_string());
    let with_header = |changes: Value| signer.sign(&altered(&signer.header(), changes), &claims);
    for (what, assertion) in [
        ("another key", stranger.sign(&stranger.header(), &claims)),
        (
            "other claims",
            format!("{header}.{other_claims}.{signature}"),
        ),
        ("no signature", format!("{message}.")),
        ("two parts", message.to_owned()),
        ("padding", format!("{sound}=")),
        ("alg none", with_header(json!({"alg": "none"}))),
        ("alg HS256", with_header(json!({"alg": "HS256"}))),
        ("another key id", with_header(json!({"kid": "1"}))),
        ("crit", with_header(json!({"crit": ["exp"]}))),
        ("not JSON", "e30.x.y".to_owned()),
        ("nothing", String::new()),
    ] {
        let (status, json) = exchange(&fake, &assertion).await;
        assert_eq!(
            (status, &json["error"]),
            (400, &json!("invalid_grant")),
            "{what}"
        );
    }
    assert_eq!(exchange(&fake, &sound).await.0, 200);
}

#[tokio::test]
async fn other_forms_are_refused() {
    let fake = fake().await;
    let signer = Signer::of(&fake.service_account_json());
    let sound = signer.sign(&signer.header(), &claims(&fake, &signer));
    let (grant, assertion) = (("grant_type", GRANT_TYPE), ("assertion", sound.as_str()));
    for (fields, error) in [
        (vec![grant, assertion, assertion], "invalid_request"),
        (vec![grant, assertion, ("scope", SCOPE)], "invalid_request"),
        (vec![grant], "invalid_request"),
        (vec![assertion], "unsupported_grant_type"),
        (
            vec![("grant_type", "refresh_token"), assertion],
            "unsupported_grant_type",
        ),
    ] {
        let (status, json) = post(&fake, &fields).await;
        assert_eq!((status, &json["error"]), (400, &json!(error)), "{fields:?}");
    }
    let response = client().get(fake.token_uri()).send().await.unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_jwt_may_be_the_bearer_token_and_is_checked_as_strictly() {
    let fake = fake().await;
    let signer = Signer::of(&fake.service_account_json());
    let sound = bearer_claims(&signer);
    let now_s = now_s();
    let bearer = signer.sign(&signer.header(), &sound);
    assert_eq!(status_with(&fake, &bearer).await, 200);
    for changes in [
        json!({"iss": "x"}),
        json!({"sub": "x"}),
        json!({"sub": null}),
        json!({"aud": fake.token_uri()}),
        json!({"scope": "x"}),
        json!({"iat": now_s, "exp": now_s + 3601}),
        json!({"iat": now_s - 3900, "exp": now_s - 301}),
    ] {
        let bearer = signer.sign(&signer.header(), &altered(&sound, changes.clone()));
        assert_eq!(status_with(&fake, &bearer).await, 401, "{changes}");
    }
    for (what, bearer) in [
        ("nothing", ""),
        ("a made-up token", "0123"),
        ("a made-up JWT", "a.b.c"),
    ] {
        assert_eq!(status_with(&fake, bearer).await, 401, "{what}");
    }
    fake.set_clock_ahead(Duration::from_secs(2 * 3600));
    assert_eq!(status_with(&fake, &bearer).await, 401);
}

#[tokio::test]
async fn a_scope_to_read_does_not_write() {
    let fake = fake().await;
    let signer = Signer::of(&fake.service_account_json());
    let claims = altered(&bearer_claims(&signer), json!({"scope": READ_SCOPE}));
    let bearer = signer.sign(&signer.header(), &claims);
    assert_eq!(status_with(&fake, &bearer).await, 200);
    let url = format!("{}/{BUCKET}/object", fake.base_url());
    let put = client().put(url).bearer_auth(bearer).body("1");
    assert_eq!(put.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn object_store_with_a_strangers_key_is_refused() {
    let fake = fake().await;
    let forged = builder(&fake.forged_account_json()).build().unwrap();
    let error = forged.get(&Path::from("any")).await.unwrap_err();
    assert!(matches!(error, Error::Unauthenticated { .. }), "{error}");
    assert!(
        error.to_string().contains("AuthenticationRequired"),
        "{error}"
    );
    let error = store(&fake).get(&Path::from("any")).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn object_store_with_a_token_that_is_over_is_refused_until_it_has_a_new_one() {
    let fake = fake().await;
    let signer = Signer::of(&fake.service_account_json());
    let path = Path::from("renewed");
    for _ in 0..2 {
        let assertion = signer.sign(&signer.header(), &claims(&fake, &signer));
        let (_, json) = exchange(&fake, &assertion).await;
        let token = json["access_token"].as_str().unwrap();
        let store = builder(&fake.service_account_json()).with_bearer_token(token);
        let store = store.build().unwrap();
        store.put(&path, "1".into()).await.unwrap();
        fake.expire_tokens();
        let error = store.put(&path, "2".into()).await.unwrap_err();
        assert!(matches!(error, Error::Unauthenticated { .. }), "{error}");
    }
    assert_eq!(fake.objects(BUCKET)["renewed"], "1");
}
