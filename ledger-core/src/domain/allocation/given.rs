//! The caller said where: places inside of it, by their codes.

use super::Facts;

pub(super) const fn rank(_: &Facts) -> Option<i64> {
    Some(0)
}
