//! Context fields.

use std::ffi::{c_char, c_int};

use control::v1::{AddContextRequest, BufferType};
use control::{ContextField, ErrorCode, PerfCounter, PerfDomain};

use crate::abi::{EventContext, Handle};
use crate::boundary::{negative, optional_text, reference, text, text_of};
use crate::daemon::connect;
use crate::event::make_per_pid_channel;
use crate::failure::Failure;
use crate::handle::Target;

const PERF_THREAD_COUNTER: c_int = 14;
const APP_CONTEXT: c_int = 15;

/// Adds a context field to a channel, or to all of the domain. The event name means nothing, as in upstream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_add_context(
    handle: *const Handle,
    context: *const EventContext,
    _event_name: *const c_char,
    channel_name: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, context, channel) = unsafe {
            (
                Target::read(handle)?,
                reference(context)?,
                optional_text(channel_name)?.unwrap_or_default(),
            )
        };
        // SAFETY: the crate's rule, for the strings inside.
        let context = unsafe { spelling(context) }?;
        let mut daemon = connect()?;
        if target.buffers == BufferType::PerPid {
            make_per_pid_channel(&mut daemon, &target, &channel)?;
        }
        daemon.add_context(AddContextRequest {
            session: target.session,
            domain: target.domain.into(),
            channel,
            context,
        })?;
        Ok(0)
    })
}

/// The context as the control API spells it.
unsafe fn spelling(context: &EventContext) -> Result<String, Failure> {
    let unknown = Failure(ErrorCode::UST_CONTEXT_INVALID);
    match context.ctx {
        PERF_THREAD_COUNTER => {
            // SAFETY: the type says that this member is the one in use; it is plain data.
            let counter = unsafe { &context.u.perf_counter };
            let name = text_of(&counter.name)?;
            PerfCounter::spelling(PerfDomain::Thread, counter.kind, counter.config, &name)
                .ok_or(unknown)
        }
        APP_CONTEXT => {
            // SAFETY: the type says that this member is the one in use, with two strings.
            let (provider, name) = unsafe {
                let app = context.u.app;
                (text(app.provider_name)?, text(app.ctx_name)?)
            };
            Ok(format!("$app.{provider}:{name}"))
        }
        plain => {
            let number = u32::try_from(plain).map_err(|_| unknown)?;
            let spelling = ContextField::spelling_of_number(number).ok_or(unknown)?;
            Ok(spelling.into())
        }
    }
}
