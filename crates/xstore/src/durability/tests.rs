use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn access(threshold: u8, share_count: u8) -> AccessStructure {
    AccessStructure::try_new(threshold, share_count).unwrap()
}

fn equal(threshold: u8, share_count: u8, loss: f64, repair: Duration) -> Durability {
    let assumptions = Assumptions::new(vec![loss; usize::from(share_count)], repair);
    Durability::try_new(access(threshold, share_count), &assumptions).unwrap()
}

fn code(threshold: u8, share_count: u8, assumptions: &Assumptions) -> &'static str {
    Durability::try_new(access(threshold, share_count), assumptions)
        .unwrap_err()
        .code()
}

/// 2-of-3 by hand: two transient states, so that the loss by time t is
/// `(b (1 - exp(-a t)) - a (1 - exp(-b t))) / (b - a)` with the roots a < b of
/// `x^2 - (5 r + m) x + 6 r^2` for rate r and repairs m.
fn two_of_three(loss: f64, repair: Duration) -> f64 {
    let rate = -(-loss).ln_1p();
    let repairs = YEAR_S / repair.as_secs_f64();
    let (sum, product) = (5.0 * rate + repairs, 6.0 * rate * rate);
    let b = f64::midpoint(sum, (sum * sum - 4.0 * product).sqrt());
    let a = product / b;
    (a * (-b).exp_m1() - b * (-a).exp_m1()) / (b - a)
}

/// Plays the year `runs` times: whoever is lost is equally likely to be restored next.
fn played(access: AccessStructure, assumptions: &Assumptions, runs: u32) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut uniform = || (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
    let repairs = YEAR_S / assumptions.repair.as_secs_f64();
    let mut lost_objects = 0;
    for _ in 0..runs {
        let mut lost = vec![false; assumptions.share_loss.len()];
        let mut year = 0.0;
        loop {
            let lost_count = lost.iter().filter(|lost| **lost).count();
            if lost.len() - lost_count < usize::from(access.threshold()) {
                lost_objects += 1;
                break;
            }
            let share = if lost_count > 0 {
                repairs / lost_count as f64
            } else {
                0.0
            };
            let rates: Vec<f64> = assumptions
                .share_loss
                .iter()
                .zip(&lost)
                .map(|(loss, lost)| if *lost { share } else { -(1.0 - loss).ln() })
                .collect();
            let total: f64 = rates.iter().sum();
            year -= uniform().ln() / total;
            if year > 1.0 {
                break;
            }
            let mut at = uniform() * total;
            let next = rates.iter().position(|rate| {
                at -= rate;
                at < 0.0
            });
            let backend = next.unwrap_or(rates.len() - 1);
            lost[backend] = !lost[backend];
        }
    }
    f64::from(lost_objects) / f64::from(runs)
}

#[test]
fn the_figures_of_docs_durability_hold() {
    let table = [
        ((2, 3), "5.8", "4.9"),
        ((2, 4), "9.7", "8.1"),
        ((3, 5), "9.3", "7.7"),
        ((3, 6), "13.1", "10.6"),
        ((4, 7), "12.8", "10.2"),
    ];
    for ((k, n), day, week) in table {
        for (repair, nines) in [(DAY, day), (7 * DAY, week)] {
            assert_eq!(
                format!("{:.1}", equal(k, n, 0.01, repair).nines()),
                nines,
                "{k}-of-{n}"
            );
            let mut shared = Assumptions::new(vec![0.01; usize::from(n)], repair);
            shared.common_cause = Some(1e-4);
            let capped = Durability::try_new(access(k, n), &shared).unwrap();
            assert_eq!(format!("{:.1}", capped.nines()), "4.0", "{k}-of-{n}");
        }
    }
}

#[test]
fn two_of_three_is_the_closed_form_at_every_scale() {
    for loss in [0.9, 0.3, 0.01, 1e-4, 1e-7, 1e-10] {
        for repair in [
            Duration::from_secs(1),
            Duration::from_secs(3600),
            DAY,
            30 * DAY,
            3000 * DAY,
        ] {
            let (solved, by_hand) = (
                equal(2, 3, loss, repair).object_loss(),
                two_of_three(loss, repair),
            );
            assert!(
                (solved / by_hand - 1.0).abs() < 1e-9,
                "{loss} {repair:?}: {solved} {by_hand}"
            );
        }
    }
    assert!(two_of_three(1e-10, Duration::from_secs(3600)) < 1e-20);
}

#[test]
fn without_spare_backends_any_loss_is_fatal() {
    let losses = vec![0.02, 0.3, 1e-9, 0.5];
    let all_survive: f64 = losses.iter().map(|loss| 1.0 - loss).product();
    let assumptions = Assumptions::new(losses, DAY);
    let solved = Durability::try_new(access(4, 4), &assumptions).unwrap();
    assert!((solved.object_loss() - (1.0 - all_survive)).abs() < 1e-12);
}

/// The mean time to loss of a birth-death chain, product by product; a year over it is the
/// probability where that is small and repair is quick.
#[test]
fn long_chains_agree_with_their_mean_time_to_loss() {
    let (rate, repairs) = (-(-0.001_f64).ln_1p(), 365.25 * 24.0);
    for (k, n) in [(2, 5), (3, 6), (4, 7), (10, 14)] {
        let fatal = n - k + 1;
        let up = |lost: u8| f64::from(n - lost) * rate;
        let mean: f64 = (0..fatal)
            .flat_map(|top| (0..=top).map(move |from| (from, top)))
            .map(|(from, top)| {
                let back: f64 = (from + 1..=top).map(|lost| repairs / up(lost)).product();
                back / up(from)
            })
            .sum();
        let solved = equal(k, n, 0.001, Duration::from_secs(3600)).object_loss();
        assert!(
            (solved * mean - 1.0).abs() < 0.005,
            "{k}-of-{n}: {solved} {mean}"
        );
    }
}

