//! The live mode of a session: how often, and where to.

use control::v1::Output;
use control::v1::output::Kind;

use crate::ui::{Exit, Ui};
use crate::values;

/// The interval of `--live` alone, microseconds.
const DEFAULT_INTERVAL_US: u32 = 1_000_000;

/// The interval of an option in microseconds; `None` without the option.
pub(super) fn interval(ui: &Ui, given: Option<&Option<String>>) -> Result<Option<u32>, Exit> {
    let text = match given {
        None => return Ok(None),
        Some(None) => return Ok(Some(DEFAULT_INTERVAL_US)),
        Some(Some(text)) => text,
    };
    let us = values::duration_us(text)
        .ok_or_else(|| ui.fail(format_args!("Wrong value for --live parameter: {text}")))?;
    match u32::try_from(us) {
        Ok(0) => Err(ui.fail("Live timer interval must be greater than zero")),
        Ok(us) => Ok(Some(us)),
        Err(_) => Err(ui.fail(format_args!("32-bit overflow in --live parameter: {text}"))),
    }
}

/// The relay daemon of a live session; one on this machine if none is given.
pub(super) fn output(ui: &Ui, given: Option<Output>) -> Result<Output, Exit> {
    match given {
        None => Ok(Output::relay("127.0.0.1")),
        Some(output) if matches!(output.kind, Some(Kind::Relay(_))) => Ok(output),
        Some(_) => Err(ui.fail("Unsupported output type specified for live session.")),
    }
}
