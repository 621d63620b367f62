//! Bodies of messages, read with every length in doubt. A message must be consumed whole.

use std::ffi::CStr;

use crate::analyze::Form;
use crate::session::{FromClient, FromServer, RawBind, Status, Target, Values};

/// Why a body could not be read; a client is told no more than this.
pub(super) type Malformed = &'static str;

const MALFORMED: Malformed = "malformed message";

/// Decodes a client's message. Each is made where it ends: they are large, and not moved about.
pub(super) fn client(kind: u8, body: &[u8]) -> Result<FromClient<'_>, Malformed> {
    let mut body = Body(body);
    match kind {
        b'Q' => {
            let text = body.text()?;
            body.end()?;
            Ok(FromClient::Query(text))
        }
        b'P' => {
            let name = body.text()?;
            let text = body.text()?;
            let types = body.types()?;
            body.end()?;
            Ok(FromClient::Parse { name, text, types })
        }
        b'B' => bind(body),
        b'D' => {
            let (target, name) = (body.target()?, body.text()?);
            body.end()?;
            Ok(FromClient::Describe(target, name))
        }
        b'C' => {
            let (target, name) = (body.target()?, body.text()?);
            body.end()?;
            Ok(FromClient::Close(target, name))
        }
        b'E' => {
            let portal = body.text()?;
            body.u32()?;
            body.end()?;
            Ok(FromClient::Execute(portal))
        }
        b'f' => {
            body.text()?;
            body.end()?;
            Ok(FromClient::CopyFail)
        }
        b'H' => body.end().map(|()| FromClient::Flush),
        b'S' => body.end().map(|()| FromClient::Sync),
        b'c' => body.end().map(|()| FromClient::CopyDone),
        b'X' => body.end().map(|()| FromClient::Terminate),
        b'F' => Ok(FromClient::FunctionCall),
        b'd' => Ok(FromClient::CopyData),
        b'p' => Ok(FromClient::Password),
        _ => Err("unknown message of the client"),
    }
}

/// Formats: none (all text), one for all, or one for each value. Counts are unsigned.
fn bind(mut body: Body<'_>) -> Result<FromClient<'_>, Malformed> {
    let portal = body.text()?;
    let statement = body.text()?;
    let format_count = body.u16()?;
    let formats = body.take(usize::from(format_count).saturating_mul(2))?;
    let count = body.u16()?;
    if format_count > 1 && format_count != count {
        return Err("as many formats as values are needed");
    }
    let all_formats = formats;
    let rest = body.0;
    let mut formats = formats.chunks_exact(2).map(|format| match format {
        [0, 0] => Some(false),
        [0, 1] => Some(true),
        _ => None,
    });
    let first = if format_count == 1 { formats.next().flatten() } else { Some(false) };
    let mut values = Values::new();
    for _ in 0..count {
        let binary = if format_count > 1 { formats.next().flatten() } else { first };
        let value = body.value()?;
        values.push(match (value, binary) {
            (None, Some(_)) => Form::Null,
            (Some(bytes), Some(false)) => Form::Text(bytes),
            (Some(bytes), Some(true)) => Form::Binary(bytes),
            (_, None) => return Err("unknown format of a value"),
        });
    }
    let results = body.0;
    let taken = rest.len().saturating_sub(results.len());
    let raw = RawBind {
        formats: all_formats,
        count,
        values: rest.get(..taken).unwrap_or_default(),
        results,
    };
    let result_count = body.u16()?;
    body.take(usize::from(result_count).saturating_mul(2))?;
    body.end()?;
    Ok(FromClient::Bind { portal, statement, values, raw })
}

/// Whether a server's message must be there as a whole before it can be judged.
pub(super) const fn is_gathered(kind: u8) -> bool {
    matches!(kind, b'C' | b'E' | b'K' | b'Z' | b't' | b'S')
}

/// The largest of those: the types of 65,535 parameters.
pub(super) const GATHERED_BYTES: usize = 4 + 2 + 4 * 65_535;

/// So much of an ErrorResponse is read where errors are read at all. What is longer is cut: its
/// last fields are not passed on.
pub(super) const ERROR_BYTES: usize = 64 << 10;

/// Decodes a server's message; of all but the gathered kinds the kind alone. `cut` tells whether of
/// an error only the beginning is there.
pub(super) fn server(kind: u8, body: &[u8], cut: bool) -> Result<FromServer<'_>, Malformed> {
    let mut body = Body(body);
    Ok(match kind {
        b'1' => FromServer::ParseComplete,
        b'2' => FromServer::BindComplete,
        b'3' => FromServer::CloseComplete,
        b'T' => FromServer::RowDescription,
        b'n' => FromServer::NoData,
        b'I' => FromServer::EmptyQuery,
        b's' => FromServer::PortalSuspended,
        b'G' => FromServer::CopyIn,
        b'W' => FromServer::CopyBoth,
        b'E' => FromServer::Error { body: body.0, cut },
        b'v' => FromServer::NegotiateVersion,
        b'C' => FromServer::CommandComplete(body.text()?),
        b'Z' => FromServer::Ready(match body.take(1)? {
            b"I" => Status::Idle,
            b"T" => Status::Block,
            b"E" => Status::Failed,
            _ => return Err(MALFORMED),
        }),
        b't' => FromServer::ParameterDescription(body.types()?),
        b'S' => FromServer::Parameter { name: body.text()?, value: body.text()? },
        // Asked for where the guard has put a question of its own; else rows are not decoded.
        b'D' => FromServer::Row(body.0),
        // COPY data and ends, notices, notifications, authentication, the cancel key, the
        // result of a function call.
        b'd' | b'c' | b'H' | b'N' | b'A' | b'R' | b'K' | b'V' => FromServer::Other,
        _ => return Err("unknown message of the server"),
    })
}

