//! Where a snapshot goes, as the command line says it.

use control::url::{self, UrlError};
use control::v1::{Output, SnapshotOutput};

use crate::mi::Element;
use crate::ui::{Exit, Ui};
use crate::values;

use super::{Args, Refused};

/// Name, size and place; each may be missing.
#[derive(Debug)]
pub(super) struct Target {
    name: String,
    pub(super) max_size: Option<u64>,
    place: Option<Place>,
}

/// The place as it was given: it is repeated so.
#[derive(Debug)]
enum Place {
    One(String),
    Two { control: String, data: String },
}

impl Target {
    /// Checks the options; the place is read later, when it is used.
    pub(super) fn of(ui: &Ui, args: &Args) -> Result<Self, Exit> {
        let max_size =
            match &args.max_size {
                None => None,
                Some(text) => Some(values::size(text).ok_or_else(|| {
                    ui.fail(format_args!("Unable to handle max-size value {text}"))
                })?),
            };
        let place = match (&args.ctrl_url, &args.data_url) {
            (None, None) => args.value.clone().map(Place::One),
            (Some(_), Some(_)) if args.value.is_some() => return Err(ui.fail("Invalid parameter")),
            (Some(control), Some(data)) => Some(Place::Two {
                control: control.clone(),
                data: data.clone(),
            }),
            _ => return Err(ui.fail("URLs must be specified for both data and control")),
        };
        Ok(Self {
            name: args.name.clone().unwrap_or_default(),
            max_size,
            place,
        })
    }

    /// For the request. Says what is wrong with a place.
    pub(super) fn output(&self, ui: &Ui) -> Result<SnapshotOutput, Refused> {
        let output = match &self.place {
            None => None,
            Some(place) => Some(place.read().map_err(|error| {
                ui.error("Invalid parameter");
                explain(ui, &error);
                Refused
            })?),
        };
        Ok(SnapshotOutput {
            id: 0,
            name: self.name.clone(),
            max_size: self.max_size.unwrap_or(0),
            output,
        })
    }

    /// Whether there is a place.
    pub(super) fn is_placed(&self) -> bool {
        self.place.is_some()
    }

    /// The first URL as it was given.
    pub(super) fn url(&self) -> &str {
        match &self.place {
            None => "",
            Some(Place::One(url) | Place::Two { control: url, .. }) => url,
        }
    }

    /// Where it was written, if the command line said where.
    pub(super) fn written(&self) -> Option<String> {
        match self.place.as_ref()? {
            Place::One(url) => Some(format!("Snapshot written at: {url}")),
            Place::Two { control, data } => {
                Some(format!("Snapshot written to ctrl: {control}, data: {data}"))
            }
        }
    }

    /// The URLs for the machine interface.
    pub(super) fn elements(&self) -> Vec<Element> {
        match &self.place {
            None => Vec::new(),
            Some(Place::One(url)) => vec![Element::text("ctrl_url", url)],
            Some(Place::Two { control, data }) => vec![
                Element::text("ctrl_url", control),
                Element::text("data_url", data),
            ],
        }
    }
}

impl Place {
    fn read(&self) -> Result<Output, UrlError> {
        let resolver = &url::system_resolver;
        match self {
            Self::One(text) => url::set_url(text, resolver),
            Self::Two { control, data } => {
                url::control_and_data(control, data, resolver).map_err(|(error, _)| error)
            }
        }
    }
}

/// What is wrong with a place, below the error.
fn explain(ui: &Ui, error: &UrlError) {
    match error {
        UrlError::Refused(why) => ui.detail(why),
        UrlError::Misplaced => {
            ui.detail("use a path or net://HOST, or tcp:// with --ctrl-url and --data-url")
        }
        error => {
            if let Some(reason) = error.reason() {
                ui.detail(reason);
            }
        }
    }
}
