use std::fmt;
use std::sync::OnceLock;

/// What follows from the rest of a plan, kept once it has been asked for. Plans that say the same
/// are alike whether or not it has: in words it is always the same.
pub(super) struct Memo<T>(OnceLock<T>);

impl<T> Memo<T> {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(super) fn get(&self, find: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(find)
    }
}

impl<T> fmt::Debug for Memo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_once_and_in_words_never_there() {
        let memo = Memo::new();
        let before = format!("{memo:?}");
        assert_eq!((memo.get(|| 1), memo.get(|| 2)), (&1, &1));
        assert_eq!(before, format!("{memo:?}"));
    }
}
