//! `xgene plan`: who would hold what, and who could read, before anything is written.

use genomicshare::plan;

use crate::args::Plan;
use crate::codes::OK;
use crate::commands::split::read_consent;
use crate::commands::{human_bytes, modes, table};
use crate::failure::Failure;
use crate::session::{Session, law, read_sites};

pub(crate) fn run(args: &Plan, session: &Session) -> Result<u8, Failure> {
    let sites = read_sites(&args.sites, args.threshold)?;
    let consent = args.consent.as_deref().map(read_consent).transpose()?;
    let len = match &args.file {
        Some(file) => Some(
            std::fs::metadata(file)
                .map_err(|error| Failure::input(file, &error))?
                .len(),
        ),
        None => None,
    };
    let plan = plan(&sites, consent.as_ref(), law(), len, session.now());
    show(&plan, session);
    plan.verdict()?;
    Ok(OK)
}

/// Prints a plan, refused or not.
pub(crate) fn show(plan: &genomicshare::Plan, session: &Session) {
    let terminal = session.terminal;
    terminal.message("plan", plan);
    let mut shares = table(&[
        "share",
        "code",
        "jurisdiction",
        "zone",
        "law",
        "operator",
        "endpoint",
    ]);
    for share in &plan.shares {
        let unsure = if share.law_unsure { " (unsure)" } else { "" };
        shares.add_row([
            share.index.to_string(),
            share.code.to_string(),
            share.name.clone(),
            share.zone.as_str().to_owned(),
            format!(
                "{}{unsure}",
                share.regulation.as_deref().unwrap_or("not in the table")
            ),
            share.operator.clone().unwrap_or_else(|| "not named".into()),
            share.endpoint.clone(),
        ]);
    }
    terminal.say(&shares.to_string());
    let holders: Vec<String> = plan
        .smallest_coalition
        .holders
        .iter()
        .map(|holder| format!("{} {}", holder.label, holder.value))
        .collect();
    terminal.say(&format!(
        "any {} of {} shares read; the smallest coalition that could: {}",
        plan.threshold,
        plan.shares.len(),
        holders.join(" + ")
    ));
    terminal.say(&format!(
        "sites that may be lost, in either mode: {}",
        plan.survivable_losses
    ));
    if let (Some(perfect), Some(short)) = (plan.stored_len_bytes, plan.short_stored_len_bytes) {
        terminal.say(&format!(
            "stored in all: {} perfect, {} short (computational)",
            human_bytes(perfect),
            human_bytes(short)
        ));
        terminal.say(modes::MEANING);
    }
    terminal.say(&format!("consent and placement are {}", plan.enforcement));
    if let Some(assurance) = plan.assurance {
        terminal.say(&format!("the consent is {assurance}"));
    }
    for transfer in plan.conditions() {
        terminal.say(&format!("condition: {transfer}"));
    }
    for warning in &plan.warnings {
        terminal.say(&format!("note: {warning}"));
    }
    if let Some(date) = plan.law_reviewed_on {
        terminal.say(&format!("law table reviewed on {date}; not legal advice"));
    }
    for refusal in &plan.refusals {
        terminal.say(&format!("refused: {refusal} ({})", refusal.code()));
    }
}