/// What is left of a body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MALFORMED)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Bytes up to a NUL, which is consumed.
    fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let (text, rest) = match self.0 {
            // The unnamed statement or portal.
            [0, rest @ ..] => (&[][..], rest),
            bytes => {
                let text = CStr::from_bytes_until_nul(bytes).map_err(|_| MALFORMED)?.to_bytes();
                (text, bytes.get(text.len().saturating_add(1)..).unwrap_or_default())
            }
        };
        self.0 = rest;
        Ok(text)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?.first_chunk::<2>().ok_or(MALFORMED)?;
        Ok(u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?.first_chunk::<4>().ok_or(MALFORMED)?;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// A value with its length; -1 is NULL.
    fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let length = self.u32()?;
        if length == u32::MAX {
            return Ok(None);
        }
        self.take(usize::try_from(length).map_err(|_| MALFORMED)?).map(Some)
    }

    /// A count and as many numbers of types.
    fn types(&mut self) -> Result<Vec<u32>, Malformed> {
        let count = self.u16()?;
        let mut types = Vec::with_capacity(usize::from(count).min(self.0.len() / 4));
        for _ in 0..count {
            types.push(self.u32()?);
        }
        Ok(types)
    }

    /// Nothing may be left.
    const fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err("bytes after the end of a message") }
    }

    fn target(&mut self) -> Result<Target, Malformed> {
        match self.take(1)? {
            b"S" => Ok(Target::Statement),
            b"P" => Ok(Target::Portal),
            _ => Err(MALFORMED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prefix_of_a_message_decodes_or_panics() {
        let messages: [(u8, &[u8]); 11] = [
            (b'Q', b"SELECT 1\0"),
            (b'P', b"s\0SELECT $1\0\0\x01\0\0\x0b\x86"),
            (b'B', b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0"),
            (b'D', b"Ss\0"),
            (b'C', b"Pp\0"),
            (b'E', b"p\0\0\0\0\0"),
            (b'f', b"why\0"),
            (b'S', b""),
            (b'H', b""),
            (b'c', b""),
            (b'X', b""),
        ];
        for (kind, body) in messages {
            client(kind, body).unwrap();
            for end in 0..body.len() {
                client(kind, &body[..end]).unwrap_err();
            }
            let longer = [body, b"\0"].concat();
            client(kind, &longer).unwrap_err();
        }
    }

    #[test]
    fn one_format_is_for_all_values() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0";
        let FromClient::Bind { values, .. } = client(b'B', body).unwrap() else { panic!() };
        assert!(matches!(values[..], [Form::Binary(b"ab"), Form::Null]), "{values:?}");
    }

    #[test]
    fn formats_and_counts_must_be_known() {
        for body in [
            &b"\0\0\0\x01\0\x02\0\x01\0\0\0\0\0\0"[..],
            b"\0\0\0\x01\x01\0\0\x01\0\0\0\0\0\0",
            b"\0\0\0\x02\0\0\0\0\0\x01\0\0\0\0\0\0",
            b"\0\0\xff\xff\0\0",
            b"\0\0\0\0\xff\xff",
            b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0",
        ] {
            client(b'B', body).unwrap_err();
        }
    }
}
