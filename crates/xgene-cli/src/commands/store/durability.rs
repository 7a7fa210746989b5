//! `xgene store durability`: what a year may cost, under assumptions that are printed with the figure.
//!
//! Nothing here looks at a backend. What was not given is assumed and said to be, so that the figure
//! cannot be quoted as a measurement.

use std::time::Duration;

use serde_json::json;
use xstore::durability::{Assumptions, Durability, MAX_NINES};

use crate::args;
use crate::codes::OK;
use crate::commands::table;
use crate::failure::Failure;
use crate::session::{Session, access};

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Long enough for somebody to hear of it, find a new medium and copy.
const REPAIR_DAYS_ASSUMED: f64 = 7.0;

pub(crate) fn run(args: &args::Durability, session: &Session) -> Result<u8, Failure> {
    let repair_days = args.repair.unwrap_or(REPAIR_DAYS_ASSUMED);
    let mut assumptions = Assumptions::new(losses(args), days(repair_days)?);
    assumptions.check = days(args.check.unwrap_or(0.0))?;
    assumptions.common_cause = args.common_cause;
    let durability = Durability::try_new(access(args.threshold, args.shares)?, &assumptions)?;
    let supported = durability.nines() < MAX_NINES;
    let object_loss = one_digit(durability.object_loss());
    let caveat = durability.caveat();
    session.terminal.message(
        "summary",
        json!({
            "threshold": args.threshold,
            "share_count": args.shares,
            "share_loss": assumptions.share_loss,
            "repair_days": repair_days,
            "check_days": args.check,
            "common_cause": args.common_cause,
            "assumed": assumed(args),
            "nines": (durability.nines() * 10.0).round() / 10.0,
            "object_loss": object_loss.parse::<f64>().ok().filter(|_| supported),
            "common_cause_share": (durability.common_cause_share() * 100.0).round() / 100.0,
            "caveat": caveat,
        }),
    );
    session.terminal.say(&assumption_table(args, repair_days));
    session.terminal.say(&figure(args, &durability));
    session.terminal.say(&caveat);
    Ok(OK)
}

/// One loss stands for all backends.
fn losses(args: &args::Durability) -> Vec<f64> {
    match args.loss.as_slice() {
        [loss] => vec![*loss; usize::from(args.shares)],
        each => each.to_vec(),
    }
}

fn days(days: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(days * SECONDS_PER_DAY)
        .map_err(|error| Failure::usage(format!("{days} days: {error}")))
}

/// What the command line left open, by its option.
fn assumed(args: &args::Durability) -> Vec<&'static str> {
    [
        ("repair", args.repair),
        ("check", args.check),
        ("common-cause", args.common_cause),
    ]
    .into_iter()
    .filter_map(|(option, given)| given.is_none().then_some(option))
    .collect()
}

fn assumption_table(args: &args::Durability, repair_days: f64) -> String {
    let loss: Vec<String> = args.loss.iter().map(f64::to_string).collect();
    let noticed = match args.check {
        Some(days) => format!("within {days} d"),
        None => "at once".into(),
    };
    let common_cause = match args.common_cause {
        Some(probability) => probability.to_string(),
        None => "left out".into(),
    };
    let mut rows = table(&["assumption", "value", "from"]);
    for (name, value, option) in [
        (
            "a backend loses its share within a year",
            loss.join(", "),
            "loss",
        ),
        ("a loss is noticed", noticed, "check"),
        (
            "a share is then restored in",
            format!("{repair_days} d on average"),
            "repair",
        ),
        (
            "one cause destroys too many within a year",
            common_cause,
            "common-cause",
        ),
    ] {
        let from = if assumed(args).contains(&option) {
            format!("assumed; set --{option}")
        } else {
            "the command line".into()
        };
        rows.add_row([name.to_owned(), value, from]);
    }
    rows.to_string()
}

fn figure(args: &args::Durability, durability: &Durability) -> String {
    let nines = durability.nines();
    let (k, n) = (args.threshold, args.shares);
    if nines >= MAX_NINES {
        return format!("{k}-of-{n}: more than {MAX_NINES:.0} nines, which no model supports");
    }
    let mut figure = format!(
        "{k}-of-{n}: {nines:.1} nines; a year costs the object with probability {}",
        one_digit(durability.object_loss())
    );
    if args.common_cause.is_some() {
        let percent = 100.0 * durability.common_cause_share();
        figure += &format!(", {percent:.0} % of it by the common cause");
    }
    figure
}

/// The model supports no second digit.
fn one_digit(probability: f64) -> String {
    format!("{probability:.0e}")
}
