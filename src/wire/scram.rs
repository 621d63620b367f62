//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it (documentation, 55.3.1), on both
//! sides: towards the client from a stored secret, towards the server with the client's own key,
//! which the exchange with the client gives away to whoever holds the secret.

use std::num::NonZeroU32;
use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2, rand};
use subtle::ConstantTimeEq as _;

/// Without channel binding.
pub(super) const PLAIN: &str = "SCRAM-SHA-256";
/// With channel binding.
pub(super) const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The one kind of channel binding that PostgreSQL has (RFC 5929, 4).
const BINDING: &str = "p=tls-server-end-point,,";

/// Bytes of a nonce before they are written in base64 (`SCRAM_RAW_NONCE_LEN`).
const NONCE_BYTES: usize = 18;

/// More rounds than any server asks for; each costs time on a thread that serves others.
const ITERATIONS_MAX: u32 = 200_000;

/// The rounds of a secret made from a password (`SCRAM_SHA_256_DEFAULT_ITERATIONS`).
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4_095);

type Key = [u8; 32];

/// An exchange went wrong. What is said about it goes to the log, not to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// A message that is none of the protocol.
    Malformed,
    /// Channel binding does not fit.
    Binding,
    /// The peer does not know the secret.
    Proof,
    /// No random bytes.
    Random,
}

/// What a server keeps of a password.
#[derive(Clone)]
pub struct Secret {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl Secret {
    /// Reads what `pg_authid.rolpassword` holds: `SCRAM-SHA-256$rounds:salt$stored:server`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (parameters, keys) = rest.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        Some(Self {
            iterations: iterations.parse().ok().filter(|rounds| *rounds > 0)?,
            salt: BASE64.decode(salt).ok()?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }

    /// The secret of a role's password.
    pub(super) fn of_password(seed: &hmac::Key, role: &str, password: &str) -> Self {
        let salt = salt(seed, role);
        let keys = Keys::derive(password, &salt, ROUNDS);
        Self { iterations: ROUNDS.get(), salt, stored_key: keys.stored(), server_key: keys.server }
    }

    /// A secret that nobody knows: a client cannot tell a role that does not exist from a wrong
    /// password.
    pub(super) fn of_nobody(seed: &hmac::Key, role: &str) -> Self {
        Self {
            iterations: ROUNDS.get(),
            salt: salt(seed, role),
            stored_key: [0; 32],
            server_key: [0; 32],
        }
    }
}

/// A salt that is always the same for the same role.
fn salt(seed: &hmac::Key, role: &str) -> Vec<u8> {
    hmac::sign(seed, role.as_bytes()).as_ref().get(..16).unwrap_or_default().to_vec()
}

/// The keys of who knows the password, or has seen it proved.
#[derive(Clone)]
pub(super) struct Keys {
    client: Key,
    server: Key,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    fn derive(password: &str, salt: &[u8], rounds: NonZeroU32) -> Self {
        // As the server does: a password that cannot be prepared is taken as it is.
        let prepared = stringprep::saslprep(password).unwrap_or_else(|_| password.into());
        let mut salted: Key = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, rounds, salt, prepared.as_bytes(), &mut salted);
        Self { client: sign(&salted, b"Client Key"), server: sign(&salted, b"Server Key") }
    }

    fn stored(&self) -> Key {
        hash(&self.client)
    }
}

/// How the guard proves itself to a server.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    /// The client's key, good for a server that keeps the very secret it was proved against.
    Recovered(Keys, Secret),
    /// A password.
    Password(Box<str>),
}

/// The guard as server, after the client's first message.
#[derive(Debug)]
pub(super) struct ServerExchange {
    secret: Secret,
    /// What the client must have bound, gs2 header and certificate hash.
    bound: Vec<u8>,
    nonce: String,
    first_bare: String,
    /// What the client is told next.
    pub(super) server_first: String,
}

impl ServerExchange {
    /// Takes `client-first-message`. `binding` is the hash of the guard's certificate if the
    /// client's connection is encrypted.
    pub(super) fn begin(
        mechanism: &str,
        message: &[u8],
        binding: Option<&[u8]>,
        secret: Secret,
    ) -> Result<Self, Failed> {
        let message = str::from_utf8(message).map_err(|_| Failed::Malformed)?;
        let (header, bare, bound) = match (mechanism, binding) {
            (PLUS, Some(hash)) => {
                let bare = message.strip_prefix(BINDING).ok_or(Failed::Binding)?;
                (BINDING, bare, hash)
            }
            (PLAIN, None) if message.starts_with("y,,") => {
                ("y,,", message.get(3..).ok_or(Failed::Malformed)?, &[][..])
            }
            // A client that says so was offered -PLUS, and somebody took the offer away.
            (PLAIN, Some(_)) if message.starts_with("y,,") => return Err(Failed::Binding),
            (PLAIN, _) => ("n,,", message.strip_prefix("n,,").ok_or(Failed::Malformed)?, &[][..]),
            (_, _) => return Err(Failed::Malformed),
        };
        // The name is left out of account, as by the server: the startup packet has it.
        let (name, nonce) = bare.split_once(",r=").ok_or(Failed::Malformed)?;
        if !name.starts_with("n=") || name.contains(',') || !is_nonce(nonce) {
            return Err(Failed::Malformed);
        }
        let nonce = format!("{nonce}{}", fresh_nonce()?);
        let (salt, rounds) = (BASE64.encode(&secret.salt), secret.iterations);
        let server_first = format!("r={nonce},s={salt},i={rounds}");
        let bound = [header.as_bytes(), bound].concat();
        Ok(Self { secret, bound, nonce, first_bare: bare.to_owned(), server_first })
    }

