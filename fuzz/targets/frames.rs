//! Bytes as what both sides send, cut anywhere.

use std::sync::Arc;

use orgguard::session::{Mode, SessionModes, SessionRules};
use orgguard::wire::{Exchange, startup_packet};

use super::server::row;
use super::{A, Bytes, Plain, SHOP};

const MESSAGE_BYTES: usize = 4096;

/// Any bytes of both sides end in messages or in the session's end; how they are cut changes
/// nothing; and audit changes no byte.
pub(crate) fn run(data: &[u8]) {
    if let Ok(packet) = startup_packet(data.to_vec(), &SHOP.policy.settings) {
        let length = packet.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize);
        assert_eq!(length, Some(packet.len()), "a startup packet of another length");
    }
    let mut bytes = Bytes(data);
    let audit = bytes.byte() & 1 == 1;
    let logged_in = bytes.byte() & 1 == 0;
    let cut = bytes.below(7) + 1;
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let side = bytes.byte();
        parts.push((side & 0x80 == 0, bytes.take(usize::from(side & 0x7f) + 1)));
    }
    let whole = exchange(audit, logged_in, &parts, usize::MAX);
    let pieces = exchange(audit, logged_in, &parts, cut);
    assert_eq!(whole, pieces, "cut every {cut} bytes");
    if audit {
        let sent = |client: bool| -> Vec<u8> {
            let own = parts.iter().filter(|(side, _)| *side == client);
            own.flat_map(|(_, part)| part.iter().copied()).collect()
        };
        let login = if logged_in { LOGIN } else { &[] };
        assert_eq!(whole.0, sent(true), "audit changed what the client sent");
        assert_eq!(whole.1, [login, &sent(false)].concat(), "audit changed what the server sent");
    }
}

/// AuthenticationOk and ReadyForQuery.
const LOGIN: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// CommandComplete and ReadyForQuery.
const TAIL: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

fn exchange(
    audit: bool,
    logged_in: bool,
    parts: &[(bool, &[u8])],
    cut: usize,
) -> (Vec<u8>, Vec<u8>) {
    let rules = SessionRules {
        mode: if audit { Mode::Audit } else { Mode::Enforce },
        modes: SessionModes::uniform(if audit { Mode::Audit } else { Mode::Enforce }),
        tenant: SHOP.tenant.clone(),
        tenant_type: SHOP.policy.tenant_type,
        mask_errors: SHOP.mask_errors,
        dry_run: false,
        settings: SHOP.policy.settings.clone(),
        statements: 8,
    };
    let mut exchange = Exchange::new(Arc::new(rules), Some(A), MESSAGE_BYTES);
    if logged_in {
        exchange.server(LOGIN, &Plain);
        if !audit {
            let row = row(true, Some(A));
            let length = u32::try_from(row.len() + 4).expect("a short row").to_be_bytes();
            let answer = [b"T\0\0\0\x06\0\0D", &length[..], &row, TAIL].concat();
            exchange.server(&answer, &Plain);
            exchange.to_server();
            assert_eq!(exchange.to_client(), LOGIN, "no login");
        }
    }
    for (client, part) in parts {
        // What the client waits with goes on after each piece of the server: where something waits,
        // those are not for the guard to cut.
        for piece in part.chunks(if *client || audit { cut } else { usize::MAX }) {
            if *client {
                exchange.client(piece, &Plain);
            } else {
                exchange.server(piece, &Plain);
            }
        }
    }
    let _ = exchange.events();
    (exchange.to_server(), exchange.to_client())
}
