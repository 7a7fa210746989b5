//! Processor time of this thread: what other processes do meanwhile is not counted.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

/// Runs of which the median is taken.
const RUNS: usize = 41;
/// Runs before them, which fill the caches.
const WARM_UPS: usize = 3;

/// Median processor time of `work`, in milliseconds.
pub(crate) fn median_ms(mut work: impl FnMut()) -> f64 {
    for _ in 0..WARM_UPS {
        work();
    }
    let mut times: Vec<f64> = (0..RUNS).map(|_| time_ms(&mut work)).collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// Median processor time of `work` in milliseconds, or its first failure.
pub(crate) fn try_median_ms<T, E>(mut work: impl FnMut() -> Result<T, E>) -> Result<f64, E> {
    let mut outcome = Ok(());
    let median = median_ms(|| {
        if outcome.is_ok() {
            outcome = work().map(|value| drop(black_box(value)));
        }
    });
    outcome.map(|()| median)
}

fn time_ms(work: &mut impl FnMut()) -> f64 {
    let start = now_ms();
    work();
    now_ms() - start
}

fn now_ms() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}
