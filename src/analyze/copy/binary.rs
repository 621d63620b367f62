//! Rows in the binary form (PostgreSQL documentation, COPY, Binary Format).

use super::{Field, RowRefused};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Signature, flags and the length of the header's extension.
const HEADER: usize = SIGNATURE.len() + 8;

/// Tuples, as their bytes come.
#[derive(Debug)]
pub(super) struct Tuples {
    /// The most bytes of a tuple.
    limit: usize,
    /// The beginning of what comes next: the header, or a tuple.
    held: Vec<u8>,
    in_header: bool,
    over: bool,
}

type Judge<'j> = &'j mut dyn FnMut(&[Field]) -> Result<(), RowRefused>;

/// What the bytes at hand are the beginning of.
enum Next {
    /// So many bytes are needed to go on.
    Needs(usize),
    /// A tuple.
    Tuple(Vec<Field>),
    /// The trailer.
    Trailer,
}

const NONE: RowRefused = RowRefused::Unread("binary COPY data that is none");

impl Tuples {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, held: Vec::new(), in_header: true, over: false }
    }

    pub(super) fn take(&mut self, mut bytes: &[u8], judge: Judge<'_>) -> Result<(), RowRefused> {
        while !bytes.is_empty() {
            if self.over {
                return Err(RowRefused::Unread("COPY data behind its end"));
            }
            let next = if self.in_header { self.header()? } else { next(&self.held)? };
            match next {
                Next::Needs(total) => {
                    if total > self.limit {
                        return Err(RowRefused::Unread(
                            "a row of COPY data is longer than the limit",
                        ));
                    }
                    let missing = total.saturating_sub(self.held.len()).min(bytes.len());
                    let (now, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
                    self.held.extend_from_slice(now);
                    bytes = rest;
                }
                Next::Tuple(_) | Next::Trailer => self.judged(next, judge)?,
            }
            self.settle(judge)?;
        }
        Ok(())
    }

    /// Judges what has become whole.
    fn settle(&mut self, judge: Judge<'_>) -> Result<(), RowRefused> {
        let next = if self.in_header { self.header()? } else { next(&self.held)? };
        self.judged(next, judge)
    }

    fn judged(&mut self, next: Next, judge: Judge<'_>) -> Result<(), RowRefused> {
        match next {
            Next::Needs(_) => Ok(()),
            Next::Tuple(fields) => {
                self.held.clear();
                judge(&fields)
            }
            Next::Trailer => {
                self.held.clear();
                self.over = true;
                Ok(())
            }
        }
    }

    /// The header, which has no flag and no extension: none is known.
    fn header(&mut self) -> Result<Next, RowRefused> {
        let Some((signature, rest)) = self.held.split_at_checked(SIGNATURE.len()) else {
            return Ok(Next::Needs(HEADER));
        };
        if signature != SIGNATURE {
            return Err(NONE);
        }
        if rest.len() < HEADER.saturating_sub(SIGNATURE.len()) {
            return Ok(Next::Needs(HEADER));
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(RowRefused::Unread("binary COPY data with flags or an extension"));
        }
        self.held.clear();
        self.in_header = false;
        Ok(Next::Needs(2))
    }

    pub(super) const fn finish(&self) -> Result<(), RowRefused> {
        // Without the trailer the server complains, or not, by its version.
        if self.over { Ok(()) } else { Err(RowRefused::Unread("binary COPY data without its end")) }
    }
}

fn next(held: &[u8]) -> Result<Next, RowRefused> {
    let Some((count, mut rest)) = held.split_first_chunk::<2>() else {
        return Ok(Next::Needs(2));
    };
    let count = match u16::from_be_bytes(*count) {
        u16::MAX => return Ok(Next::Trailer),
        count if count > 1_600 => return Err(NONE),
        count => count,
    };
    // First how much there is of it, and only then its values.
    let mut ends = rest;
    let mut used = 2_usize;
    for _ in 0..count {
        let Some((length, after)) = ends.split_first_chunk::<4>() else {
            return Ok(Next::Needs(used.saturating_add(4)));
        };
        let length = match i32::from_be_bytes(*length) {
            -1 => 0,
            length => usize::try_from(length).map_err(|_| NONE)?,
        };
        used = used.saturating_add(4).saturating_add(length);
        let Some((_, after)) = after.split_at_checked(length) else {
            return Ok(Next::Needs(used));
        };
        ends = after;
    }
    let mut fields = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(NONE)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let (value, after) = after.split_at_checked(length.unwrap_or(0)).ok_or(NONE)?;
        fields.push(length.map(|_| value.to_vec()));
        rest = after;
    }
    Ok(Next::Tuple(fields))
}
