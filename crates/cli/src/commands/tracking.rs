//! What `track` and `untrack` have in common: options, requests, and what they say.

use control::v1::process_attribute_value::Kind;
use control::v1::{
    GetTrackerRequest, ProcessAttribute, ProcessAttributeValue, SetTrackingPolicyRequest,
    TrackRequest, TrackingPolicy, UntrackRequest,
};
use control::{Client, ErrorCode};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::trackers::{self, Names, is_process_id, names};
use crate::ui::{Exit, Outcome, Ui, status};

use super::domain::{Domain, Tracers};
use super::{names as listed, no_more};

/// Which processes.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    #[command(flatten)]
    domain: Tracers,
    /// Process IDs; in the user space domain the virtual ones
    #[arg(short, long, num_args = 0..=1, default_missing_value = "", value_name = "PID[,PID...]")]
    pid: Vec<String>,
    /// Virtual process IDs: as the process itself sees them
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "VPID[,VPID...]")]
    vpid: Vec<String>,
    /// User IDs or names (kernel domain)
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "UID[,UID...]")]
    uid: Vec<String>,
    /// Virtual user IDs or names
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "VUID[,VUID...]")]
    vuid: Vec<String>,
    /// Group IDs or names (kernel domain)
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "GID[,GID...]")]
    gid: Vec<String>,
    /// Virtual group IDs or names
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "VGID[,VGID...]")]
    vgid: Vec<String>,
    /// All values of the attributes that are named
    #[arg(short, long)]
    all: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// Whether values are put into inclusion sets, or taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Track,
    Untrack,
}

/// One attribute and what to do with it.
struct Job {
    attribute: ProcessAttribute,
    /// Empty with `--all`.
    values: Vec<String>,
}

/// Where.
struct Place<'a> {
    ui: &'a Ui,
    session: &'a str,
    domain: Domain,
    direction: Direction,
}

pub(super) async fn run(
    args: Which,
    context: &Context,
    direction: Direction,
) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let domain = args.domain.chosen(context)?;
    let jobs = jobs(ui, &args, domain)?;
    no_more(context, &args.extra)?;
    let session = current_session::or_current(ui, args.session)?;
    let place = Place {
        ui,
        session: &session,
        domain,
        direction,
    };
    let mut code = status::OK;
    let mut shown = Vec::new();
    let mut client = context.connect().await;
    for job in &jobs {
        let result = match &mut client {
            Ok(client) if args.all => place.set_policy(client, job.attribute).await,
            Ok(client) => place.change(client, job).await,
            Err(failure) => {
                failure.say(ui, failure.text());
                (Vec::new(), status::ERROR)
            }
        };
        shown.push(trackers::element(job.attribute, result.0));
        code = result.1;
        if code != status::OK {
            break;
        }
    }
    let command = match direction {
        Direction::Track => "track",
        Direction::Untrack => "untrack",
    };
    let trackers = Element::new("process_attr_trackers", shown);
    let document = Document::new(command, [trackers], code == status::OK);
    Ok(Outcome::new(code, document))
}

/// What the options ask for, in upstream's order.
fn jobs(ui: &Ui, args: &Which, domain: Domain) -> Result<Vec<Job>, Exit> {
    use ProcessAttribute as Attribute;

    let pid = match domain {
        Domain::Kernel => Attribute::ProcessId,
        Domain::Ust => Attribute::VirtualProcessId,
    };
    let given = [
        (pid, &args.pid),
        (Attribute::VirtualProcessId, &args.vpid),
        (Attribute::UserId, &args.uid),
        (Attribute::VirtualUserId, &args.vuid),
        (Attribute::GroupId, &args.gid),
        (Attribute::VirtualGroupId, &args.vgid),
    ];
    let given = given.into_iter().filter(|(_, options)| !options.is_empty());
    let mut jobs = Vec::new();
    for (attribute, options) in given {
        if domain == Domain::Ust && matches!(attribute, Attribute::UserId | Attribute::GroupId) {
            return Err(ui.fail(format_args!(
                "The {} process attribute cannot be tracked in the user space domain.",
                names(attribute).inline
            )));
        }
        // An option without a value has an empty one.
        let values: Vec<_> = options.iter().filter(|list| !list.is_empty()).collect();
        if args.all && !values.is_empty() {
            return Err(
                ui.fail("The --all option cannot be used with a list of process attribute values")
            );
        }
        if !args.all && values.len() < options.len() {
            return Err(ui.fail(format_args!(
                "No process attribute value specified for {} tracker",
                names(attribute).heading
            )));
        }
        let values = values.into_iter().flat_map(|list| listed(list));
        jobs.push(Job {
            attribute,
            values: values.map(str::to_owned).collect(),
        });
    }
    if jobs.is_empty() {
        return Err(ui.fail("At least one process attribute must be specified"));
    }
    Ok(jobs)
}

/// An id where the attribute has one, else a name; `None` for a process without id.
fn value(attribute: ProcessAttribute, text: &str) -> Option<ProcessAttributeValue> {
    let kind = match crate::values::count(text).map(u32::try_from) {
        Some(Ok(id)) => Kind::Id(id),
        _ if is_process_id(attribute) => return None,
        _ => Kind::Name(text.into()),
    };
    Some(ProcessAttributeValue { kind: Some(kind) })
}

