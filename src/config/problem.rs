use std::fmt;
use std::path::PathBuf;

/// Where a problem of a configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file as a whole: a key is missing.
    File,
    /// On this line, counted from 1.
    Line(usize),
    /// In this option of the command line.
    Option(&'static str),
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what would be right.
    pub message: String,
}

/// Everything that is wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The file.
    pub file: PathBuf,
    /// The problems, by line; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { place, message }) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match place {
                Place::File => write!(f, "{}: {message}", self.file.display())?,
                Place::Line(line) => write!(f, "{}:{line}: {message}", self.file.display())?,
                Place::Option(option) => write!(f, "{option}: {message}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
