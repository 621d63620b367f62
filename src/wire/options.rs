//! The startup parameter `options`: arguments of the server's command line (`pg_split_opts`,
//! `process_postgres_switches`, `ParseLongOption` in the server's source).

/// Reads settings in the forms `-c x=y`, `-cx=y` and `--x=y`.
///
/// # Errors
/// If there is any other argument.
pub(super) fn read(options: &str) -> Result<Vec<(String, String)>, ()> {
    let mut settings = Vec::new();
    let mut arguments = split(options).into_iter();
    while let Some(argument) = arguments.next() {
        let assignment = if argument == "-c" {
            arguments.next().ok_or(())?
        } else if let Some(rest) = argument.strip_prefix("--").or(argument.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            return Err(());
        };
        let (name, value) = assignment.split_once('=').ok_or(())?;
        if name.is_empty() {
            return Err(());
        }
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// Splits at white space as `isspace` has it; a backslash takes the next character as it is.
fn split(options: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => arguments.extend(current.take()),
            '\\' => {
                let current = current.get_or_insert_default();
                current.extend(characters.next());
            }
            _ => current.get_or_insert_default().push(character),
        }
    }
    arguments.extend(current);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(options: &str) -> (String, String) {
        let mut read = read(options).unwrap();
        assert_eq!(read.len(), 1, "{options}");
        read.remove(0)
    }

    #[test]
    fn every_spelling_of_a_setting() {
        for options in ["-c a.b=c d", " -ca.b=c\\ d", "--a.b=c\\ d", "-c\ta.b=c\\ d "] {
            if options.ends_with("c d") {
                // An unescaped space ends the argument, and `d` is none.
                read(options).unwrap_err();
                continue;
            }
            assert_eq!(read_one(options), ("a.b".to_owned(), "c d".to_owned()), "{options}");
        }
        assert_eq!(read_one("--statement-timeout=5s").0, "statement_timeout");
        assert_eq!(read_one("-c a=b=c"), ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(read_one("-c a=\\\\"), ("a".to_owned(), "\\".to_owned()));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn anything_else_is_refused() {
        for options in ["-c", "-c a", "--", "--a", "-B 5", "x=y", "-c =v", "-d5 -c a=b"] {
            assert_eq!(read(options), Err(()), "{options}");
        }
    }
}
