//! Frames: one byte of kind, four of length (PostgreSQL documentation, 55.2.2).

/// Bytes before a message's body.
pub(super) const HEADER: usize = 5;

/// The largest authentication message (`PG_MAX_AUTH_TOKEN_LENGTH`, libpq/auth.h).
const PASSWORD_BYTES: usize = 65_535;

/// The largest message without a text or values (`PQ_SMALL_MESSAGE_LIMIT`, libpq/libpq.h).
const SMALL_BYTES: usize = 10_000;

/// The largest piece of COPY data (`PQ_LARGE_MESSAGE_LIMIT`, libpq/libpq.h: one byte less than
/// the largest allocation).
const COPY_BYTES: usize = 0x3fff_fffe;

/// What the bytes at hand begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// Not yet a whole message.
    Partial,
    /// A whole message.
    Whole {
        /// Its kind.
        kind: u8,
        /// Without the header.
        body: &'a [u8],
        /// With it.
        frame: &'a [u8],
    },
    /// A piece of COPY data of this size, header included; it is never gathered.
    CopyData(usize),
    /// A message too large to be gathered; its size, header included.
    Oversized(usize),
    /// No message.
    Broken(&'static str),
}

/// Reads the next message of a client. Nothing is allocated for a length that is only claimed.
pub(super) fn next(bytes: &[u8], message_bytes: usize) -> Next<'_> {
    let Some((kind, length)) = header(bytes) else {
        return match bytes.first() {
            Some(kind) if limit(*kind, message_bytes).is_none() => {
                Next::Broken("unknown message of the client")
            }
            Some(_) | None => Next::Partial,
        };
    };
    let Some(limit) = limit(kind, message_bytes) else {
        return Next::Broken("unknown message of the client");
    };
    let Some(body_length) = length.checked_sub(4) else {
        return Next::Broken("a length below four");
    };
    let Some(total) = body_length.checked_add(HEADER) else {
        return Next::Broken("a length out of range");
    };
    if kind == b'd' {
        return if length > limit { Next::Oversized(total) } else { Next::CopyData(total) };
    }
    if length > limit {
        return Next::Oversized(total);
    }
    match (bytes.get(HEADER..total), bytes.get(..total)) {
        (Some(body), Some(frame)) => Next::Whole { kind, body, frame },
        (_, _) => Next::Partial,
    }
}

/// A message of COPY data.
pub(super) fn copy_data(data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len().saturating_add(4)).unwrap_or(u32::MAX);
    [&b"d"[..], &length.to_be_bytes(), data].concat()
}

/// Kind and length, if the header is complete.
pub(super) fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let (kind, rest) = bytes.split_first()?;
    let length = rest.first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    Some((*kind, length))
}

/// The largest length of a client's message of this kind; `None` for a kind that does not exist.
const fn limit(kind: u8, message_bytes: usize) -> Option<usize> {
    match kind {
        b'Q' | b'P' | b'B' | b'F' => Some(message_bytes),
        b'D' | b'E' | b'C' | b'H' | b'S' | b'X' | b'c' | b'f' => Some(SMALL_BYTES),
        b'd' => Some(COPY_BYTES),
        b'p' => Some(PASSWORD_BYTES),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_judged_before_its_body_comes() {
        assert_eq!(next(b"Q\0\0\0\x03", 100), Next::Broken("a length below four"));
        assert_eq!(next(b"Q\xff\xff\xff\xff", 100), Next::Oversized(0x1_0000_0000));
        assert_eq!(next(b"Q\0\0\0\x65", 100), Next::Oversized(102));
        assert_eq!(next(b"Q\0\0\0\x64", 100), Next::Partial);
        assert_eq!(next(b"", 100), Next::Partial);
        assert_eq!(next(b"z", 100), Next::Broken("unknown message of the client"));
        assert_eq!(next(b"\0\0\0\x08", 100), Next::Broken("unknown message of the client"));
        assert_eq!(next(b"d\0\0\x10\0", 100), Next::CopyData(0x1001));
        assert_eq!(next(b"p\x00\x01\0\0", 100_000), Next::Oversized(0x10001));
    }

    #[test]
    fn messages_end_where_their_length_says() {
        let bytes = b"S\0\0\0\x04H\0\0\0\x04";
        assert_eq!(next(bytes, 100), Next::Whole { kind: b'S', body: b"", frame: b"S\0\0\0\x04" });
    }
}
