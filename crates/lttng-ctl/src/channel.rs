//! Channels: making, describing and disabling them.

use std::ffi::{c_char, c_int};
use std::ptr;

use control::v1::{
    ChannelAttributes as Wanted, DisableChannelRequest, EnableChannelRequest, GetSessionRequest,
};

use crate::abi::{Channel, ChannelAttributes, ChannelExtension, Domain, Handle};
use crate::abi::{buffer_type, domain_type};
use crate::boundary::{guard, negative, out, reference, reference_mut, text, text_of, zeroed};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::handle::Target;

/// Microseconds.
const MONITOR_TIMER: u64 = 1_000_000;
/// Value of `enum lttng_event_output`.
pub(crate) const OUTPUT_MMAP: c_int = 1;

/// Upstream's defaults of a domain.
fn set_defaults(domain: &Domain, attr: &mut ChannelAttributes) {
    let extended = attr.extended;
    *attr = ChannelAttributes {
        overwrite: -1,
        subbuf_size: 0,
        num_subbuf: 0,
        switch_timer_interval: 0,
        read_timer_interval: 0,
        output: 0,
        tracefile_size: 0,
        tracefile_count: 0,
        live_timer_interval: 0,
        align_to_64: 0,
        extended,
        padding: [0; 268],
    };
    match domain.kind {
        domain_type::KERNEL => {
            attr.subbuf_size = 1 << 20;
            attr.num_subbuf = 4;
            attr.read_timer_interval = 200_000;
        }
        domain_type::UST => {
            attr.subbuf_size = match domain.buf_type {
                buffer_type::PER_UID => 512 << 10,
                _ => 16 << 10,
            };
            attr.num_subbuf = 4;
            attr.output = OUTPUT_MMAP;
        }
        _ => return,
    }
    // SAFETY: NULL or the extension of a channel made by this library.
    if let Some(extended) = unsafe { extended.as_mut() } {
        extended.monitor_timer_interval = MONITOR_TIMER;
        extended.blocking_timeout = 0;
    }
}

/// A channel with the defaults of a domain; NULL for domains that have no channels of their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_channel_create(domain: *const Domain) -> *mut Channel {
    guard(ptr::null_mut(), || {
        // SAFETY: the crate's rule.
        let Ok(domain) = (unsafe { reference(domain) }) else {
            return ptr::null_mut();
        };
        let fits = match domain.kind {
            domain_type::KERNEL => domain.buf_type == buffer_type::GLOBAL,
            domain_type::UST => {
                [buffer_type::PER_UID, buffer_type::PER_PID].contains(&domain.buf_type)
            }
            _ => false,
        };
        if !fits {
            return ptr::null_mut();
        }
        let (channel, extended) = (zeroed::<Channel>(), zeroed::<ChannelExtension>());
        // SAFETY: new objects that nobody else has; zeros are values of them; `free` takes NULL.
        unsafe {
            if channel.is_null() || extended.is_null() {
                libc::free(channel.cast());
                libc::free(extended.cast());
                return ptr::null_mut();
            }
            (*channel).attr.extended = extended;
            set_defaults(domain, &mut (*channel).attr);
        }
        channel
    })
}

/// Frees a channel made by [`lttng_channel_create`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_channel_destroy(channel: *mut Channel) {
    // SAFETY: NULL, or made by `lttng_channel_create` and given back once.
    unsafe {
        if let Some(inside) = channel.as_ref() {
            libc::free(inside.attr.extended.cast());
            libc::free(channel.cast());
        }
    }
}

/// Fills in the defaults of a domain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_channel_set_default_attr(
    domain: *const Domain,
    attr: *mut ChannelAttributes,
) {
    guard((), || {
        // SAFETY: the crate's rule.
        if let (Ok(domain), Ok(attr)) = unsafe { (reference(domain), reference_mut(attr)) } {
            set_defaults(domain, attr);
        }
    });
}

