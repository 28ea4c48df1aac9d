//! Sessions of operators in a browser: a signed cookie, so that no server keeps a list.
//!
//! The cookie says who signed in, with which role, until when, and which of the operator's epochs it
//! belongs to; another epoch ends every session at once.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

use crate::operator::{Operator, Role};

/// The name of the cookie over HTTPS; browsers accept it only with `Secure`, from the host itself.
pub const SESSION_COOKIE: &str = "__Host-lockgate";
/// The name of the cookie over plain HTTP, on loopback addresses.
pub const PLAIN_SESSION_COOKIE: &str = "lockgate";
/// How long a session lasts after the last request, in seconds.
pub const SESSION_SECONDS: u64 = 12 * 60 * 60;
/// How old a session may be before the next response renews it, in seconds.
const RENEW_AFTER_SECONDS: u64 = 10 * 60;

/// What a session's cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who signed in.
    pub operator: Operator,
    /// How often the operator had ended all sessions before.
    pub epoch: u64,
    /// When the session ends, in seconds since 1970.
    pub expires: u64,
}

impl Session {
    /// A session that begins now.
    pub fn starting(operator: Operator, epoch: u64, now: u64) -> Self {
        Self { operator, epoch, expires: now + SESSION_SECONDS }
    }

    /// The same session with its full time again, if enough of that has passed.
    pub fn renewed(&self, now: u64) -> Option<Self> {
        let is_due = self.expires <= now + SESSION_SECONDS - RENEW_AFTER_SECONDS;
        is_due.then(|| Self { expires: now + SESSION_SECONDS, ..self.clone() })
    }
}

/// The key that signs sessions.
#[derive(Clone, Debug)]
pub struct SessionKey(hmac::Key);

impl SessionKey {
    /// The key that belongs to a root secret.
    pub fn derive(root: &[u8]) -> Self {
        // Derived with a purpose, so that no signature of one use is good for another.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, root), b"lockgate session v1");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The epoch of an operator whose password stands in the configuration: another one with each
    /// password. `epoch` counts how often the operator ended all sessions.
    pub(crate) fn epoch_of_password(&self, epoch: u64, password: &str) -> u64 {
        // The blank keeps it apart from the text of every cookie. The key keeps the password from
        // whoever has the cookie.
        let tag = hmac::sign(&self.0, format!("password {epoch} {password}").as_bytes());
        let first = tag.as_ref().first_chunk().copied().unwrap_or_default();
        u64::from_be_bytes(first)
    }

    /// The value of the cookie for a session; nothing without randomness.
    pub fn sign(&self, session: &Session) -> Option<String> {
        let mut random = [0; 12];
        // So that two sessions of one second differ.
        SystemRandom::new().fill(&mut random).ok()?;
        let Session { operator, epoch, expires } = session;
        let text = format!(
            "{}|{}|{epoch}|{expires}|{}",
            BASE64_URL_SAFE_NO_PAD.encode(&operator.name),
            operator.role,
            BASE64_URL_SAFE_NO_PAD.encode(random)
        );
        let signature = hmac::sign(&self.0, text.as_bytes());
        Some(format!("{text}|{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The session that a cookie's value signs, unless it is forged or over. Whether it is of the
    /// operator's present epoch is for the caller to compare.
    pub fn verify(&self, cookie: &str, now: u64) -> Option<Session> {
        let (text, signature) = cookie.rsplit_once('|')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Before anything in it is read. The comparison takes the same time whatever differs.
        hmac::verify(&self.0, text.as_bytes(), &signature).ok()?;
        let mut parts = text.split('|');
        let name = BASE64_URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let name = String::from_utf8(name).ok()?;
        let role = Role::parse(parts.next()?)?;
        let epoch = parts.next()?.parse().ok()?;
        let expires = parts.next()?.parse().ok()?;
        (now < expires).then_some(Session { operator: Operator { name, role }, epoch, expires })
    }
}

/// Whether the cookie of a session travels over TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieScope {
    /// Over HTTPS only.
    Secure,
    /// Over plain HTTP, on a loopback address.
    Loopback,
}

/// The value of `Set-Cookie` that begins or renews a session.
pub fn session_cookie(value: &str, scope: CookieScope) -> String {
    let (name, secure) = match scope {
        CookieScope::Secure => (SESSION_COOKIE, "; Secure"),
        CookieScope::Loopback => (PLAIN_SESSION_COOKIE, ""),
    };
    // Strict: even a link from elsewhere to a page that shows a secret comes without the cookie.
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_SECONDS}{secure}")
}

/// The value of `Set-Cookie` that ends a session in this browser.
pub fn expired_session_cookie(scope: CookieScope) -> String {
    let (name, secure) = match scope {
        CookieScope::Secure => (SESSION_COOKIE, "; Secure"),
        CookieScope::Loopback => (PLAIN_SESSION_COOKIE, ""),
    };
    format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_860_000;

    fn session() -> Session {
        let operator = Operator { name: "ann|admin".to_owned(), role: Role::Editor };
        Session::starting(operator, 3, NOW)
    }

    #[test]
    fn a_session_is_what_was_signed_until_it_ends() {
        let key = SessionKey::derive(b"root");
        let cookie = key.sign(&session()).unwrap();
        assert_eq!(key.verify(&cookie, NOW + SESSION_SECONDS - 1), Some(session()));
        assert_eq!(key.verify(&cookie, NOW + SESSION_SECONDS), None);
        assert_eq!(SessionKey::derive(b"other").verify(&cookie, NOW), None);
    }

    #[test]
    fn a_changed_cookie_is_no_session() {
        let key = SessionKey::derive(b"root");
        let cookie = key.sign(&session()).unwrap();
        let changed = cookie.replace("|editor|", "|admin|");
        assert_ne!(changed, cookie);
        for forged in [changed.as_str(), "", "authenticated", "a|b|c|d|e|f"] {
            assert_eq!(key.verify(forged, NOW), None, "{forged}");
        }
    }

    #[test]
    fn a_session_in_use_slides_on() {
        assert_eq!(session().renewed(NOW + 60), None);
        let later = session().renewed(NOW + 3_600).unwrap();
        assert_eq!(later.expires, NOW + 3_600 + SESSION_SECONDS);
    }

    #[test]
    fn the_cookie_is_bound_to_its_host() {
        let secure = session_cookie("v", CookieScope::Secure);
        assert!(secure.starts_with("__Host-lockgate=v; Path=/;") && secure.ends_with("; Secure"));
        assert!(!secure.contains("Domain"));
        assert!(!session_cookie("v", CookieScope::Loopback).contains("Secure"));
        assert!(expired_session_cookie(CookieScope::Secure).contains("Max-Age=0"));
    }
}