#[test]
fn unequal_backends_agree_with_played_years() {
    let runs = 100_000;
    for (k, losses) in [
        (2, vec![0.6, 0.1, 0.3]),
        (2, vec![0.5, 0.5, 0.2, 0.7]),
        (3, vec![0.4, 0.2, 0.3, 0.1, 0.6]),
    ] {
        let access = access(k, u8::try_from(losses.len()).unwrap());
        let assumptions = Assumptions::new(losses, 60 * DAY);
        let solved = Durability::try_new(access, &assumptions)
            .unwrap()
            .object_loss();
        let played = played(access, &assumptions, runs);
        let deviation = (solved * (1.0 - solved) / f64::from(runs)).sqrt();
        assert!(
            (solved - played).abs() < 4.0 * deviation,
            "{solved} {played}"
        );
    }
}

#[test]
fn rates_that_hardly_differ_are_as_good_as_equal_ones() {
    let losses = (0..12)
        .map(|i| 0.01 * (1.0 + 1e-9 * f64::from(i)))
        .collect();
    let subsets = Durability::try_new(access(9, 12), &Assumptions::new(losses, DAY)).unwrap();
    let counts = equal(9, 12, 0.01, DAY);
    assert!((subsets.object_loss() / counts.object_loss() - 1.0).abs() < 1e-6);
}

#[test]
fn a_check_interval_is_added_to_the_repair() {
    let mut assumptions = Assumptions::new(vec![0.01; 3], DAY);
    assumptions.check = 6 * DAY;
    let checked = Durability::try_new(access(2, 3), &assumptions).unwrap();
    assert_eq!(checked, equal(2, 3, 0.01, 7 * DAY));
}

#[test]
fn the_caveat_names_what_caps_the_figure() {
    let of = |common_cause| {
        let mut assumptions = Assumptions::new(vec![0.01; 3], DAY);
        assumptions.common_cause = common_cause;
        Durability::try_new(access(2, 3), &assumptions).unwrap()
    };
    let (none, small, large) = (of(None), of(Some(1e-8)), of(Some(1e-4)));
    assert!(
        none.caveat().contains("can destroy 2 of the shares"),
        "{}",
        none.caveat()
    );
    assert!(
        small.caveat().contains("independently"),
        "{}",
        small.caveat()
    );
    assert!(
        large.caveat().starts_with("capped at 4.0 nines"),
        "{}",
        large.caveat()
    );
    assert_eq!(none.common_cause_share(), 0.0);
    assert!((large.common_cause_share() - 1e-4 / large.object_loss()).abs() < 1e-15);
}

#[test]
fn what_underflows_is_not_printed_as_more_than_the_model_supports() {
    let tiny = equal(2, 251, 1e-15, Duration::from_nanos(1));
    assert_eq!((tiny.object_loss(), tiny.nines()), (0.0, MAX_NINES));
    assert_eq!(tiny.common_cause_share(), 0.0);
    let certain = equal(251, 251, 1.0 - f64::EPSILON, Duration::MAX);
    assert_eq!(format!("{:.1}", certain.nines()), "0.0");
}

#[test]
fn assumptions_out_of_range_are_refused() {
    for loss in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
        let mut assumptions = Assumptions::new(vec![0.01, 0.01, loss], DAY);
        assert_eq!(code(2, 3, &assumptions), "INVALID_CONFIG", "{loss}");
        assumptions = Assumptions::new(vec![0.01; 3], DAY);
        assumptions.common_cause = Some(loss);
        assert_eq!(code(2, 3, &assumptions), "INVALID_CONFIG", "{loss}");
    }
    assert_eq!(
        code(2, 3, &Assumptions::new(vec![0.01; 2], DAY)),
        "INVALID_CONFIG"
    );
    assert_eq!(
        code(2, 3, &Assumptions::new(vec![0.01; 3], Duration::ZERO)),
        "INVALID_CONFIG"
    );
    let different = (1..=13).map(|i| 0.01 * f64::from(i)).collect();
    assert_eq!(
        code(12, 13, &Assumptions::new(different, DAY)),
        "INVALID_CONFIG"
    );
}

proptest! {
    #[test]
    fn more_backends_lower_thresholds_and_quicker_repair_never_hurt(
        n in 2_u8..30,
        k in 2_u8..30,
        loss_exponent in -6.0..-0.05_f64,
        repair_h in 1_u32..100_000,
    ) {
        prop_assume!(k <= n);
        let loss = 10_f64.powf(loss_exponent);
        let repair = repair_h * Duration::from_secs(3600);
        let worse = equal(k, n, loss, repair).object_loss() * (1.0 + 1e-9);
        prop_assert!(equal(k, n + 1, loss, repair).object_loss() <= worse);
        prop_assert!(equal(k, n, loss, repair / 2).object_loss() <= worse);
        if k > 2 {
            prop_assert!(equal(k - 1, n, loss, repair).object_loss() <= worse);
        }
    }
}
