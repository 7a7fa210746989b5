//! Shares at three different providers: what one of them loses, refuses, damages or never answers, the
//! other two make good, and the program says where and why.

mod setup;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xstore_testkit::proxy::{Fault, Rule};
use xstore_testkit::silent::Silent;

use crate::world::{Run, payload};
use setup::Clouds;

/// The "10MB dataset" of the example that this follows.
const LEN_BYTES: usize = 10 * 1024 * 1024;

/// A time-out that no test waits for.
const A_DAY_S: &str = "86400";

/// Events of each backend, in order.
fn events(run: &Run) -> BTreeMap<String, Vec<Value>> {
    let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in run.lines("progress") {
        let backend = event["backend_id"].as_str().unwrap().to_owned();
        events.entry(backend).or_default().push(event);
    }
    events
}

/// Bytes only grow, and one event ends it: all that there is was moved.
fn expect_completed(events: &[Value]) {
    let bytes = |event: &Value| event["bytes_transferred"].as_u64().unwrap();
    assert!(events.is_sorted_by_key(bytes), "{events:?}");
    let (last, before) = events.split_last().unwrap();
    assert!(before.iter().all(|event| event["status"] != "complete"));
    assert_eq!(last["status"], "complete");
    assert_eq!(last["bytes_transferred"], last["total_bytes"]);
}

