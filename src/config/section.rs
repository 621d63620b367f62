use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// The file's text and the problems found in it so far.
#[derive(Debug)]
pub(super) struct Source<'i> {
    text: &'i str,
    problems: RefCell<Vec<Problem>>,
}

impl<'i> Source<'i> {
    /// A text in which nothing is wrong yet.
    pub(super) const fn new(text: &'i str) -> Self {
        Self { text, problems: RefCell::new(Vec::new()) }
    }

    /// Reads the text as TOML, going on after errors as far as it makes sense.
    pub(super) fn read<'s>(&'s self) -> (Section<'i, 's>, bool) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let sound = errors.is_empty();
        for error in errors {
            let place = error.span().map_or(Place::File, |span| self.place(span.start));
            self.report(place, format!("not TOML: {}", error.message()));
        }
        (Section::new(self, String::new(), table.into_inner()), sound)
    }

    /// Notes a problem.
    pub(super) fn report(&self, place: Place, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem { place, message: message.into() });
    }

    /// The problems in the order of their places.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems.dedup();
        problems
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        Place::Line(before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1))
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    /// The value.
    pub(super) value: T,
    /// Its place.
    pub(super) place: Place,
}

/// One table of the file. Keys are taken out one by one; what is left at the end is unknown.
#[derive(Debug)]
pub(super) struct Section<'i, 's> {
    source: &'s Source<'i>,
    name: String,
    table: DeTable<'i>,
    asked: Vec<&'static str>,
}

impl<'i, 's> Section<'i, 's> {
    const fn new(source: &'s Source<'i>, name: String, table: DeTable<'i>) -> Self {
        Self { source, name, table, asked: Vec::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<Located<DeValue<'i>>> {
        self.asked.push(key);
        let value = self.table.remove(key)?;
        let place = self.source.place(value.span().start);
        Some(Located { value: value.into_inner(), place })
    }

    fn wrong_type(&self, key: &str, place: Place, wanted: &str, found: &DeValue<'_>) {
        let message = format!("`{key}` must be {wanted}, not {}", a_type(found));
        self.source.report(place, message);
    }

    /// A string.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Located<String>> {
        let Located { value, place } = self.take(key)?;
        match value.as_str() {
            Some(text) => Some(Located { value: text.to_owned(), place }),
            None => {
                self.wrong_type(key, place, "a string", &value);
                None
            }
        }
    }

    /// A string or a date, as text.
    pub(super) fn text_or_date(&mut self, key: &'static str) -> Option<Located<String>> {
        if let Some(DeValue::Datetime(date)) = self.table.get(key).map(Spanned::get_ref) {
            let value = date.to_string();
            return Some(Located { value, place: self.take(key)?.place });
        }
        self.text(key)
    }

    /// A string that is not empty, without white space at its ends.
    pub(super) fn name(&mut self, key: &'static str) -> Option<Located<String>> {
        let name = self.text(key)?;
        if name.value.is_empty() || name.value.trim() != name.value {
            self.source.report(name.place, format!("`{key}` must be a name"));
            return None;
        }
        Some(name)
    }

    /// A name, or `false` for none: the inner value is `None` then.
    pub(super) fn name_or_false(&mut self, key: &'static str) -> Option<Located<Option<String>>> {
        if let Some(value) = self.table.get(key)
            && value.get_ref().as_bool() == Some(false)
        {
            let place = self.take(key)?.place;
            return Some(Located { value: None, place });
        }
        let Located { value, place } = self.name(key)?;
        Some(Located { value: Some(value), place })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.flag_at(key).map(|flag| flag.value)
    }

    /// The same with its place.
    pub(super) fn flag_at(&mut self, key: &'static str) -> Option<Located<bool>> {
        let Located { value, place } = self.take(key)?;
        if value.as_bool().is_none() {
            self.wrong_type(key, place, "true or false", &value);
        }
        value.as_bool().map(|value| Located { value, place })
    }

