//! Asking several backends at once and not waiting for the last of them once enough have answered.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, timeout_at};

/// Stragglers get a quarter of the time that the others took, and at least this.
const LEAST_GRACE: Duration = Duration::from_millis(2);

/// Answers in the order of `asks`; `None` for those that had not come when `enough` of the answers
/// had for a while.
pub(crate) async fn gather<A: Future>(
    asks: impl IntoIterator<Item = A>,
    enough: impl Fn(&[Option<A::Output>]) -> bool,
) -> Vec<Option<A::Output>> {
    let begun = Instant::now();
    let numbered = |(at, ask): (usize, A)| async move { (at, ask.await) };
    let mut running: FuturesUnordered<_> = asks.into_iter().enumerate().map(numbered).collect();
    let mut answers: Vec<Option<A::Output>> = (0..running.len()).map(|_| None).collect();
    let mut until: Option<Instant> = None;
    loop {
        let next = match until {
            None => running.next().await,
            Some(until) => timeout_at(until, running.next()).await.unwrap_or_default(),
        };
        let Some((at, answer)) = next else {
            return answers;
        };
        answers[at] = Some(answer);
        if until.is_none() && enough(&answers) {
            let grace = (begun.elapsed() / 4).max(LEAST_GRACE);
            until = Some(Instant::now() + grace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(ms: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        ms
    }

    fn two(answers: &[Option<u64>]) -> bool {
        answers.iter().flatten().count() >= 2
    }

    #[tokio::test(start_paused = true)]
    async fn a_straggler_is_not_waited_for_and_one_that_is_nearly_there_is() {
        let begun = Instant::now();
        let answers = gather([after(1000), after(40), after(20)], two).await;
        assert_eq!(answers, [None, Some(40), Some(20)]);
        assert_eq!(begun.elapsed(), Duration::from_millis(50));
        let answers = gather([after(44), after(40), after(20)], two).await;
        assert_eq!(answers, [Some(44), Some(40), Some(20)]);
    }

    #[tokio::test(start_paused = true)]
    async fn too_few_are_all_waited_for() {
        let answers = gather([after(1000), after(20)], |_| false).await;
        assert_eq!(answers, [Some(1000), Some(20)]);
        assert!(
            gather(Vec::<std::future::Ready<u64>>::new(), two)
                .await
                .is_empty()
        );
    }
}
