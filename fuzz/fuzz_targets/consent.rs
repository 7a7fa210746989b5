//! The JSON form of consent: read without panic, refused with one code, written as it was read.
#![no_main]

#[path = "consent/plan.rs"]
mod plan;

use genomicshare::ConsentRecord;
use libfuzzer_sys::fuzz_target;
use plan::Plan;
use xgene_fuzz::{Input, read};

fuzz_target!(|data: &[u8]| {
    match read::<Plan>(data) {
        Some(Input::Raw(bytes)) => {
            check(bytes);
        }
        Some(Input::Planned(plan)) => {
            let json = plan.json();
            let accepted = check(json.as_bytes());
            assert!(
                accepted || !plan.is_valid(),
                "a valid record was refused: {json}"
            );
        }
        None => {}
    }
});

/// Whether `json` is a record. One that is must survive being written and read again.
fn check(json: &[u8]) -> bool {
    match ConsentRecord::from_json(json) {
        Ok(record) => {
            let again = ConsentRecord::from_json(record.to_json().as_bytes());
            assert!(
                again.is_ok_and(|again| again == record),
                "changed by writing: {record:?}"
            );
            true
        }
        Err(error) => {
            assert_eq!(error.code(), "CONSENT_INVALID");
            false
        }
    }
}
