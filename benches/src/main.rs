//! Figures of the scheme on one core, beside a floor and beside peers measured in the same process.
//!
//! `cargo run --release -- floors | ours`, and `cargo run --release --features peers -- peers`. The
//! first line says on which machine and when. Nothing fails because it is slow.

mod case;
mod clock;
mod floors;
mod machine;
mod ours;
#[cfg(feature = "peers")]
mod peers;

use anyhow::{Result, bail};

const USAGE: &str = "floors, ours, or peers (with --features peers)";

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(which), None) = (args.next(), args.next()) else {
        bail!("{USAGE}")
    };
    let bench = match which.as_str() {
        "floors" => floors::run,
        "ours" => ours::run,
        #[cfg(feature = "peers")]
        "peers" => peers::run,
        _ => bail!("{USAGE}"),
    };
    println!("{}", machine::line());
    machine::pin()?;
    bench()
}
