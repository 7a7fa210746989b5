//! How far a run said it had come: its `--json` lines up to the kill.

/// Before anything is told.
pub(super) const STARTED: &str = "started";

/// What the lines of one run say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The last stage reported.
    pub(super) stage: Option<String>,
    /// The last state of a share, which says something where there are no stages.
    status: Option<String>,
    /// The summary was printed: from here on the work is promised to be done.
    pub(super) acknowledged: bool,
}

impl Progress {
    /// Takes one line; one without its end was cut by the kill and says nothing.
    pub(super) fn take(&mut self, line: &str) {
        if !line.ends_with('\n') {
            return;
        }
        match string_field(line, "message_type") {
            Some("stage") => self.stage = string_field(line, "stage").map(str::to_owned),
            Some("progress") => self.status = string_field(line, "status").map(str::to_owned),
            Some("summary") => self.acknowledged = true,
            _ => {}
        }
    }

    /// Name of the moment of the kill, for the table.
    pub(super) fn label(&self) -> &str {
        if self.acknowledged {
            "acknowledged"
        } else {
            let told = self.stage.as_deref().or(self.status.as_deref());
            told.unwrap_or(STARTED)
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

    fn from_lines(text: &str) -> Progress {
        let mut progress = Progress::default();
        for line in text.split_inclusive('\n') {
            progress.take(line);
        }
        progress
    }

    #[test]
    fn the_last_stage_counts() {
        let progress = from_lines(LINES);
        assert_eq!(progress.label(), "segments");
        assert!(!progress.acknowledged);
        assert_eq!(from_lines("").label(), STARTED);
    }

    #[test]
    fn without_stages_the_state_of_a_share_counts() {
        let line = "{\"message_type\":\"progress\",\"status\":\"downloading\"}\n";
        assert_eq!(from_lines(line).label(), "downloading");
        assert_eq!(from_lines(&format!("{LINES}{line}")).label(), "segments");
    }

    #[test]
    fn only_a_whole_summary_line_acknowledges() {
        let summary = "{\"message_type\":\"summary\",\"manifest\":\"out.xgm\"}";
        let cut = from_lines(&format!("{LINES}{summary}"));
        assert!(!cut.acknowledged);
        let whole = from_lines(&format!("{LINES}{summary}\n"));
        assert_eq!(whole.label(), "acknowledged");
    }
}
