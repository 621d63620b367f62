//! How the demo looks.

use std::fmt::Write as _;
use std::net::SocketAddr;

use tokio_postgres::error::{DbError, ErrorPosition};

use super::rows::Rows;
use super::story::{ACME, GLOBEX, Sent};
use super::{Answer, ROLE, Shown};

/// Statements are broken into lines of this many characters.
const WIDTH: usize = 92;
const TITLE: usize = 32;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Draws the demo, in colours or without.
///
/// Writing to a string does not fail, so the results of `write!` are dropped here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    colours: bool,
}

impl Picture {
    pub(super) const fn new(colours: bool) -> Self {
        Self { colours }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }

    /// What is shown, and the head of the table.
    pub(super) fn opening(self) -> String {
        let mut text = String::from(
            "Two organizations share one database: Acme (1111…) and Globex (2222…).\n\
             Every statement is sent by Acme's application, straight to PostgreSQL and through \
             the guard.\n\n",
        );
        let alone = "rows from PostgreSQL alone";
        let _ = writeln!(text, "{:TITLE$}  {}", "", self.paint(DIM, alone));
        let head = format!(
            "{:TITLE$}  {:>6}  {:>8}  {:>7}   {}",
            "statement", "Acme's", "Globex's", "deleted", "the guard"
        );
        let _ = writeln!(text, "{}", self.paint(BOLD, &head));
        let _ = writeln!(text, "{}", "-".repeat(WIDTH));
        text
    }

    /// One statement of the table.
    pub(super) fn row(self, shown: &Shown) -> String {
        let Rows { own, other, deleted } = shown.alone;
        let leak = |count: usize, width: usize| {
            let text =
                format!("{:>width$}", if count == 0 { "-".to_owned() } else { count.to_string() });
            if count == 0 { text } else { self.paint(YELLOW, &text) }
        };
        let own = if own == 0 { "-".to_owned() } else { own.to_string() };
        let mut text = format!(
            "{:TITLE$}  {own:>6}  {}  {}   {}\n",
            shown.scene.title,
            leak(other, 8),
            leak(deleted, 7),
            self.answer(shown),
        );
        for line in statement(shown) {
            let _ = writeln!(text, "    {}", self.paint(DIM, &line));
        }
        text
    }

    fn answer(self, shown: &Shown) -> String {
        let answer = match &shown.answer {
            Answer::Rows(rows) if *rows == shown.alone => self.paint(GREEN, "passed, same rows"),
            Answer::Rows(rows) => {
                let said =
                    format!("passed, other rows ({}/{}/{})", rows.own, rows.other, rows.deleted);
                self.paint(RED, &said)
            }
            Answer::Error(error) => self.paint(RED, &format!("refused, {}", reason(error))),
        };
        if shown.is_as_expected() { answer } else { format!("{answer}  <- NOT EXPECTED") }
    }

    /// The sums, and one refusal in full.
    pub(super) fn closing(self, all: &[Shown], unchanged: bool) -> String {
        let sum = |count: fn(&Rows) -> usize, rows: &mut dyn Iterator<Item = Rows>| {
            rows.fold(0_usize, |sum, rows| sum.saturating_add(count(&rows)))
        };
        let passed = || {
            all.iter().filter_map(|shown| match &shown.answer {
                Answer::Rows(rows) => Some(*rows),
                Answer::Error(_) => None,
            })
        };
        let alone = || all.iter().map(|shown| shown.alone);
        let mut text = "-".repeat(WIDTH);
        let _ = writeln!(
            text,
            "\nPostgreSQL alone gave away or changed {} rows of Globex and {} deleted rows,\n\
             through the guard {} and {}.",
            sum(|rows| rows.other, &mut alone()),
            sum(|rows| rows.deleted, &mut alone()),
            sum(|rows| rows.other, &mut passed()),
            sum(|rows| rows.deleted, &mut passed()),
        );
        if !unchanged {
            let _ = writeln!(text, "{}", self.paint(RED, "The tables were changed: NOT EXPECTED."));
        }
        let unexpected = all.iter().filter(|shown| !shown.is_as_expected()).count();
        if unexpected > 0 {
            let said =
                format!("{unexpected} of {} statements went otherwise than expected.", all.len());
            let _ = writeln!(text, "{}", self.paint(RED, &said));
        }
        let refused = all.iter().find_map(|shown| match &shown.answer {
            Answer::Error(error) => Some((shown, error)),
            Answer::Rows(_) => None,
        });
        if let Some((shown, error)) = refused {
            let _ = writeln!(text, "\nWhat the application sees ({}):\n", shown.scene.title);
            text.push_str(&self.refusal(shown.scene.sql, error));
        }
        text
    }

    /// An error as psql prints it.
    fn refusal(self, sql: &str, error: &DbError) -> String {
        let mut text =
            format!("    {} {}: {}\n", error.severity(), error.code().code(), error.message());
        if let Some(ErrorPosition::Original(position)) = error.position() {
            let before = usize::try_from(*position).unwrap_or(1).saturating_sub(1);
            let _ = writeln!(text, "    {sql}\n    {:before$}{}", "", self.paint(BOLD, "^"));
        }
        for (name, said) in [("DETAIL", error.detail()), ("HINT", error.hint())] {
            if let Some(said) = said {
                let _ = writeln!(text, "    {name}: {}", said.replace('\n', "\n            "));
            }
        }
        text
    }

    /// How to go on.
    pub(super) fn invitation(self, guard: SocketAddr, admin: Option<SocketAddr>) -> String {
        let mut text = String::from("\nTry it yourself, as Acme:\n\n");
        let command = format!(
            "PGOPTIONS='-c app.organization_id={ACME}' psql \
             'host={} port={} user={ROLE} dbname=postgres'",
            guard.ip(),
            guard.port(),
        );
        let _ = writeln!(text, "    {}", self.paint(BOLD, &command));
        if let Some(admin) = admin {
            let _ = writeln!(text, "\nWhat was counted: http://{admin}/metrics");
        }
        text.push_str("Ctrl-C ends the demo and removes its database.\n");
        text
    }
}

/// The rule and the table of a refusal, which its message names after the first colons.
fn reason(error: &DbError) -> String {
    let said = error.message();
    said.rsplit_once(": ").map_or(said, |(_, reason)| reason).replace('"', "")
}

/// Organizations' ids are recognized by their first digits.
fn shorten(sql: &str) -> String {
    sql.replace(ACME, "1111…")
        .replace(GLOBEX, "2222…")
        .replace("a2000000-0000-0000-0000-000000000009", "a200…")
}

/// The lines of a statement, what was sent before it first and its parameter last.
fn statement(shown: &Shown) -> Vec<String> {
    let scene = shown.scene;
    let mut lines: Vec<String> = scene.before.map(wrap).unwrap_or_default();
    lines.extend(wrap(scene.sql));
    if let Sent::Bound(organization) = scene.sent {
        let parameter = shorten(&format!("   ($1 = {organization})"));
        match lines.last_mut() {
            Some(line)
                if line.chars().count().saturating_add(parameter.chars().count()) < WIDTH - 4 =>
            {
                line.push_str(&parameter);
            }
            Some(_) | None => lines.push(parameter.trim_start().to_owned()),
        }
    }
    lines
}

/// Breaks a text between words.
fn wrap(text: &str) -> Vec<String> {
    let text = shorten(text);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count().saturating_add(word.chars().count()) < WIDTH - 4 => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}
