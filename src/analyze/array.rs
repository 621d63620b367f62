//! Arrays as values of one parameter or constant: their text and binary forms.

/// The elements of a one-dimensional array in text form (documentation, 8.15.2 and 8.15.6); `None`
/// if the text is anything else.
pub(super) fn text_elements(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim_matches(is_space).strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut rest = inner.trim_matches(is_space);
    if rest.is_empty() {
        return Some(elements);
    }
    loop {
        let (element, after) = element(rest)?;
        elements.push(element);
        rest = after.trim_start_matches(is_space);
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start_matches(is_space),
            None if rest.is_empty() => return Some(elements),
            None => return None,
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn element(text: &str) -> Option<(Option<String>, &str)> {
    let mut characters = text.char_indices();
    let Some(mut quoted) = text.strip_prefix('"').map(str::char_indices) else {
        let end = characters.find(|(_, c)| *c == ',').map_or(text.len(), |(at, _)| at);
        let (word, after) = text.split_at_checked(end)?;
        let word = word.trim_end_matches(is_space);
        if word.is_empty() || word.contains(['{', '}', '"', '\\']) {
            return None;
        }
        let value = (!word.eq_ignore_ascii_case("null")).then(|| word.to_owned());
        return Some((value, after));
    };
    let mut value = String::new();
    while let Some((at, c)) = quoted.next() {
        match c {
            '"' => return Some((Some(value), text.get(at.saturating_add(2)..)?)),
            '\\' => value.push(quoted.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// The elements of a one-dimensional array in binary form, with the type of the elements
/// (`array_send`): dimensions, flags, element type; length and lower bound; then each element with
/// its length.
pub(super) fn binary_elements(bytes: &[u8]) -> Option<(u32, Vec<Option<&[u8]>>)> {
    let (dimensions, rest) = word(bytes)?;
    let (_flags, rest) = word(rest)?;
    let (element_type, rest) = word(rest)?;
    if dimensions == 0 {
        return rest.is_empty().then_some((element_type, Vec::new()));
    }
    if dimensions != 1 {
        return None;
    }
    let (count, rest) = word(rest)?;
    let (_lower_bound, mut rest) = word(rest)?;
    let mut elements = Vec::new();
    for _ in 0..count {
        let (length, after) = word(rest)?;
        if length == u32::MAX {
            elements.push(None);
            rest = after;
            continue;
        }
        let (element, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        elements.push(Some(element));
        rest = after;
    }
    rest.is_empty().then_some((element_type, elements))
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*word), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_arrays() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(text_elements("{}"), Some(vec![]));
        assert_eq!(text_elements("{a,b}"), Some(vec![some("a"), some("b")]));
        assert_eq!(
            text_elements(" { a , NULL , \"x,\\\"y\" } "),
            Some(vec![some("a"), None, some("x,\"y")])
        );
        for refused in ["", "a", "{a", "{a,}", "{,a}", "{{a},{b}}", "{\"a}", "{a}b", "[0:1]={a,b}"]
        {
            assert_eq!(text_elements(refused), None, "{refused}");
        }
    }

    #[test]
    fn binary_arrays() {
        let mut bytes = Vec::new();
        for word in [1_u32, 0, 2950, 2, 1] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(2_u32.to_be_bytes());
        bytes.extend(b"xy");
        bytes.extend(u32::MAX.to_be_bytes());
        assert_eq!(binary_elements(&bytes), Some((2950, vec![Some(&b"xy"[..]), None])));
        assert_eq!(binary_elements(bytes.get(..20).unwrap()), None);
        bytes.push(0);
        assert_eq!(binary_elements(&bytes), None);
    }
}
