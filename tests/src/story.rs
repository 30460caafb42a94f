//! The story of a session: what was done to it, and which files were there after each step. Two toolchains that
//! keep the same contract have the same story.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::{Target, tree};

/// Commands given to a target, and the tree of its trace after each.
#[derive(Debug)]
pub struct Story<'a> {
    target: &'a Target,
    output: PathBuf,
    lines: Vec<String>,
}

impl<'a> Story<'a> {
    /// An empty story of the traces that `target` leaves in `output`.
    pub fn new(target: &'a Target, output: &Path) -> Self {
        Self {
            target,
            output: output.into(),
            lines: Vec::new(),
        }
    }

    /// Runs an `lttng` command line, which may fail; notes whether it did, and the files.
    pub fn run(&mut self, command: &str) -> Result<()> {
        let output = self.target.lttng(command)?;
        self.lines
            .push(format!("$ {command}: {}", output.code == 0));
        if self.output.exists() {
            self.lines.extend(tree(&self.output)?);
        }
        Ok(())
    }

    /// The same for an active session, of which only the archives stand still: the first packets of the new chunk
    /// may be on their way.
    pub fn run_active(&mut self, command: &str) -> Result<()> {
        let at = self.lines.len();
        self.run(command)?;
        let fixed = |line: &String| line.starts_with('$') || line.contains("/archives/");
        let rest = self.lines.split_off(at);
        self.lines.extend(rest.into_iter().filter(fixed));
        Ok(())
    }

    /// Where the traces are.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// What was noted: `$ COMMAND: WORKED`, and below it a line a file, as [`tree`] gives them.
    pub fn end(self) -> Vec<String> {
        self.lines
    }
}

/// Fails, and tells after which command, if two stories differ.
pub fn same_story(ours: &[String], stock: &[String]) -> Result<()> {
    for (at, (a, b)) in ours.iter().zip(stock).enumerate() {
        let before = &ours[..at];
        let what = before.iter().rev().find(|line| line.starts_with('$'));
        ensure!(
            a == b,
            "after {what:?}: ours {a:?}, stock {b:?}\n{ours:#?}\n{stock:#?}"
        );
    }
    ensure!(ours.len() == stock.len(), "{ours:#?}\n{stock:#?}");
    Ok(())
}
