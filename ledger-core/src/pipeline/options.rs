//! What a pipeline is built with.

/// Where it writes and how much it takes at once. No defaults hide here: [`Options::for_cores`] states them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Database; each shard holds one writer connection of its own.
    pub url: String,
    /// Writers. Tenants are spread over them.
    pub shards: usize,
    /// Actions waiting per shard; beyond that callers are told to come back.
    pub queue_steps_max: u32,
    /// Actions in one batch: past a thousand rows a statement gains nothing and only delays its answers.
    pub batch_steps_max: usize,
    /// Tenants in memory per shard; the one used longest ago goes first.
    pub tenants_cached_max: usize,
}

impl Options {
    /// Measured choices for a machine with this many cores.
    #[must_use]
    pub fn for_cores(url: String, cores: usize) -> Self {
        Self { url, shards: cores.clamp(1, 8), queue_steps_max: 65_536, batch_steps_max: 2_048, tenants_cached_max: 256 }
    }
}
