//! Lists of sessions, domains and channels.

use std::ffi::{c_char, c_int, c_uint};

use control::url::describe;
use control::v1::{self, BufferType, GetSessionRequest, ListSessionsRequest};

use crate::abi::{
    Channel, ChannelAttributes, ChannelExtension, Domain, Handle, Session, SessionExtension,
    buffer_type, domain_type,
};
use crate::boundary::{Tail, array, count, fixed, negative, out, positive, reference};
use crate::channel::OUTPUT_MMAP;
use crate::daemon::connect;
use crate::failure::Failure;
use crate::handle::Target;
use crate::lifecycle::session_name;

/// All sessions that this user may see.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_list_sessions(sessions: *mut *mut Session) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let place = unsafe { out(sessions) }?;
        place.set(std::ptr::null_mut());
        let there = connect()?.list_sessions(ListSessionsRequest {})?.sessions;
        place.set(array(
            &there,
            |_| Tail::room::<SessionExtension>(),
            listed_session,
        )?);
        count(there.len())
    })
}

fn listed_session(session: &v1::Session, tail: &mut Tail) -> Session {
    Session {
        name: fixed(&session.name),
        path: fixed(&describe(session.output.as_ref()).unwrap_or_default()),
        enabled: session.active.into(),
        snapshot_mode: session.snapshot.into(),
        live_timer_interval: session.live_timer_us,
        alignment_padding: [0; 4],
        extended: tail.put(SessionExtension {
            created: session.created_unix_s,
            is_set: 1,
        }),
    }
}

/// When a listed session was created, seconds since the Unix epoch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_get_creation_time(
    session: *const Session,
    creation_time: *mut u64,
) -> c_uint {
    positive(|| {
        // SAFETY: the crate's rule; the extension is NULL or made by this library.
        let (extended, place) = unsafe {
            (
                reference(reference(session)?.extended)?,
                out(creation_time)?,
            )
        };
        if extended.is_set == 0 {
            return Err(Failure::INVALID);
        }
        place.set(extended.created);
        Ok(())
    })
}

/// The domains that a session has channels in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_list_domains(
    session_name: *const c_char,
    domains: *mut *mut Domain,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (name, place) = unsafe { (self::session_name(session_name)?, out(domains)?) };
        let session = connect()?.get_session(GetSessionRequest::of(name))?;
        let user_space = |tracker: &v1::Tracker| tracker.domain() == v1::Domain::Ust;
        let tracks_user_space = session.trackers.iter().any(user_space);
        let buffers = match session.buffer_type() {
            BufferType::PerUid => Some(buffer_type::PER_UID),
            BufferType::PerPid => Some(buffer_type::PER_PID),
            // A domain without channels: something was tracked.
            BufferType::Unspecified if tracks_user_space => Some(buffer_type::PER_UID),
            BufferType::Unspecified => None,
        };
        let kernel = v1::Domain::Kernel;
        let has_kernel = session
            .channels
            .iter()
            .any(|channel| channel.domain() == kernel)
            || session
                .trackers
                .iter()
                .any(|tracker| tracker.domain() == kernel);
        let kernel = has_kernel.then_some((domain_type::KERNEL, buffer_type::GLOBAL));
        let there: Vec<_> = kernel
            .into_iter()
            .chain(buffers.map(|buffers| (domain_type::UST, buffers)))
            .collect();
        place.set(array(
            &there,
            |_| 0,
            |&(kind, buf_type), _| Domain {
                kind,
                buf_type,
                padding: [0; 12],
                attr: [0; 72],
            },
        )?);
        count(there.len())
    })
}

/// The channels of a session in a domain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_list_channels(
    handle: *const Handle,
    channels: *mut *mut Channel,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, place) = unsafe { (Target::read(handle)?, out(channels)?) };
        let session = connect()?.get_session(GetSessionRequest::of(&target.session))?;
        if target.domain == v1::Domain::Unspecified {
            return Err(Failure(control::ErrorCode::UNKNOWN_COMMAND));
        }
        let there: Vec<_> = session
            .channels
            .into_iter()
            .filter(|channel| channel.domain() == target.domain)
            .collect();
        place.set(array(
            &there,
            |_| Tail::room::<ChannelExtension>(),
            listed_channel,
        )?);
        count(there.len())
    })
}

fn listed_channel(channel: &v1::Channel, tail: &mut Tail) -> Channel {
    let given = channel.attributes.unwrap_or_default();
    let counters = channel.counters.unwrap_or_default();
    let timer = |us: u64| u32::try_from(us).unwrap_or(u32::MAX);
    Channel {
        name: fixed(&channel.name),
        enabled: channel.enabled.into(),
        attr: ChannelAttributes {
            overwrite: given.overwrite().into(),
            subbuf_size: given.subbuf_size,
            num_subbuf: given.subbuf_count,
            switch_timer_interval: timer(given.switch_timer_us),
            read_timer_interval: timer(given.read_timer_us),
            output: OUTPUT_MMAP,
            tracefile_size: given.tracefile_size,
            tracefile_count: given.tracefile_count,
            live_timer_interval: 0,
            align_to_64: 0,
            extended: tail.put(ChannelExtension {
                discarded_events: counters.discarded_events,
                lost_packets: counters.lost_packets,
                monitor_timer_interval: given.monitor_timer_us.unwrap_or(0),
                blocking_timeout: given.blocking_timeout_us,
            }),
            padding: [0; 268],
        },
        padding: [0; 16],
    }
}
