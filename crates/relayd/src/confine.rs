//! Landlock: the kernel keeps the daemon in its output directory. Names from peers are checked before they
//! become paths; this holds where a check is wrong, or something else is in the way, a symbolic link for
//! instance.

use std::path::{Path, PathBuf};

use anyhow::Context;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

use crate::rundir::Temporary;

/// Without the right to move files between directories, which came with this version, trace chunks could
/// not be rotated.
const OLDEST: ABI = ABI::V2;
/// What newer kernels can refuse as well.
const NEWEST: ABI = ABI::V5;
/// Local time is in the names of directories.
const TIME_ZONES: [&str; 2] = ["/etc/localtime", "/usr/share/zoneinfo"];
const NULL: &str = "/dev/null";

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confine {
    WherePossible,
    /// Or do not start.
    Always,
    Never,
}

/// Confines this thread and all that it starts. Says how it went, for people. `temporary`: what will have to
/// be removed at the end.
pub(crate) fn confine(
    how: Confine,
    output: &Path,
    temporary: &[Temporary],
) -> anyhow::Result<String> {
    if how == Confine::Never {
        return Ok("none, as told".to_owned());
    }
    match try_confine(output, temporary) {
        Ok(version) => Ok(format!("Landlock {version}, to the output directory")),
        Err(error) if how == Confine::Always => Err(error).context("cannot confine the daemon"),
        Err(error) => Ok(format!("none: {error:#}")),
    }
}

fn try_confine(output: &Path, temporary: &[Temporary]) -> anyhow::Result<i32> {
    if !output.is_dir() {
        anyhow::bail!("the output directory {} is not there", output.display());
    }
    let status = restrict(output, temporary)?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            anyhow::bail!("Landlock is not enabled in this kernel")
        }
        (RulesetStatus::NotEnforced, _) => anyhow::bail!("this kernel has no Landlock"),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi as i32),
        (_, _) => Ok(OLDEST as i32),
    }
}

fn restrict(output: &Path, temporary: &[Temporary]) -> Result<RestrictionStatus, RulesetError> {
    let ours = AccessFs::from_all(NEWEST)
        & !(AccessFs::Execute
            | AccessFs::MakeChar
            | AccessFs::MakeBlock
            | AccessFs::MakeFifo
            | AccessFs::MakeSock
            | AccessFs::MakeSym
            | AccessFs::IoctlDev);
    let directories: Vec<PathBuf> = temporary
        .iter()
        .filter_map(|file| Some(file.path().parent()?.to_owned()))
        .collect();
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(OLDEST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        // All sockets are open; nothing is connected to, ever.
        .handle_access(AccessNet::from_all(ABI::V4))?
        .create()?
        .add_rules(path_beneath_rules([output], ours))?
        .add_rules(path_beneath_rules(TIME_ZONES, AccessFs::from_read(OLDEST)))?
        .add_rules(path_beneath_rules(
            [NULL],
            AccessFs::ReadFile | AccessFs::WriteFile,
        ))?
        .add_rules(path_beneath_rules(directories, AccessFs::RemoveFile))?
        .restrict_self()
}
