//! Authentication by the keys of the configuration alone: nobody passes without one.

use canonical::{Error, ErrorKind, Result};
use storage::Secret;
use subtle::ConstantTimeEq;

/// The keys that open the gateway. Without any, nobody passes.
#[derive(Clone, Debug, Default)]
pub struct Authenticator {
    keys: Vec<Secret>,
}

impl Authenticator {
    /// Lets nobody pass but by these keys.
    pub fn new(keys: Vec<Secret>) -> Self {
        Self { keys }
    }

    /// Lets a caller pass who shows a key that fits. How long this takes tells nothing of the keys.
    pub fn admit(&self, shown: &[&str]) -> Result<()> {
        if shown.is_empty() {
            return Err(unauthenticated(
                "No API key was sent; send `Authorization: Bearer KEY`, `X-Api-Key` or `x-goog-api-key`.",
            ));
        }
        let fits =
            |key: &Secret, shown: &str| bool::from(key.expose().as_bytes().ct_eq(shown.as_bytes()));
        // Every key is compared, so that the place of the right one does not show.
        let pairs = self.keys.iter().flat_map(|key| shown.iter().map(move |it| (key, it)));
        if pairs.filter(|(key, it)| fits(key, it)).count() == 0 {
            return Err(unauthenticated("This API key is not known here."));
        }
        Ok(())
    }
}

fn unauthenticated(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_fits_opens() {
        let authenticator = Authenticator::new(vec![Secret::new("one"), Secret::new("two")]);
        assert!(authenticator.admit(&["two"]).is_ok());
        assert!(authenticator.admit(&["wrong", "one"]).is_ok());
        for wrong in [&[][..], &[""], &["on"], &["one "], &["ONE"]] {
            assert_eq!(
                authenticator.admit(wrong).unwrap_err().kind,
                ErrorKind::Unauthenticated,
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn without_keys_nobody_passes() {
        assert!(Authenticator::default().admit(&[""]).is_err());
        assert!(Authenticator::default().admit(&[]).is_err());
    }
}
