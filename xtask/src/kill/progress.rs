//! How far a run said it had come: its `--json` lines up to the kill.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What the lines of one run say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The last stage reported.
    pub(super) stage: Option<String>,
    /// The summary was printed: from here on the work is promised to be done.
    pub(super) acknowledged: bool,
}

impl Progress {
    pub(super) fn read(log: &Path) -> Result<Self> {
        let bytes = fs::read(log).with_context(|| format!("{}", log.display()))?;
        Ok(Self::from_lines(&String::from_utf8_lossy(&bytes)))
    }

    /// A last line without its end was cut by the kill and says nothing.
    fn from_lines(text: &str) -> Self {
        let mut progress = Self::default();
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            match string_field(line, "message_type") {
                Some("stage") => progress.stage = string_field(line, "stage").map(str::to_owned),
                Some("summary") => progress.acknowledged = true,
                _ => {}
            }
        }
        progress
    }

    /// Name of the moment of the kill, for the table.
    pub(super) fn label(&self) -> &str {
        if self.acknowledged {
            "acknowledged"
        } else {
            self.stage.as_deref().unwrap_or("started")
        }
    }
}

/// Value of a string field of one of our own flat JSON lines, whose names and stages hold no escapes.
fn string_field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = line.split_once(&format!("\"{name}\":"))?;
    let (value, _) = behind.trim_start().strip_prefix('"')?.split_once('"')?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        "{\"message_type\":\"stage\",\"stage\":\"journal\"}\n",
        "{\"message_type\":\"progress\",\"bytes\":5}\n",
        "{\"message_type\": \"stage\", \"stage\": \"segments\"}\n",
    );

    #[test]
    fn the_last_stage_counts() {
        let progress = Progress::from_lines(LINES);
        assert_eq!(progress.label(), "segments");
        assert!(!progress.acknowledged);
        assert_eq!(Progress::from_lines("").label(), "started");
    }

    #[test]
    fn only_a_whole_summary_line_acknowledges() {
        let summary = "{\"message_type\":\"summary\",\"manifest\":\"out.xgm\"}";
        let cut = Progress::from_lines(&format!("{LINES}{summary}"));
        assert!(!cut.acknowledged);
        let whole = Progress::from_lines(&format!("{LINES}{summary}\n"));
        assert_eq!(whole.label(), "acknowledged");
    }
}