    /// Takes `client-final-message`: the client's keys and `server-final-message`.
    pub(super) fn finish(self, message: &[u8]) -> Result<(Credential, String), Failed> {
        let message = str::from_utf8(message).map_err(|_| Failed::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Failed::Malformed)?;
        let (bound, nonce) = without_proof.split_once(",r=").ok_or(Failed::Malformed)?;
        let bound = bound.strip_prefix("c=").ok_or(Failed::Malformed)?;
        if BASE64.decode(bound).map_err(|_| Failed::Malformed)? != self.bound {
            return Err(Failed::Binding);
        }
        if nonce != self.nonce {
            return Err(Failed::Malformed);
        }
        let auth = format!("{},{},{without_proof}", self.first_bare, self.server_first);
        let signature = sign(&self.secret.stored_key, auth.as_bytes());
        let client = xor(&key(proof).ok_or(Failed::Malformed)?, &signature);
        let stored = hash(&client);
        if !bool::from(stored.ct_eq(&self.secret.stored_key)) {
            return Err(Failed::Proof);
        }
        let server = self.secret.server_key;
        let signature = BASE64.encode(sign(&server, auth.as_bytes()));
        let keys = Keys { client, server };
        Ok((Credential::Recovered(keys, self.secret), format!("v={signature}")))
    }
}

/// The guard as client.
#[derive(Debug)]
pub(super) struct ClientExchange {
    nonce: String,
}

/// The guard as client, after its proof.
#[derive(Debug)]
pub(super) struct Proved {
    expected: Key,
}

impl ClientExchange {
    /// The exchange, and `client-first-message`. No channel is bound: the certificate was verified
    /// as far as the configuration asks.
    pub(super) fn begin() -> Result<(Self, String), Failed> {
        let nonce = fresh_nonce()?;
        let first = format!("n,,n=,r={nonce}");
        Ok((Self { nonce }, first))
    }

    /// Takes `server-first-message`; what is expected last, and `client-final-message`.
    pub(super) fn prove(
        self,
        server_first: &[u8],
        credential: &Credential,
    ) -> Result<(Proved, String), Failed> {
        let server_first = str::from_utf8(server_first).map_err(|_| Failed::Malformed)?;
        let mut parts = server_first.splitn(3, ',');
        let (Some(nonce), Some(salt), Some(rounds)) =
            (parts.next(), parts.next(), parts.next().and_then(|part| part.split(',').next()))
        else {
            return Err(Failed::Malformed);
        };
        let nonce = nonce.strip_prefix("r=").ok_or(Failed::Malformed)?;
        let salt = salt.strip_prefix("s=").and_then(|salt| BASE64.decode(salt).ok());
        let salt = salt.ok_or(Failed::Malformed)?;
        let rounds = rounds.strip_prefix("i=").and_then(|rounds| rounds.parse::<NonZeroU32>().ok());
        let rounds =
            rounds.filter(|rounds| rounds.get() <= ITERATIONS_MAX).ok_or(Failed::Malformed)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(Failed::Malformed);
        }
        let keys = match credential {
            Credential::Recovered(keys, secret) => {
                if secret.salt != salt || secret.iterations != rounds.get() {
                    return Err(Failed::Proof);
                }
                keys.clone()
            }
            Credential::Password(password) => Keys::derive(password, &salt, rounds),
        };
        // "biws" is the header "n,,".
        let without_proof = format!("c=biws,r={nonce}");
        let auth = format!("n=,r={},{server_first},{without_proof}", self.nonce);
        let proof = xor(&keys.client, &sign(&keys.stored(), auth.as_bytes()));
        let message = format!("{without_proof},p={}", BASE64.encode(proof));
        Ok((Proved { expected: sign(&keys.server, auth.as_bytes()) }, message))
    }
}

impl Proved {
    /// Takes `server-final-message`: whether the server knows the secret too.
    pub(super) fn holds(&self, server_final: &[u8]) -> bool {
        let signature = server_final.strip_prefix(b"v=").map(|rest| BASE64.decode(rest));
        matches!(signature, Some(Ok(signature))
            if bool::from(signature.ct_eq(&self.expected)))
    }
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b',')
}

fn fresh_nonce() -> Result<String, Failed> {
    Ok(BASE64.encode(random::<NONCE_BYTES>()?))
}

fn random<const N: usize>() -> Result<[u8; N], Failed> {
    let mut bytes = [0; N];
    let source = rand::SystemRandom::new();
    rand::SecureRandom::fill(&source, &mut bytes).map_err(|_| Failed::Random)?;
    Ok(bytes)
}

