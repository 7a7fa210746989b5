//! The public API on files made here, on arbitrary bytes, and on real files where they are at hand.

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod detection;
#[cfg(test)]
mod real;
#[cfg(test)]
mod synthetic;
