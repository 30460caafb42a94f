//! From URLs of C callers to outputs.
#![forbid(unsafe_code)]

use control::url::{UrlError, control_and_data, set_url, system_resolver};
use control::v1::{Output, output::Kind};

use crate::data;
use crate::failure::Failure;

/// One URL for all, or a control and a data URL. `None` for neither.
pub(crate) fn from_urls(
    control: Option<&str>,
    data: Option<&str>,
) -> Result<Option<Output>, Failure> {
    let read = match (control, data) {
        (None, None) => return Ok(None),
        (Some(url), None) => {
            set_url(url, &system_resolver).map_err(|error| (error, url.to_owned()))
        }
        (Some(control), Some(data)) => control_and_data(control, data, &system_resolver),
        (None, Some(_)) => return Err(Failure::INVALID),
    };
    read.map(Some).map_err(|(error, url)| {
        say(&error, &url);
        Failure::INVALID
    })
}

/// The same, but only for a relay.
pub(crate) fn relay_from_urls(
    control: Option<&str>,
    data: Option<&str>,
) -> Result<Option<Output>, Failure> {
    let output = from_urls(control, data)?;
    match output.as_ref().and_then(|output| output.kind.as_ref()) {
        None | Some(Kind::Relay(_)) => Ok(output),
        Some(_) => Err(Failure::INVALID),
    }
}

/// The relay daemon of a session that names none.
pub(crate) fn this_machine() -> Output {
    Output::relay("127.0.0.1")
}

/// A number does not tell what is wrong with a URL, so the library says it, as upstream does.
fn say(error: &UrlError, url: &str) {
    if let Some(reason) = error.reason() {
        data::say(&reason);
    }
    if error.is_syntax() {
        data::say(&format!("Unable to parse the URL {url}"));
    }
}
