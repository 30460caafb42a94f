//! Where a session's directory is, below the relay's output directory.

use super::names::{Component, NameError, RelativePath};
use crate::CreateSession;

/// What comes first in the output tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Grouping {
    /// `HOST/SESSION-TIME`.
    #[default]
    ByHost,
    /// `SESSION/HOST-TIME`.
    BySession,
}

/// The longest session name with its time: what a file system takes.
const MAX_NAME_AND_TIME: usize = 255;

/// The directory of a session of a peer since minor 11. `created` is its creation time as
/// `YYYYmmdd-HHMMSS` in local time.
///
/// # Errors
/// When a name is not fit to be a directory.
pub fn session_directory(
    grouping: Grouping,
    session: &CreateSession<'_>,
    created: &str,
) -> Result<RelativePath, NameError> {
    let name = Component::new("session name", session.session_name)?;
    let host = Component::new("host name", session.hostname)?;
    let base_path = match session.base_path {
        "" => None,
        path => Some(RelativePath::new("base path", path)?),
    };
    if name.as_str().len() + 1 + created.len() > MAX_NAME_AND_TIME {
        return Err(NameError::TooLong {
            field: "session name",
            max: MAX_NAME_AND_TIME,
        });
    }
    let path = match (grouping, base_path) {
        (Grouping::ByHost, Some(base)) => format!("{host}/{base}"),
        (Grouping::ByHost, None) if session.name_has_creation_time => format!("{host}/{name}"),
        (Grouping::ByHost, None) => format!("{host}/{name}-{created}"),
        (Grouping::BySession, Some(base)) => format!("{name}/{host}-{created}/{base}"),
        (Grouping::BySession, None) => format!("{name}/{host}-{created}"),
    };
    RelativePath::new("session directory", &path)
}

/// Where a peer before minor 11 wants its stream: the path it sends holds host, session and time, or what
/// the user gave for the latter two. `created` is when the relay created the session, as
/// `YYYYmmdd-HHMMSS` in local time.
///
/// # Errors
/// When the path is not fit to be a directory.
pub fn old_stream_directory(
    grouping: Grouping,
    session_name: &str,
    created: &str,
    path: &str,
) -> Result<RelativePath, NameError> {
    let path = RelativePath::new("stream path", path)?;
    if grouping == Grouping::ByHost {
        return Ok(path);
    }
    // HOST/NAME-TIME/rest becomes NAME/HOST-TIME/rest, HOST/custom/rest becomes
    // NAME/HOST-CREATED/custom/rest.
    let Some((host, below_host)) = path.as_str().split_once('/') else {
        return Ok(path);
    };
    let name_time = below_host.split_once('/');
    let named = name_time.and_then(|(name_time, rest)| {
        let time = name_time.strip_prefix(session_name)?.strip_prefix('-')?;
        Some((time, rest))
    });
    let (time, rest) = named.unwrap_or((created, below_host));
    let path = format!("{session_name}/{host}-{time}/{rest}");
    RelativePath::new("stream path", &path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SessionKey, TraceFormat};

    fn session(base_path: &str, name_has_creation_time: bool) -> CreateSession<'_> {
        CreateSession {
            session_name: "demo",
            hostname: "vm",
            live_timer_us: 0,
            snapshot: false,
            base_path,
            name_has_creation_time,
            key: SessionKey {
                sessiond_uuid: [1; 16],
                sessiond_session_id: 0,
            },
            creation_unix_s: 0,
            current_chunk: None,
            trace_format: TraceFormat::CTF_1_8,
        }
    }

    #[test]
    fn all_cases_of_the_table() {
        let dir = |grouping, base, named| {
            let path = session_directory(grouping, &session(base, named), "20261122-214708");
            path.unwrap().as_str().to_owned()
        };
        use Grouping::{ByHost, BySession};
        assert_eq!(dir(ByHost, "", false), "vm/demo-20261122-214708");
        assert_eq!(dir(ByHost, "", true), "vm/demo");
        assert_eq!(dir(ByHost, "a/b", false), "vm/a/b");
        assert_eq!(dir(BySession, "", false), "demo/vm-20261122-214708");
        assert_eq!(dir(BySession, "", true), "demo/vm-20261122-214708");
        assert_eq!(dir(BySession, "a/b", false), "demo/vm-20261122-214708/a/b");
    }

    #[test]
    fn hostile_names_are_refused() {
        for base in ["../x", "a/../b", "a/\u{7}"] {
            assert!(session_directory(Grouping::ByHost, &session(base, false), "t").is_err());
        }
        for name in ["", ".hidden", "a/b", "..", &"n".repeat(250)] {
            let hostile = CreateSession {
                session_name: name,
                ..session("", false)
            };
            let time = "20261122-214708";
            assert!(
                session_directory(Grouping::ByHost, &hostile, time).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn old_peers_send_whole_paths() {
        let path = "/vm/demo-20261122-214708//ust/uid/0/64-bit";
        let created = "20270101-010101";
        let dir = |grouping| old_stream_directory(grouping, "demo", created, path).unwrap();
        assert_eq!(
            dir(Grouping::ByHost).as_str(),
            "vm/demo-20261122-214708/ust/uid/0/64-bit"
        );
        assert_eq!(
            dir(Grouping::BySession).as_str(),
            "demo/vm-20261122-214708/ust/uid/0/64-bit"
        );
        let custom = "/vm/my/place//ust/uid/0/64-bit";
        let dir = old_stream_directory(Grouping::BySession, "demo", created, custom).unwrap();
        assert_eq!(
            dir.as_str(),
            "demo/vm-20270101-010101/my/place/ust/uid/0/64-bit"
        );
    }
}
