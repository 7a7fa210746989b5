//! Arguments behind a subcommand: few enough that a parser crate would be the larger half.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};

/// The arguments not yet taken.
#[derive(Debug)]
pub(crate) struct Args(Vec<String>);

impl Args {
    pub(crate) fn new(arguments: impl IntoIterator<Item = String>) -> Self {
        Self(arguments.into_iter().collect())
    }

    /// Takes the switch `name`; true when it was given.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() < before
    }

    /// Takes the option `name` with the argument behind it.
    pub(crate) fn value<T>(&mut self, name: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(at) = self.0.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        self.0.remove(at);
        if at == self.0.len() {
            bail!("{name} needs a value");
        }
        let text = self.0.remove(at);
        let value = text
            .parse()
            .map_err(|error: T::Err| anyhow!("{error}"))
            .with_context(|| format!("{name} {text}"))?;
        Ok(Some(value))
    }

    /// Takes the first argument that is not an option; call it after the options are taken.
    pub(crate) fn positional(&mut self) -> Option<String> {
        let at = self
            .0
            .iter()
            .position(|argument| !argument.starts_with('-'))?;
        Some(self.0.remove(at))
    }

    /// Refuses whatever is left, so that a mistyped option is never ignored.
    pub(crate) fn finish(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        bail!("unknown argument: {}", self.0.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_and_positionals_are_taken_in_any_order() {
        let mut args = args("--seconds 7 vcf --full");
        assert_eq!(args.value::<u64>("--seconds").unwrap(), Some(7));
        assert!(args.switch("--full"));
        assert_eq!(args.positional().as_deref(), Some("vcf"));
        args.finish().unwrap();
    }

    #[test]
    fn absent_options_are_none() {
        let mut args = args("");
        assert_eq!(args.value::<u64>("--seconds").unwrap(), None);
        assert!(!args.switch("--full"));
        assert_eq!(args.positional(), None);
    }

    #[test]
    fn bad_values_and_unknown_options_are_refused() {
        assert!(args("--seconds").value::<u64>("--seconds").is_err());
        assert!(args("--seconds x").value::<u64>("--seconds").is_err());
        assert!(args("--second 7").finish().is_err());
    }
}
