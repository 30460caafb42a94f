//! What can be wrong with a destination.

use super::Family;

/// What is wrong with a URL, in upstream's words where there are some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Not one of the protocols; the whole URL.
    UnknownProtocol(String),
    /// A local URL without an absolute path.
    RelativePath,
    /// Nothing where the host should be.
    NoHost,
    /// `[` without `]`; what follows the bracket.
    OpenBracket(String),
    /// Not 1 to 65535; the text.
    Port(String),
    /// More than a URL; the rest.
    Trailing(String),
    /// No address of this family.
    Unresolvable(String, Family),
    /// Ports that are equal, or a sub-directory that leaves its parent.
    Refused(&'static str),
    /// A single-stream URL, or another one that is valid but not here.
    Misplaced,
    /// A `net` control URL with another data URL.
    DataUrlDiffers,
    /// Control and data go to different hosts.
    HostsDiffer,
    /// The network option has one port or three.
    NetworkPorts(String),
}

impl UrlError {
    /// The first line of the message, if there is one besides the general ones.
    pub fn reason(&self) -> Option<String> {
        Some(match self {
            Self::UnknownProtocol(url) => format!("URI parse unknown protocol {url}"),
            Self::RelativePath => "Missing destination full path.".into(),
            Self::NoHost => "No address or hostname detected.".into(),
            Self::OpenBracket(rest) => format!("Broken IPv6 address {rest}"),
            Self::Port(port) => format!("Invalid port number {port}"),
            Self::Trailing(rest) => format!("Trailing characters not recognized: {rest}"),
            Self::Unresolvable(host, family) => {
                let number = match family {
                    Family::V6 => 10,
                    Family::V4 | Family::Any => 2,
                };
                format!("URI parse bad hostname {host} for af {number}")
            }
            Self::Refused(_) => "Invalid parameter".into(),
            Self::Misplaced => return None,
            Self::DataUrlDiffers => {
                "Control URL uses the net:// protocol and the data URL is different. Not allowed."
                    .into()
            }
            Self::HostsDiffer => "Control and data destination mismatch".into(),
            Self::NetworkPorts(text) => {
                format!(
                    "Invalid network destination {text}: use HOST or HOST:DATA_PORT:CONTROL_PORT"
                )
            }
        })
    }

    /// Whether the URL itself could not be read.
    pub fn is_syntax(&self) -> bool {
        !matches!(
            self,
            Self::Refused(_)
                | Self::Misplaced
                | Self::DataUrlDiffers
                | Self::HostsDiffer
                | Self::NetworkPorts(_)
        )
    }
}
