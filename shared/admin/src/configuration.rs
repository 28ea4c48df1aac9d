//! The configuration as operators read and change it: always whole, validated before it is kept.

/// Where the configuration is kept.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// Nowhere: the gateway serves its demonstration.
    Demonstration,
}
