//! Values by the names of the protocol.

use foldhash::HashMap;

use super::registry::Name;

/// Values by name. The unnamed one, which is what most drivers use, is found without a hash and
/// makes no map.
#[derive(Clone, Debug)]
pub(super) struct Named<V> {
    unnamed: Option<V>,
    named: HashMap<Name, V>,
}

impl<V> Default for Named<V> {
    fn default() -> Self {
        Self { unnamed: None, named: HashMap::default() }
    }
}

impl<V> Named<V> {
    pub(super) fn get(&self, name: &[u8]) -> Option<&V> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut V> {
        if name.is_empty() { self.unnamed.as_mut() } else { self.named.get_mut(name) }
    }

    pub(super) fn insert(&mut self, name: &[u8], value: V) {
        if name.is_empty() {
            self.unnamed = Some(value);
        } else {
            self.named.insert(name.into(), value);
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.named.remove(name);
        }
    }

    /// Forgets all; keeps room for at most so many names.
    pub(super) fn clear(&mut self, few: usize) {
        self.unnamed = None;
        if self.named.capacity() > few {
            self.named = HashMap::default();
        } else if !self.named.is_empty() {
            self.named.clear();
        }
    }

    /// Forgets those of which the test is not true.
    pub(super) fn retain(&mut self, test: impl Fn(&V) -> bool) {
        self.unnamed = self.unnamed.take().filter(&test);
        if !self.named.is_empty() {
            self.named.retain(|_, value| test(value));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unnamed.is_none() && self.named.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.named.len().saturating_add(usize::from(self.unnamed.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unnamed_one_is_one_of_them() {
        let mut names = Named::default();
        for (at, name) in [&b""[..], b"a", b"b"].into_iter().enumerate() {
            assert!(names.get(name).is_none());
            names.insert(name, at);
            assert_eq!((names.get(name), names.len()), (Some(&at), at + 1));
        }
        *names.get_mut(b"").unwrap() = 7;
        assert_eq!((names.get(b""), names.get(b"a")), (Some(&7), Some(&1)));
        names.retain(|value| *value != 1);
        assert_eq!((names.len(), names.get(b"a")), (2, None));
        names.remove(b"");
        names.remove(b"b");
        assert!(names.is_empty());
        names.insert(b"", 0);
        names.insert(b"a", 1);
        names.clear(0);
        assert!(names.is_empty() && names.get(b"").is_none() && names.named.capacity() == 0);
    }
}