/// The channel's extension; refuses channels that have none.
unsafe fn extension<'a>(channel: *const Channel) -> Result<&'a mut ChannelExtension, Failure> {
    // SAFETY: the crate's rule; the extension was made by this library.
    unsafe { reference_mut(reference(channel)?.attr.extended) }
}

macro_rules! getters {
    ($($(#[$meta:meta])* $name:ident: $field:ident $kind:ty;)*) => {
        $(
            $(#[$meta])*
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(channel: *const Channel, place: *mut $kind) -> c_int {
                negative(|| {
                    // SAFETY: the crate's rule.
                    let (extended, place) = unsafe { (extension(channel)?, out(place)?) };
                    place.set(extended.$field);
                    Ok(0)
                })
            }
        )*
    };
}

getters! {
    /// Events that found no room, of a listed channel.
    lttng_channel_get_discarded_event_count: discarded_events u64;
    /// Packets that were overwritten before they were read, of a listed channel.
    lttng_channel_get_lost_packet_count: lost_packets u64;
    /// Microseconds.
    lttng_channel_get_monitor_timer_interval: monitor_timer_interval u64;
    /// Microseconds; 0 never blocks, -1 blocks for ever.
    lttng_channel_get_blocking_timeout: blocking_timeout i64;
}

/// Microseconds, 0 = off.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_channel_set_monitor_timer_interval(
    channel: *mut Channel,
    monitor_timer_interval: u64,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        unsafe { extension(channel) }?.monitor_timer_interval = monitor_timer_interval;
        Ok(0)
    })
}

/// Microseconds; 0 never blocks, -1 blocks for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_channel_set_blocking_timeout(
    channel: *mut Channel,
    blocking_timeout: i64,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let extended = unsafe { extension(channel) }?;
        if blocking_timeout < -1 {
            return Err(Failure::INVALID);
        }
        extended.blocking_timeout = blocking_timeout;
        Ok(0)
    })
}

/// Creates a channel, or enables a disabled one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_enable_channel(
    handle: *const Handle,
    channel: *const Channel,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; the extension is NULL or made by this library.
        let (target, channel) = unsafe { (Target::read(handle)?, reference(channel)?) };
        let name = text_of(&channel.name)?;
        let mut daemon = connect()?;
        if is_sizeless(&channel.attr) {
            // Sizes of 0 are wrong for a new channel, and of no meaning for one that is there.
            let session = daemon.get_session(GetSessionRequest::of(&target.session))?;
            if !session.channels.iter().any(|there| there.name == name) {
                return Err(Failure::INVALID);
            }
        }
        daemon.enable_channel(EnableChannelRequest {
            session: target.session,
            domain: target.domain.into(),
            channel: name,
            // SAFETY: as above.
            attributes: Some(unsafe { attributes(&channel.attr) }),
            buffer_type: target.buffers.into(),
        })?;
        Ok(0)
    })
}

fn is_sizeless(attr: &ChannelAttributes) -> bool {
    attr.subbuf_size == 0 || attr.num_subbuf == 0
}

unsafe fn attributes(attr: &ChannelAttributes) -> Wanted {
    // SAFETY: NULL or made by this library.
    let extended = unsafe { attr.extended.as_ref() };
    Wanted {
        overwrite: match attr.overwrite {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        subbuf_size: attr.subbuf_size,
        subbuf_count: attr.num_subbuf,
        switch_timer_us: attr.switch_timer_interval.into(),
        read_timer_us: attr.read_timer_interval.into(),
        monitor_timer_us: extended.map(|extended| extended.monitor_timer_interval),
        blocking_timeout_us: extended.map_or(0, |extended| extended.blocking_timeout),
        tracefile_size: attr.tracefile_size,
        tracefile_count: attr.tracefile_count,
    }
}

/// Disables a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_disable_channel(
    handle: *const Handle,
    name: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, channel) = unsafe { (Target::read(handle)?, text(name)?) };
        connect()?.disable_channel(DisableChannelRequest {
            session: target.session,
            domain: target.domain.into(),
            channel,
        })?;
        Ok(0)
    })
}
