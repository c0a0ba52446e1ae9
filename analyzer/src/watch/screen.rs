//! stub
use super::{Options, Watch};
pub(super) fn run(watch: &mut Watch, options: &Options) -> Result<(), String> {
    super::lines(watch, options)
}
