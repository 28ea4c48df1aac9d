//! Where there is no Lambda: nothing to do for its Runtime API.

/// Keeps the connections to one address free of delay; here there is none.
#[derive(Debug, Default)]
pub(crate) struct Nodelay;

impl Nodelay {
    /// A switch for the connections to the Runtime API at `host:port`.
    pub(crate) fn new(_: Option<&str>) -> Self {
        Self
    }

    /// Does nothing.
    pub(crate) fn apply(&self) {}
}
