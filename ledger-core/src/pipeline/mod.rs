//! Group commit of decisions.
//!
//! **Shape**: [`Handle::submit`] → bounded queue of the tenant's shard → the shard's [`service`] collects what is
//! waiting → decides in order on states in memory, each command seeing what the ones before it did → one
//! [`append`](crate::store::append) → answers. While one batch commits, the next one fills.
//! **Correctness**: 1. An answer goes out only after its batch is durable. 2. A batch the database refuses is taken
//! back exactly, the tail is read, and the commands are decided again, a bounded number of times. 3. When the
//! connection is lost during a commit, the batch is looked up under the head's lock, never guessed. 4. State in memory
//! is a hint: the append compares the head it was decided on. 5. A caller that goes away changes nothing: the batch
//! runs in the shard's own task, and no future that holds a database call is ever dropped.

mod batch;
mod cache;
mod clock;
mod error;
mod handle;
mod options;
mod service;
mod settle;

pub use error::Error;
pub use handle::{Answer, Handle, Outcome};
pub use options::Options;
pub use service::start;