/// The read went well, and names the backend and the code.
fn expect_named(run: Run, label: &str, code: &str) -> Run {
    let run = run.expect_ok();
    let summary = &run.lines("summary")[0];
    let faults = summary["faults"].as_array().unwrap();
    assert!(!faults.is_empty(), "{}", run.text());
    for fault in faults {
        assert_eq!(
            (&fault["backend"], &fault["code"]),
            (&json!(label), &json!(code))
        );
    }
    let warnings = run.lines("warning");
    let named = |warning: &Value| {
        let text = warning["message"].as_str().unwrap();
        text.contains(label) && text.contains(code)
    };
    assert!(warnings.iter().any(named), "{warnings:?}");
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_over_three_clouds() {
    let test = "ten_megabytes_over_three_clouds";
    let Some(clouds) = Clouds::start(test).await else {
        return;
    };
    let data = payload(LEN_BYTES);
    clouds.world.write("file", &data);
    let urls: Vec<String> = clouds.each.iter().map(setup::Cloud::url).collect();
    let backends = urls.iter().flat_map(|url| ["--backend", url]);
    let backends: Vec<&str> = backends.collect();
    let store = |args: &[&str]| {
        let mut command = clouds
            .world
            .command(&[&["store"], args, &backends[..]].concat());
        command.envs(clouds.each.iter().flat_map(|cloud| &cloud.variables));
        tokio::task::block_in_place(|| Run::of(command.output().unwrap())).expect_ok()
    };

    let put = store(&["put", "patient-genome-12345", "file", "--json"]);
    let told = events(&put);
    let labels: Vec<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(labels, ["backend1", "backend2", "backend3"]);
    for (share, (_, events)) in told.iter().enumerate() {
        expect_completed(events);
        let last = events.last().unwrap();
        assert_eq!(
            (&last["share_index"], &last["total_shares"]),
            (&json!(share), &json!(3))
        );
        assert!(last["bytes_transferred"].as_u64().unwrap() > LEN_BYTES as u64);
    }
    let summary = &put.lines("summary")[0];
    assert_eq!(summary["len_bytes"], LEN_BYTES);
    assert_eq!(summary["missing_shares"], 0);
    for (cloud, requests) in clouds
        .each
        .iter()
        .zip(summary["requests"].as_array().unwrap())
    {
        let calls = ["put_new", "get_range", "head", "list", "delete"];
        let calls = calls.iter().map(|call| requests[call].as_u64().unwrap());
        let passed = cloud.plan().counts().requests;
        assert_eq!(calls.sum::<u64>(), passed, "{}: {requests}", cloud.label);
    }

    let get = store(&["get", "patient-genome-12345", "-o", "out", "--json"]);
    assert!(std::fs::read(clouds.world.path("out")).unwrap() == data);
    expect_completed(&events(&get)["output"]);
    assert_eq!(get.lines("summary")[0]["faults"], json!([]));
    store(&["rm", "patient-genome-12345"]);
}

/// An object of 10 MiB by name, and its bytes.
fn put(clouds: &Clouds, name: &str, order: &[&str]) -> Vec<u8> {
    let data = payload(LEN_BYTES);
    clouds.world.write("file", &data);
    let backends: Vec<&str> = order
        .iter()
        .flat_map(|label| ["--backend", label])
        .collect();
    clouds
        .store(&[&["put", name, "file"], &backends[..]].concat())
        .expect_ok();
    data
}

/// Gets it, which has to go well, after cloud `first` was heard.
fn get(clouds: &Clouds, name: &str, data: &[u8]) -> Run {
    let run = clouds
        .store(&["get", name, "-f", "-o", "out", "--json"])
        .expect_ok();
    assert!(std::fs::read(clouds.world.path("out")).unwrap() == data);
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cloud_may_be_switched_off() {
    let Some(clouds) = Clouds::start_named("each_cloud_may_be_switched_off").await else {
        return;
    };
    let data = put(&clouds, "a", &[]);
    for (at, cloud) in clouds.each.iter().enumerate() {
        clouds.hear_first(at);
        cloud.plan().stop();
        expect_named(get(&clouds, "a", &data), cloud.label, "BACKEND_UNAVAILABLE");
        let refused = clouds.store(&["put", "b", "file"]);
        let refused = refused.expect_code("INSUFFICIENT_BACKENDS", 9);
        assert!(refused.stderr.contains(cloud.label), "{}", refused.stderr);
        clouds.heal();
    }
    clouds.store(&["rm", "a"]).expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cloud_may_refuse_the_credentials() {
    let Some(clouds) = Clouds::start_named("each_cloud_may_refuse_the_credentials").await else {
        return;
    };
    let data = put(&clouds, "a", &[]);
    for (at, cloud) in clouds.each.iter().enumerate() {
        clouds.heal();
        clouds.allow_all_but(Some(cloud.label));
        clouds.hear_first(at);
        expect_named(get(&clouds, "a", &data), cloud.label, "BACKEND_AUTH_FAILED");
        assert_eq!(
            cloud.plan().counts().requests,
            1,
            "asking again may lock an account"
        );
    }
    clouds.heal();
    clouds.allow_all_but(None);
    clouds.store(&["rm", "a"]).expect_ok();
}

/// Shares are read in the order of their indices as long as no backend is known to be slow.
#[tokio::test(flavor = "multi_thread")]
async fn each_cloud_may_damage_its_share() {
    let Some(clouds) = Clouds::start_named("each_cloud_may_damage_its_share").await else {
        return;
    };
    let mut order: Vec<&str> = clouds.each.iter().map(|cloud| cloud.label).collect();
    for (at, cloud) in clouds.each.iter().enumerate() {
        let data = put(&clouds, cloud.label, &order);
        cloud.corrupt().await;
        clouds.hear_first(at);
        let run = get(&clouds, cloud.label, &data);
        let run = expect_named(run, cloud.label, "SHARE_INTEGRITY_FAILED");
        assert_eq!(run.lines("summary")[0]["faults"][0]["chunk"], 0);
        clouds.store(&["rm", cloud.label]).expect_ok();
        clouds.heal();
        order.rotate_left(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clouds_that_never_answer_are_not_waited_for_as_long_as_others_are_enough() {
    let test = "clouds_that_never_answer_are_not_waited_for_as_long_as_others_are_enough";
    let Some(clouds) = Clouds::start_named(test).await else {
        return;
    };
    let silent = Silent::start().await.unwrap();
    let data = put(&clouds, "a", &[]);
    // Their home is now one where these clouds are elsewhere.
    let book = clouds.world.path("home/backends.toml");
    let known = std::fs::read_to_string(&book).unwrap();
    let silence = |count: usize| {
        let mut text = known.clone();
        for cloud in &clouds.each[..count] {
            let path = cloud.url().contains("/devstoreaccount1/");
            let account = if path { "/devstoreaccount1" } else { "" };
            let nowhere = cloud.url_by(&format!("http://{}{account}", silent.address()));
            text = text.replacen(&cloud.url(), &nowhere, 1);
        }
        assert_eq!(text == known, count == 0);
        std::fs::write(&book, text).unwrap();
    };
    let get_within = |timeout_s: &str| {
        let get = ["get", "a", "-f", "-o", "out", "--timeout", timeout_s];
        clouds.store(&get)
    };

    silence(1);
    for timeout_s in ["2", A_DAY_S] {
        get_within(timeout_s).expect_ok();
        assert!(std::fs::read(clouds.world.path("out")).unwrap() == data);
    }
    silence(2);
    let run = get_within("2").expect_code("INSUFFICIENT_SHARES", 9);
    for cloud in &clouds.each[..2] {
        let named = format!("{}: BACKEND_TIMEOUT", cloud.label);
        assert!(run.stderr.contains(&named), "{}", run.stderr);
    }
    silence(0);
    clouds.store(&["rm", "a"]).expect_ok();
}

/// It answered all that was asked of it before, so that its share is one of those asked for.
#[tokio::test(flavor = "multi_thread")]
async fn another_share_is_read_in_the_place_of_one_that_stalls() {
    let test = "another_share_is_read_in_the_place_of_one_that_stalls";
    let Some(clouds) = Clouds::start_named(test).await else {
        return;
    };
    let data = put(&clouds, "a", &[]);
    let stalls = || Rule::new(Fault::Stall).target("/s/");
    for (at, cloud) in clouds.each[..2].iter().enumerate() {
        clouds.hear_first(at);
        cloud.plan().set([stalls()]);
        let get = ["get", "a", "-f", "-o", "out", "--timeout", A_DAY_S];
        clouds.store(&get).expect_ok();
        assert!(std::fs::read(clouds.world.path("out")).unwrap() == data);
        let counts = clouds.each[2].plan().counts();
        assert!(counts.read_bytes > LEN_BYTES as u64, "{counts:?}");
        clouds.heal();
    }
    clouds.store(&["rm", "a"]).expect_ok();
}