/// A key that no client learns, for [`Secret::of_nobody`].
pub(super) fn seed() -> Result<hmac::Key, Failed> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()?))
}

fn key(text: &str) -> Option<Key> {
    BASE64.decode(text).ok()?.try_into().ok()
}

fn sign(key: &[u8], message: &[u8]) -> Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    // Both have 32 bytes.
    tag.as_ref().try_into().unwrap_or_default()
}

fn hash(bytes: &[u8]) -> Key {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

fn xor(left: &Key, right: &Key) -> Key {
    let mut result = *left;
    for (byte, other) in result.iter_mut().zip(right) {
        *byte ^= other;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_password(password: &str) -> Secret {
        Secret::of_password(&seed().unwrap(), "app", password)
    }

    fn exchange(known: &str, given: &str) -> Result<(Credential, Proved, String), Failed> {
        let secret = of_password(known);
        let (client, first) = ClientExchange::begin().unwrap();
        let server = ServerExchange::begin(PLAIN, first.as_bytes(), None, secret).unwrap();
        let password = Credential::Password(given.into());
        let (proved, last) = client.prove(server.server_first.as_bytes(), &password).unwrap();
        let (credential, answer) = server.finish(last.as_bytes())?;
        Ok((credential, proved, answer))
    }

    #[test]
    fn both_sides_know_the_password_or_neither_is_satisfied() {
        let (_, proved, answer) = exchange("open sesame", "open sesame").unwrap();
        assert!(proved.holds(answer.as_bytes()));
        assert!(!proved.holds(b"v=AAAA"));
        assert_eq!(exchange("open sesame", "guess").unwrap_err(), Failed::Proof);
    }

    #[test]
    fn the_recovered_key_opens_a_server_with_the_same_secret_and_no_other() {
        let secret = of_password("open sesame");
        let (client, first) = ClientExchange::begin().unwrap();
        let server = ServerExchange::begin(PLAIN, first.as_bytes(), None, secret.clone()).unwrap();
        let password = Credential::Password("open sesame".into());
        let (_, last) = client.prove(server.server_first.as_bytes(), &password).unwrap();
        let (recovered, _) = server.finish(last.as_bytes()).unwrap();

        let (client, first) = ClientExchange::begin().unwrap();
        let server = ServerExchange::begin(PLAIN, first.as_bytes(), None, secret).unwrap();
        let (proved, last) = client.prove(server.server_first.as_bytes(), &recovered).unwrap();
        let (_, answer) = server.finish(last.as_bytes()).unwrap();
        assert!(proved.holds(answer.as_bytes()));

        // The same password, another salt.
        let other = Secret::of_password(&seed().unwrap(), "app", "open sesame");
        let (client, first) = ClientExchange::begin().unwrap();
        let server = ServerExchange::begin(PLAIN, first.as_bytes(), None, other).unwrap();
        assert!(client.prove(server.server_first.as_bytes(), &recovered).is_err());
    }

    #[test]
    fn a_downgrade_of_the_channel_binding_is_noticed() {
        let secret = || of_password("x");
        let begin = |mechanism: &str, message: &str, binding: Option<&[u8]>| {
            ServerExchange::begin(mechanism, message.as_bytes(), binding, secret()).err()
        };
        assert_eq!(begin(PLAIN, "y,,n=,r=abc", Some(b"hash")), Some(Failed::Binding));
        assert_eq!(begin(PLAIN, "y,,n=,r=abc", None), None);
        assert_eq!(begin(PLAIN, "n,,n=,r=abc", Some(b"hash")), None);
        assert_eq!(begin(PLUS, "n,,n=,r=abc", Some(b"hash")), Some(Failed::Binding));
        assert_eq!(begin(PLUS, "p=tls-server-end-point,,n=,r=abc", Some(b"hash")), None);
        assert_eq!(begin(PLUS, "p=tls-server-end-point,,n=,r=abc", None), Some(Failed::Malformed));
        assert_eq!(begin(PLAIN, "n,a=other,n=,r=abc", None), Some(Failed::Malformed));
        assert_eq!(begin(PLAIN, "n,,n=,r=", None), Some(Failed::Malformed));
    }

    #[test]
    fn what_the_server_stores_is_read() {
        // The keys of RFC 7677, 3: the password "pencil".
        let (salt, stored, server) = (
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        );
        let secret = Secret::read(&format!("SCRAM-SHA-256$4096:{salt}${stored}:{server}")).unwrap();
        let rounds = NonZeroU32::new(secret.iterations).unwrap();
        let keys = Keys::derive("pencil", &secret.salt, rounds);
        assert_eq!((keys.stored(), keys.server), (secret.stored_key, secret.server_key));
        assert!(Secret::read(&format!("SCRAM-SHA-256$0:{salt}${stored}:{server}")).is_none());
        assert!(Secret::read(&format!("SCRAM-SHA-256$4096:{salt}$AAAA:{server}")).is_none());
        assert!(Secret::read("md5aaaa").is_none());
        assert!(Secret::read("sesame").is_none());
    }
}
