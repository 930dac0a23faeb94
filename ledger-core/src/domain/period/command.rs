//! Period commands.

use super::Month;
use crate::domain::command::action;

action! {
    /// Says in which month fiscal years begin. Fixed once a period is closed or a document numbered.
    pub struct DefineCalendar {
        /// 1 for January (as it is without this) to 12.
        #[n(10)]
        #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 12))]
        pub year_starts_month: u8,
    }
}

action! {
    /// Closes a period, and every earlier one with it. A closed period takes no postings and is sealed; a soft-closed one
    /// takes adjusting entries only.
    pub struct ClosePeriod {
        /// The month; in `POST /v1/periods/{id}/close` the path says it.
        #[n(10)]
        #[serde(default)]
        pub period: Month,
        /// True closes softly.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub soft: Option<bool>,
    }
}

action! {
    /// Opens a period again, closed or soft-closed; needs a reason. Later ones must be open.
    pub struct ReopenPeriod {
        /// The month; in `POST /v1/periods/{id}/reopen` the path says it.
        #[n(10)]
        #[serde(default)]
        pub period: Month,
    }
}

action! {
    /// Carries revenue and expense of a fiscal year to retained earnings, dated with its last instant, which must not be
    /// closed yet: close its last period afterwards. Again after a correction: carries what has changed.
    pub struct CloseYear {
        /// The calendar year in which it begins; in `POST /v1/years/{year}/close` the path says it.
        #[n(10)]
        #[serde(default)]
        pub year: i32,
    }
}
