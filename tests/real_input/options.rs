//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Plays real books into a running ledger and compares its figures with the expected ones.
#[derive(Debug, Parser)]
#[command(name = "real_input", subcommand_required = true)]
pub(crate) struct Options {
    /// Which books.
    #[command(subcommand)]
    pub(crate) play: Play,
    /// Where the ledger answers.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// API key of an empty tenant (retail: GBP, plant: BRL; two decimals).
    #[arg(long, global = true, env = "LEDGER_KEY", hide_env_values = true, default_value = "")]
    pub(crate) key: String,
    /// Where the files are.
    #[arg(long, global = true, env = "LEDGER_DATA_DIR", default_value = "../shared/data")]
    pub(crate) data_dir: PathBuf,
    /// Requests under way at once.
    #[arg(long, global = true, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) clients: u16,
    /// Of a hundred requests, so many are sent twice on purpose.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) retry_percent: u8,
    /// Chooses which requests are sent twice.
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A request that has found no answer for so long ends the run.
    #[arg(long, global = true, default_value_t = 120)]
    pub(crate) patience_seconds: u64,
    /// Where the run notes what was acknowledged; a later run with the same file goes on from there.
    #[arg(long, global = true)]
    pub(crate) state: Option<PathBuf>,
    /// First part of every idempotency key; a fresh one if absent. The same one again sends the same commands.
    #[arg(long, global = true)]
    pub(crate) run: Option<String>,
    /// The report as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Which books.
#[derive(Debug, Subcommand)]
pub(crate) enum Play {
    /// Seven months of a web shop: 12,795 invoices with 245,903 lines, and 14,713 receipts.
    Retail(RetailOptions),
    /// A year of a plant: 20 items, 100,075 movements.
    Plant(PlantOptions),
    /// Retail into the tenant of `--key`, then plant into the tenant of `--plant-key`.
    All {
        #[command(flatten)]
        retail: RetailOptions,
        #[command(flatten)]
        plant: PlantOptions,
        /// API key of the plant's tenant.
        #[arg(long)]
        plant_key: String,
    },
}

/// What retail needs to know.
#[derive(Debug, Args)]
pub(crate) struct RetailOptions {
    /// How issues are costed. One tenant per method.
    #[arg(long, value_enum, default_value_t = Method::MovingAverage)]
    pub(crate) method: Method,
    /// Plays only the first so many invoices and what they need.
    #[arg(long)]
    pub(crate) limit_invoices: Option<usize>,
}

/// What plant needs to know.
#[derive(Debug, Args)]
pub(crate) struct PlantOptions {
    /// What an issue costs. One tenant per mode.
    #[arg(long, value_enum, default_value_t = Mode::Stated)]
    pub(crate) mode: Mode,
    /// Plays only the first so many rows of the file.
    #[arg(long)]
    pub(crate) limit_movements: Option<usize>,
    /// Movements of an item in one batch.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) batch: u16,
}

/// How issues are costed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Method {
    /// One pool per item.
    MovingAverage,
    /// One pool per receipt, oldest first.
    Fifo,
}

impl Method {
    /// The word of the API and of the files.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::MovingAverage => "moving_average",
            Self::Fifo => "fifo",
        }
    }
}

/// What an issue of the plant costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// What the file says.
    Stated,
    /// Its share of the item's pool.
    MovingAverage,
    /// Its share of the oldest receipts.
    Fifo,
}

impl Mode {
    /// The method to cost with; `None` when the file says the cost.
    pub(crate) const fn recosted(self) -> Option<Method> {
        match self {
            Self::Stated => None,
            Self::MovingAverage => Some(Method::MovingAverage),
            Self::Fifo => Some(Method::Fifo),
        }
    }

    /// The word for reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::MovingAverage => "moving_average",
            Self::Fifo => "fifo",
        }
    }
}