impl Place<'_> {
    /// `--all`.
    async fn set_policy(
        &self,
        client: &mut Client,
        attribute: ProcessAttribute,
    ) -> (Vec<Element>, u8) {
        let (policy, word) = match self.direction {
            Direction::Track => (TrackingPolicy::IncludeAll, "include all"),
            Direction::Untrack => (TrackingPolicy::ExcludeAll, "exclude all"),
        };
        let Names { heading, short, .. } = names(attribute);
        let result = self.send_policy(client, attribute, policy).await;
        let code = match &result {
            Ok(()) => {
                self.ui
                    .say(format_args!("{heading} tracking policy set to `{word}`"));
                status::OK
            }
            Err(failure) if is_missing_session(failure) => {
                self.ui
                    .error(format_args!("Session `{}` does not exist", self.session));
                status::FATAL
            }
            Err(failure) => {
                failure.say(self.ui, failure.text());
                status::ERROR
            }
        };
        let kind = Element::new("type", [Element::text("all", true)]);
        let success = Element::text("success", result.is_ok());
        (vec![Element::new(short, [kind, success])], code)
    }

    /// Puts the values of one attribute into its set, or takes them out, until one is refused.
    async fn change(&self, client: &mut Client, job: &Job) -> (Vec<Element>, u8) {
        let mut shown = Vec::new();
        if let Err(failure) = self.ensure_set(client, job.attribute).await {
            failure.say(self.ui, said_text(&failure));
            return (shown, status::ERROR);
        }
        for text in &job.values {
            let Names { inline, short, .. } = names(job.attribute);
            let Some(value) = value(job.attribute, text) else {
                self.ui.error(format_args!(
                    "{text} is not a valid {inline} value; expected an integer"
                ));
                return (shown, status::ERROR);
            };
            let result = self.send(client, job.attribute, value.clone()).await;
            let done = self.say(job.attribute, text, &value, result);
            shown.push(trackers::value_element(short, &value).with(Element::text("success", done)));
            if !done {
                return (shown, status::ERROR);
            }
        }
        (shown, status::OK)
    }

    /// Single values need an inclusion set: another policy gives way to an empty one.
    async fn ensure_set(
        &self,
        client: &mut Client,
        attribute: ProcessAttribute,
    ) -> Result<(), Failure> {
        let request = GetTrackerRequest {
            session: self.session.into(),
            domain: self.domain.proto(),
            attribute: attribute.into(),
        };
        let answer = client.get_tracker(request).await?.into_inner();
        if answer.tracker.unwrap_or_default().policy() == TrackingPolicy::IncludeSet {
            return Ok(());
        }
        self.send_policy(client, attribute, TrackingPolicy::IncludeSet)
            .await
    }

    async fn send_policy(
        &self,
        client: &mut Client,
        attribute: ProcessAttribute,
        policy: TrackingPolicy,
    ) -> Result<(), Failure> {
        let request = SetTrackingPolicyRequest {
            session: self.session.into(),
            domain: self.domain.proto(),
            attribute: attribute.into(),
            policy: policy.into(),
        };
        client.set_tracking_policy(request).await?;
        Ok(())
    }

    async fn send(
        &self,
        client: &mut Client,
        attribute: ProcessAttribute,
        value: ProcessAttributeValue,
    ) -> Result<(), Failure> {
        let (session, domain) = (self.session.to_owned(), self.domain.proto());
        let (attribute, value) = (attribute.into(), Some(value));
        match self.direction {
            Direction::Track => {
                let request = TrackRequest {
                    session,
                    domain,
                    attribute,
                    value,
                };
                client.track(request).await?;
            }
            Direction::Untrack => {
                let request = UntrackRequest {
                    session,
                    domain,
                    attribute,
                    value,
                };
                client.untrack(request).await?;
            }
        }
        Ok(())
    }

    /// Says what became of a value; whether it is as wanted now.
    fn say(
        &self,
        attribute: ProcessAttribute,
        text: &str,
        value: &ProcessAttributeValue,
        result: Result<(), Failure>,
    ) -> bool {
        let ui = self.ui;
        let inline = names(attribute).inline;
        let shown = trackers::value_text(value);
        let Err(failure) = result else {
            match self.direction {
                Direction::Track => ui.say(format_args!(
                    "Added {text} to the {inline} tracker inclusion set"
                )),
                Direction::Untrack => ui.say(format_args!(
                    "Removed {text} from the {inline} tracker inclusion set"
                )),
            }
            return true;
        };
        match failure.code {
            ErrorCode::PROCESS_ATTRIBUTE_EXISTS => ui.warn(format_args!(
                "{shown} is already in the {inline} inclusion set"
            )),
            // The words are upstream's.
            ErrorCode::PROCESS_ATTRIBUTE_MISSING => ui.warn(format_args!(
                "{shown} is not in the {inline} the inclusion set"
            )),
            ErrorCode::USER_NOT_FOUND => ui.error(format_args!("User {shown} was not found")),
            ErrorCode::GROUP_NOT_FOUND => ui.error(format_args!("Group {shown} was not found")),
            _ => failure.say(ui, said_text(&failure)),
        }
        matches!(
            failure.code,
            ErrorCode::PROCESS_ATTRIBUTE_EXISTS | ErrorCode::PROCESS_ATTRIBUTE_MISSING
        )
    }
}

fn is_missing_session(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::SESSION_NOT_FOUND | ErrorCode::SESSION_DOES_NOT_EXIST
    )
}

/// Upstream has a text of its own for a session that is not there.
fn said_text(failure: &Failure) -> &'static str {
    if is_missing_session(failure) {
        "Recording session does not exist"
    } else {
        failure.text()
    }
}