    /// A whole number of this range.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<usize> {
        let Located { value, place } = self.take(key)?;
        let Some(integer) = value.as_integer() else {
            self.wrong_type(key, place, "a whole number", &value);
            return None;
        };
        match usize::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            Ok(_) | Err(_) => {
                let message = format!("`{key}` must be {} to {}", range.start(), range.end());
                self.source.report(place, message);
                None
            }
        }
    }

    /// A time: `"500ms"`, `"30s"`, `"5m"` or `"1h"`.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let Located { value, place } = self.text(key)?;
        let duration = parse_duration(&value);
        if duration.is_none() {
            let message = format!(r#"`{key}` must be a time such as "500ms", "30s", "5m" or "1h""#);
            self.source.report(place, message);
        }
        duration
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        self.choose(key, &text, words)
    }

    /// One of a few words, already read.
    pub(super) fn choose<T: Copy>(
        &self,
        key: &str,
        text: &Located<String>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let message = format!("`{key}` must be {}, not {:?}", words.join(" or "), text.value);
            self.source.report(text.place, message);
        }
        found.map(|(_, choice)| *choice)
    }

    /// A string, or a list of strings.
    pub(super) fn text_or_list(
        &mut self,
        key: &'static str,
    ) -> Option<Located<Vec<Located<String>>>> {
        if self.table.get(key).is_some_and(|value| value.get_ref().is_array()) {
            return self.list(key);
        }
        let text = self.text(key)?;
        let place = text.place;
        Some(Located { value: vec![text], place })
    }

    /// A list of strings that are not empty.
    pub(super) fn list(&mut self, key: &'static str) -> Option<Located<Vec<Located<String>>>> {
        let Located { value, place } = self.take(key)?;
        let Some(array) = value.as_array() else {
            self.wrong_type(key, place, "a list of strings", &value);
            return None;
        };
        let mut list = Vec::new();
        for item in array {
            let place = self.source.place(item.span().start);
            match item.get_ref().as_str() {
                Some(text) if !text.is_empty() => {
                    list.push(Located { value: text.to_owned(), place });
                }
                Some(_) => self.source.report(place, format!("`{key}` holds an empty string")),
                None => self.wrong_type(key, place, "a list of strings", item.get_ref()),
            }
        }
        Some(Located { value: list, place })
    }

    /// A table inside this one; an empty one if it is missing.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        let name = self.inner_name(key);
        match self.take(key) {
            None => Self::new(self.source, name, DeTable::new()),
            Some(Located { value: DeValue::Table(table), .. }) => {
                Self::new(self.source, name, table)
            }
            Some(Located { value, place }) => {
                self.wrong_type(key, place, &format!("a table, [{name}]"), &value);
                Self::new(self.source, name, DeTable::new())
            }
        }
    }

    /// A table of strings whose keys are the file's own.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<(String, Located<String>)> {
        let name = self.inner_name(key);
        let Some(Located { value, place }) = self.take(key) else {
            return Vec::new();
        };
        let DeValue::Table(table) = value else {
            self.wrong_type(key, place, &format!("a table, [{name}]"), &value);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (own, value) in table {
            let place = self.source.place(value.span().start);
            match value.get_ref().as_str() {
                Some(text) => {
                    let text = Located { value: text.to_owned(), place };
                    texts.push((own.get_ref().to_string(), text));
                }
                None => self.wrong_type(own.get_ref(), place, "a string", value.get_ref()),
            }
        }
        texts
    }

    /// Whether the file has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The tables of `[[key]]`, each with its place.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Located<Self>> {
        let name = self.inner_name(key);
        let Some(Located { value, place }) = self.take(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value else {
            self.wrong_type(key, place, &format!("tables, [[{name}]]"), &value);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array {
            let place = self.source.place(item.span().start);
            let value = Spanned::into_inner(item);
            if let DeValue::Table(table) = value {
                let value = Self::new(self.source, format!("[{name}]"), table);
                sections.push(Located { value, place });
            } else {
                self.wrong_type(key, place, &format!("tables, [[{name}]]"), &value);
            }
        }
        sections
    }

    /// Notes a problem.
    pub(super) fn report(&self, place: Place, message: impl Into<String>) {
        self.source.report(place, message);
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        let place = if self.name.is_empty() {
            "at the top level".to_owned()
        } else {
            format!("in [{}]", self.name)
        };
        for key in self.table.keys() {
            let message = format!(
                "unknown key `{}` {place}; known there: {}",
                key.get_ref(),
                self.asked.join(", ")
            );
            self.source.report(self.source.place(key.span().start), message);
        }
    }

    fn inner_name(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

const fn a_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let duration = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3_600)?),
        _ => return None,
    };
    // Longer than a day is a slip of the unit, and far from where adding to a clock overflows.
    (duration > Duration::ZERO && duration <= Duration::from_secs(86_400)).then_some(duration)
}
