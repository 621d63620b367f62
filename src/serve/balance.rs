//! How sessions at work are spread over threads. Each thread that wakes up costs CPU, so as many as
//! have enough to do are used: one while it has time to spare, more once it has not.

use std::collections::VecDeque;

use crate::wire::Share;

/// A thread that runs for this share of its time is busy: what comes next begins to wait for it.
const BUSY: f32 = 0.33;

/// Up to this share of one thread's time two do what one can do. Far enough below [`BUSY`] that
/// sessions do not go to and fro: one thread needs less time for them than two.
const SPARE: f32 = 0.28;

/// Up to this share of its time a thread has no session at work.
const STILL: f32 = 0.005;

/// So many looks in a row have to find threads with little to do. What a session has stays in memory
/// that its first thread has shared out, so that a move in vain costs something until it ends.
const CALM: usize = 2;

/// Sessions at work that are to go from one thread to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) share: Share,
}

/// What was seen of the threads lately.
#[derive(Debug, Default)]
pub(super) struct Balance {
    looks: VecDeque<Vec<f32>>,
}

impl Balance {
    /// What is to be done about threads that have run for these shares of the time since the last
    /// look.
    pub(super) fn look(&mut self, ran: Vec<f32>) -> Option<Transfer> {
        let spread = spread(&ran);
        self.looks.push_back(ran);
        if self.looks.len() > CALM {
            self.looks.pop_front();
        }
        let transfer = spread.or_else(|| self.gather());
        if transfer.is_some() {
            // It changes what is seen.
            self.looks.clear();
        }
        transfer
    }

    /// The thread with the least to do gives it to the one with the most.
    fn gather(&self) -> Option<Transfer> {
        if self.looks.len() < CALM {
            return None;
        }
        let threads = self.looks.front()?.len();
        let of = |number: usize| self.looks.iter().filter_map(move |ran| ran.get(number)).copied();
        let mean = |number| of(number).sum::<f32>() / CALM as f32;
        let means: Vec<_> = (0..threads).map(mean).collect();
        let most = first_most(&means)?;
        let at_work = (0..threads).filter(|number| of(*number).all(|share| share > STILL));
        let least = at_work
            .filter(|number| *number != most)
            .filter_map(|number| Some((number, *means.get(number)?)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other));
        let (from, little) = least?;
        let together = little + means.get(most)?;
        (together < SPARE).then_some(Transfer { from, to: most, share: Share::All })
    }
}

/// A busy thread gives half of its sessions at work to the one with most time.
fn spread(ran: &[f32]) -> Option<Transfer> {
    let from = first_most(ran)?;
    let top = *ran.get(from)?;
    let least = ran.iter().enumerate().min_by(|(_, one), (_, other)| one.total_cmp(other));
    let (to, bottom) = least?;
    (top >= BUSY && *bottom < top / 2.0).then_some(Transfer { from, to, share: Share::Half })
}

/// Of threads that are alike the first serves.
fn first_most(shares: &[f32]) -> Option<usize> {
    let shares = shares.iter().enumerate().rev();
    shares.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(transfer: Option<Transfer>) -> Option<(usize, usize, Share)> {
        transfer.map(|Transfer { from, to, share }| (from, to, share))
    }

    fn calm(ran: &[f32]) -> Option<(usize, usize, Share)> {
        let mut balance = Balance::default();
        for _ in 1..CALM {
            assert_eq!(balance.look(ran.to_vec()), None);
        }
        moved(balance.look(ran.to_vec()))
    }

    #[test]
    fn a_busy_thread_gives_half_of_its_sessions_to_the_one_with_most_time() {
        let busy = |ran: &[f32]| moved(Balance::default().look(ran.to_vec()));
        assert_eq!(busy(&[0.1, 0.5, 0.0, 0.3]), Some((1, 2, Share::Half)));
        // It would not help.
        assert_eq!(busy(&[0.9, 0.8]), None);
        assert_eq!(busy(&[0.9]), None);
        assert_eq!(busy(&[]), None);
    }

    #[test]
    fn threads_with_little_to_do_for_a_while_give_it_to_one() {
        assert_eq!(calm(&[0.1, 0.15]), Some((0, 1, Share::All)));
        assert_eq!(calm(&[0.1, 0.1]), Some((1, 0, Share::All)));
        assert_eq!(calm(&[0.1, 0.0, 0.1, 0.05]), Some((3, 0, Share::All)));
        assert_eq!(calm(&[0.2, 0.2]), None);
        // Nothing is there to be given.
        assert_eq!(calm(&[0.1, 0.0]), None);
        assert_eq!(calm(&[0.0, 0.0]), None);
    }

    #[test]
    fn what_has_just_begun_is_not_judged_by_the_silence_before() {
        let mut balance = Balance::default();
        for ran in [0.0; CALM].into_iter().chain([0.1; CALM - 1]) {
            assert_eq!(balance.look(vec![ran, ran]), None);
        }
        // After a transfer it is looked at anew.
        assert!(balance.look(vec![0.1, 0.1]).is_some());
        assert_eq!(balance.look(vec![0.1, 0.1]), None);
    }
}
