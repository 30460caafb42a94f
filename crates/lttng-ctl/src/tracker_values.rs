//! The values of an inclusion set.

use std::ffi::{CString, c_char, c_int, c_uint};

use control::v1::process_attribute_value::Kind;
use control::v1::{ProcessAttribute, ProcessAttributeValue};

use crate::boundary::{out, reference};

/// Values of `enum lttng_process_attr_values_status`.
const STATUS_OK: c_int = 0;
const STATUS_INVALID: c_int = -1;
const STATUS_INVALID_TYPE: c_int = -2;

/// `struct lttng_process_attr_values`, opaque to C.
#[derive(Debug)]
pub struct Values {
    list: Vec<Value>,
}

#[derive(Debug)]
enum Value {
    Pid(libc::pid_t),
    Uid(libc::uid_t),
    UserName(CString),
    Gid(libc::gid_t),
    GroupName(CString),
}

impl Values {
    /// What an answer has of a tracker of this attribute.
    pub(crate) fn of(attribute: ProcessAttribute, values: &[ProcessAttributeValue]) -> Self {
        let list = values
            .iter()
            .filter_map(|value| Value::of(attribute, value));
        Self {
            list: list.collect(),
        }
    }
}

impl Value {
    fn of(attribute: ProcessAttribute, value: &ProcessAttributeValue) -> Option<Self> {
        use ProcessAttribute as Attribute;

        let c = |name: &str| CString::new(name).ok();
        Some(match (attribute, value.kind.as_ref()?) {
            (Attribute::ProcessId | Attribute::VirtualProcessId, Kind::Id(id)) => {
                Self::Pid(libc::pid_t::try_from(*id).ok()?)
            }
            (Attribute::UserId | Attribute::VirtualUserId, Kind::Id(id)) => Self::Uid(*id),
            (Attribute::UserId | Attribute::VirtualUserId, Kind::Name(name)) => {
                Self::UserName(c(name)?)
            }
            (Attribute::GroupId | Attribute::VirtualGroupId, Kind::Id(id)) => Self::Gid(*id),
            (Attribute::GroupId | Attribute::VirtualGroupId, Kind::Name(name)) => {
                Self::GroupName(c(name)?)
            }
            _ => return None,
        })
    }

    /// Its value of `enum lttng_process_attr_value_type`.
    fn kind(&self) -> c_int {
        match self {
            Self::Pid(_) => 0,
            Self::Uid(_) => 1,
            Self::UserName(_) => 2,
            Self::Gid(_) => 3,
            Self::GroupName(_) => 4,
        }
    }
}

/// How many there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_process_attr_values_get_count(
    values: *const Values,
    count: *mut c_uint,
) -> c_int {
    // SAFETY: the crate's rule; values were made by this library.
    match unsafe { (reference(values), out(count)) } {
        (Ok(values), Ok(place)) => {
            place.set(c_uint::try_from(values.list.len()).unwrap_or(c_uint::MAX));
            STATUS_OK
        }
        _ => STATUS_INVALID,
    }
}

/// The value at a place, if there is one.
unsafe fn at<'a>(values: *const Values, index: c_uint) -> Option<&'a Value> {
    // SAFETY: the crate's rule; values were made by this library.
    let values = unsafe { reference(values) }.ok()?;
    values.list.get(usize::try_from(index).ok()?)
}

/// Whether it is a number or a name, and of what; -1 if it is not there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_process_attr_values_get_type_at_index(
    values: *const Values,
    index: c_uint,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { at(values, index) }.map_or(STATUS_INVALID, Value::kind)
}

/// Puts a value if it is of the type that `read` takes.
unsafe fn get<T>(
    values: *const Values,
    index: c_uint,
    place: *mut T,
    read: impl FnOnce(&Value) -> Option<T>,
) -> c_int {
    // SAFETY: the crate's rule.
    let (Some(value), Ok(place)) = (unsafe { (at(values, index), out(place)) }) else {
        return STATUS_INVALID;
    };
    match read(value) {
        Some(value) => {
            place.set(value);
            STATUS_OK
        }
        None => STATUS_INVALID_TYPE,
    }
}

macro_rules! getters {
    ($($(#[$meta:meta])* $function:ident($type:ty) = $pattern:pat => $value:expr;)*) => {
        $(
            $(#[$meta])*
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $function(
                values: *const Values,
                index: c_uint,
                place: *mut $type,
            ) -> c_int {
                // SAFETY: the crate's rule.
                unsafe {
                    get(values, index, place, |value| match value {
                        $pattern => Some($value),
                        _ => None,
                    })
                }
            }
        )*
    };
}

getters! {
    /// A process id.
    lttng_process_attr_values_get_pid_at_index(libc::pid_t) = Value::Pid(pid) => *pid;
    /// A user id.
    lttng_process_attr_values_get_uid_at_index(libc::uid_t) = Value::Uid(uid) => *uid;
    /// A user name; it belongs to the values.
    lttng_process_attr_values_get_user_name_at_index(*const c_char) = Value::UserName(name) => name.as_ptr();
    /// A group id.
    lttng_process_attr_values_get_gid_at_index(libc::gid_t) = Value::Gid(gid) => *gid;
    /// A group name; it belongs to the values.
    lttng_process_attr_values_get_group_name_at_index(*const c_char) = Value::GroupName(name) => name.as_ptr();
}
