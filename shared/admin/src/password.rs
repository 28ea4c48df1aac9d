//! Passwords: hashed with argon2id, one at a time, since each hash takes 19 MB.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use storage::Secret;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::problem::{AdminResult, Problem, ProblemKind};

/// OWASP's least parameters for argon2id: memory in KiB, passes, lanes.
const PARAMETERS: (u32, u32, u32) = (19_456, 2, 1);
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// How few characters a password may have.
const MIN_PASSWORD_CHARS: usize = 10;
/// How many bytes a password may have.
const MAX_PASSWORD_BYTES: usize = 1024;

/// Lets one hash at a time be computed, so that log-ins cannot take the memory of calls.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// The hash of a password in the format of the Password Hashing Competition:
/// `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
pub(crate) async fn hash(password: &Secret) -> AdminResult<String> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|error| unhashable(error.to_string()))?;
    let (memory, passes, lanes) = PARAMETERS;
    let hash = compute(password.clone(), salt.to_vec(), PARAMETERS).await?;
    let encode = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
    let parameters = format!("m={memory},t={passes},p={lanes}");
    Ok(format!("$argon2id$v=19${parameters}${}${}", encode(&salt), encode(&hash)))
}

/// Whether a password has this hash. Takes as long whether it has or not, and as long with `None`,
/// where there is no such operator.
pub(crate) async fn verify(password: &Secret, hash: Option<&str>) -> AdminResult<bool> {
    let nobody = (PARAMETERS, vec![0; SALT_BYTES], vec![0; HASH_BYTES]);
    let (parameters, salt, expected) = match hash {
        Some(text) => parse(text).ok_or_else(|| unhashable("a stored hash cannot be read"))?,
        None => nobody,
    };
    let computed = compute(password.clone(), salt, parameters).await?;
    Ok(bool::from(computed.ct_eq(&expected)) && hash.is_some())
}

/// Whether a password has this hash, which an operator wrote. A hash that cannot be read has none.
pub async fn is_password(password: &Secret, hash: &Secret) -> bool {
    verify(password, Some(hash.expose())).await.unwrap_or_default()
}

/// A password that nobody can guess; an error without randomness.
pub(crate) fn generate() -> AdminResult<Secret> {
    let mut bytes = [0; 18];
    SystemRandom::new().fill(&mut bytes).map_err(|error| unhashable(error.to_string()))?;
    Ok(Secret::new(base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// Refuses a password that is too short or too long.
pub(crate) fn check(password: &Secret) -> AdminResult<()> {
    let text = password.expose();
    // Blake2 hashes the whole text, however long a client makes it.
    if text.chars().count() < MIN_PASSWORD_CHARS || MAX_PASSWORD_BYTES < text.len() {
        let rule = format!("A password has at least {MIN_PASSWORD_CHARS} characters.");
        return Err(Problem::field("password", rule));
    }
    Ok(())
}

async fn compute(
    password: Secret,
    salt: Vec<u8>,
    (memory, passes, lanes): (u32, u32, u32),
) -> AdminResult<Vec<u8>> {
    let computed = one_at_a_time(move || {
        let parameters = Params::new(memory, passes, lanes, Some(HASH_BYTES))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let mut hash = vec![0; HASH_BYTES];
        argon.hash_password_into(password.expose().as_bytes(), &salt, &mut hash)?;
        Ok::<_, argon2::Error>(hash)
    });
    computed.await?.map_err(|error| unhashable(error.to_string()))
}

/// Does work that takes much memory, after all that was begun before it.
async fn one_at_a_time<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> AdminResult<T> {
    let permit = ONE_AT_A_TIME.acquire().await.map_err(|error| unhashable(error.to_string()))?;
    // Tens of milliseconds of work would stall the calls on this thread.
    let working = tokio::task::spawn_blocking(move || {
        // Held by the work: it goes on, and keeps its memory, when the client leaves.
        let _permit = permit;
        work()
    });
    working.await.map_err(|error| unhashable(error.to_string()))
}

type Parsed = ((u32, u32, u32), Vec<u8>, Vec<u8>);

fn parse(text: &str) -> Option<Parsed> {
    let (parameters, rest) = text.strip_prefix("$argon2id$v=19$")?.split_once('$')?;
    let (salt, hash) = rest.split_once('$')?;
    let mut numbers = parameters.split(',').zip(["m=", "t=", "p="]).map(|(number, name)| {
        number.strip_prefix(name).and_then(|number| number.parse::<u32>().ok())
    });
    let parameters = (numbers.next()??, numbers.next()??, numbers.next()??);
    let decode = |text: &str| BASE64_STANDARD_NO_PAD.decode(text).ok();
    let hash = decode(hash).filter(|hash| hash.len() == HASH_BYTES)?;
    Some((parameters, decode(salt)?, hash))
}

fn unhashable(cause: impl Into<String>) -> Problem {
    let detail = "A password cannot be checked at the moment.";
    Problem::new(ProblemKind::Internal, detail).caused_by(cause.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_has_its_own_hash() {
        let password = Secret::new("correct horse");
        let stored = hash(&password).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify(&password, Some(&stored)).await.unwrap());
        assert!(!verify(&Secret::new("correct house"), Some(&stored)).await.unwrap());
        assert_ne!(stored, hash(&password).await.unwrap());
    }

    #[tokio::test]
    async fn nobodys_password_is_never_right() {
        assert!(!verify(&Secret::new(""), None).await.unwrap());
        assert!(verify(&Secret::new("x"), Some("$argon2id$v=19$m=1,t=1")).await.is_err());
    }

    #[tokio::test]
    async fn the_hash_of_other_programs_is_read() {
        // Made with the reference implementation: argon2 somesalt -id -t 2 -m 16 -p 1.
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                      CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(verify(&Secret::new("password"), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_whose_client_left_is_computed_before_the_next() {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let left = one_at_a_time(move || {
            begun.send(()).unwrap();
            finished.recv().unwrap();
        });
        tokio::select! {
            _ = left => panic!("nothing has finished it"),
            begun = has_begun => begun.unwrap(),
        }
        // Its client has left, and it runs on.
        assert_eq!(ONE_AT_A_TIME.available_permits(), 0);
        finish.send(()).unwrap();
        one_at_a_time(|| ()).await.unwrap();
    }

    #[test]
    fn a_generated_password_passes_the_rule() {
        let one = generate().unwrap();
        assert!(check(&one).is_ok());
        assert_ne!(one.expose(), generate().unwrap().expose());
        assert!(check(&Secret::new("short")).is_err());
    }
}
