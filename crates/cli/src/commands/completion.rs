//! `lttng completion`.

use std::io;

use clap_complete::Shell;

use crate::app;
use crate::ui::{Exit, Outcome, status};

/// Print a completion script for a shell
///
/// Prints a completion script. For bash: lttng completion bash > ~/.local/share/bash-completion/completions/lttng
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Exit> {
    // Into memory first: the generator panics when a pipe is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut app::full_command(), "lttng", &mut script);
    if args.shell == Shell::Bash {
        script = with_sessions(&String::from_utf8_lossy(&script)).into_bytes();
    }
    let _ = io::Write::write_all(&mut io::stdout().lock(), &script);
    Ok(Outcome::plain(status::OK))
}

/// Puts the names of sessions beside what the generator knows.
fn with_sessions(script: &str) -> String {
    let registered = script.replace("-F _lttng ", "-F _lttng_or_session ");
    format!("{SESSIONS}{registered}")
}

/// Asks the session daemon, where the name of a session is meant.
const SESSIONS: &str = r#"_lttng_or_session() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} word name
    _lttng "$@"
    local IFS=$'\n'
    case $prev in
    -s | --session) COMPREPLY=() ;;
    -[coet] | --channel | --output | --viewer | --trace-path) return ;;
    *)
        [[ $cur != -* ]] || return
        for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
            case $word in
            clear | destroy | list | rotate | save | set-session | start | stop | view) name=$word ;;
            esac
        done
        [[ -n $name ]] || return
        COMPREPLY=()
        ;;
    esac
    for name in $(lttng list 2>/dev/null | sed -n 's/^  *[0-9]*) \(.*\) \[[a-z ]*\]$/\1/p'); do
        [[ $name != "$cur"* ]] || COMPREPLY+=("$(printf %q "$name")")
    done
}

"#;
