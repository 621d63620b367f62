//! How sessions at work are spread over threads. Each thread that wakes up costs CPU, so as many as
//! have enough to do are used: one while it has time to spare, more once it has not.

use crate::wire::Share;

/// A thread that runs for this share of its time is busy: what comes next begins to wait for it.
const BUSY: f32 = 0.33;

/// Up to this share of one thread's time two do what one can do. Far enough below [`BUSY`] that
/// sessions do not go to and fro: one thread needs less time for them than two.
const SPARE: f32 = 0.28;

/// Up to this share of its time a thread has no session at work.
const STILL: f32 = 0.005;

/// Sessions at work that are to go from one thread to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) share: Share,
}

/// What is to be done about threads that were busy for these shares of their time.
pub(super) fn transfer(busy: &[f32]) -> Option<Transfer> {
    let mut order: Vec<(usize, f32)> = busy.iter().copied().enumerate().collect();
    // Of threads that are alike the first serves.
    order.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let (&(most, top), &(least, bottom)) = (order.first()?, order.last()?);
    if top >= BUSY {
        let worth = bottom < top / 2.0;
        return worth.then_some(Transfer { from: most, to: least, share: Share::Half });
    }
    let (from, little) = *order.iter().skip(1).rfind(|(_, share)| *share > STILL)?;
    (top + little < SPARE).then_some(Transfer { from, to: most, share: Share::All })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(busy: &[f32]) -> Option<(usize, usize, Share)> {
        transfer(busy).map(|Transfer { from, to, share }| (from, to, share))
    }

    #[test]
    fn a_busy_thread_gives_half_of_its_sessions_to_the_one_with_most_time() {
        assert_eq!(moved(&[0.1, 0.5, 0.0, 0.3]), Some((1, 2, Share::Half)));
        // It would not help.
        assert_eq!(moved(&[0.9, 0.8]), None);
        assert_eq!(moved(&[0.9]), None);
        assert_eq!(moved(&[]), None);
    }

    #[test]
    fn threads_with_little_to_do_give_it_to_one() {
        assert_eq!(moved(&[0.1, 0.15]), Some((0, 1, Share::All)));
        assert_eq!(moved(&[0.1, 0.0, 0.1, 0.05]), Some((3, 0, Share::All)));
        assert_eq!(moved(&[0.2, 0.2]), None);
        // Nothing is there to be given.
        assert_eq!(moved(&[0.1, 0.0]), None);
        assert_eq!(moved(&[0.0, 0.0]), None);
    }
}
