use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config;
use crate::wire::{Known, Login, Lookup, NoRandom, Roll, Secret, Upstream};

/// The file of secrets cannot be used. No secret is repeated.
#[derive(Debug, thiserror::Error)]
pub enum NoRoll {
    /// It cannot be read.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is none.
    #[error("{}:{line}: {reason}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

/// How clients log in, with the file of secrets read if there is one.
pub(super) fn load(
    login: &config::Login,
    upstream: &Upstream,
    before: Option<&Login>,
) -> Result<Login, NoRoll> {
    let secrets = match login {
        config::Login::Relay => return Ok(Login::Relay),
        config::Login::Guard(secrets) => secrets,
    };
    let known = match &secrets.file {
        None => HashMap::new(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|source| NoRoll::File { file: file.clone(), source })?;
            read(&text, file)?
        }
    };
    let lookup = secrets.query.clone().map(|query| Lookup::new(upstream, query));
    let before = match before {
        Some(Login::Guard(roll)) => Some(&**roll),
        Some(Login::Relay) | None => None,
    };
    Ok(Login::Guard(Arc::new(Roll::new(known, lookup, before)?)))
}

/// Reads lines of `"role" "secret"`; a quote inside is written twice. `;` and `#` begin a comment.
fn read(text: &str, file: &Path) -> Result<HashMap<Box<str>, Known>, NoRoll> {
    let mut roles = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let wrong =
            |reason| NoRoll::Line { file: file.to_owned(), line: index.saturating_add(1), reason };
        let line = line.trim();
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        let form = r#"must be "role" "secret""#;
        let (role, rest) = quoted(line).ok_or_else(|| wrong(form))?;
        let (secret, rest) = quoted(rest.trim_start()).ok_or_else(|| wrong(form))?;
        if !rest.trim().is_empty() || role.is_empty() || secret.is_empty() {
            return Err(wrong(form));
        }
        let known = if secret.starts_with("SCRAM-SHA-256$") {
            let secret = Secret::read(&secret);
            Known::Secret(secret.ok_or_else(|| wrong("holds no whole SCRAM secret"))?)
        } else if secret.len() == 35 && secret.starts_with("md5") {
            return Err(wrong("holds an md5 hash: write a SCRAM secret or a password"));
        } else {
            Known::Password(secret.into())
        };
        if roles.insert(role.into(), known).is_some() {
            return Err(wrong("names a role twice"));
        }
    }
    Ok(roles)
}

/// A quoted string, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        value.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_secrets_are_read_and_mistakes_are_told_by_line() {
        let text = "; roles\n\"app\" \"open sesame\"\n\n\"a\"\"b\" \"x\"\n";
        let roles = read(text, Path::new("f")).unwrap();
        assert_eq!(roles.len(), 2);
        assert!(matches!(&roles["app"], Known::Password(password) if **password == *"open sesame"));
        assert!(roles.contains_key("a\"b"));
        for (text, line) in [
            ("app secret", 1),
            ("\n\"app\" \"\"", 2),
            ("\"app\" \"x\" y", 1),
            ("\"app\" \"x\"\n\"app\" \"y\"", 2),
            ("\"app\" \"SCRAM-SHA-256$oops\"", 1),
            ("\"app\" \"md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", 1),
        ] {
            let error = read(text, Path::new("f")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("f:{line}: ")), "{error}");
        }
    }
}
