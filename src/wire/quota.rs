use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections each of many may have at once.
#[derive(Clone, Debug)]
pub struct Quota<K> {
    /// `None` sets no limit, and nothing is counted.
    limit: Option<usize>,
    open: Arc<Mutex<HashMap<K, usize>>>,
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub struct Counted<K: Eq + Hash> {
    key: Option<K>,
    open: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash + Clone> Quota<K> {
    /// So many for each.
    #[must_use]
    pub fn new(limit: Option<usize>) -> Self {
        Self { limit, open: Arc::default() }
    }

    /// Counts one more; `None` if that would be too many.
    #[must_use]
    pub fn take(&self, key: &K) -> Option<Counted<K>> {
        let open = Arc::clone(&self.open);
        let Some(limit) = self.limit else {
            return Some(Counted { key: None, open });
        };
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(key).copied().unwrap_or_default();
        if count >= limit {
            return None;
        }
        counts.insert(key.clone(), count.saturating_add(1));
        drop(counts);
        Some(Counted { key: Some(key.clone()), open })
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let Some(key) = &self.key else {
            return;
        };
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_count_and_nothing_is_left_of_it() {
        let quota = Quota::new(Some(2));
        let first = quota.take(&"a").unwrap();
        let second = quota.take(&"a").unwrap();
        assert!(quota.take(&"a").is_none());
        let other = quota.take(&"b").unwrap();
        drop(first);
        let third = quota.take(&"a").unwrap();
        drop((second, third, other));
        assert!(quota.open.lock().unwrap().is_empty());
        let free = Quota::new(None);
        let taken: Vec<_> = (0..10).map(|_| free.take(&1).unwrap()).collect();
        assert!(free.open.lock().unwrap().is_empty());
        drop(taken);
    }
}
