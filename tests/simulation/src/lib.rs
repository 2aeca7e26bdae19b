//! One seed, one history: the real dispatcher and the real journal, on a simulated disk, with simulated functions,
//! sources and clocks, over several lives of the hub. Each life but the last may end at any of its effects.
//!
//! | what | file |
//! |---|---|
//! | a whole history, from its seed | `run`, `script`, `dice` |
//! | one life of a hub | `life`, `hub` |
//! | every effect, and the one at which a life ends | `fate` |
//! | the disk, and how SQLite comes to it | `disk`, `shm`, `vfs` |
//! | who offers events | `sources` |
//! | what runs functions, and what these really did | `executor`, `ledger` |
//! | what the outside world knows | `history`, `world`, `clock` |
//! | what a crash left, by class | `aftermath` |
//! | what the hub may forget | `removals`, `between/removals` |
//! | what must hold at the end | `check` |
//! | hubs that are broken on purpose | `mutant`, `between`, `sources/gate` |
//! | many histories | `campaign` |

mod aftermath;
mod between;
mod campaign;
mod check;
mod clock;
mod dice;
mod disk;
mod executor;
mod fate;
mod history;
mod hub;
mod ledger;
mod life;
mod mutant;
mod removals;
mod run;
mod script;
mod shm;
mod sources;
mod vfs;
mod world;

pub use aftermath::{CLASSES, Classes};
pub use campaign::{Report, campaign, catch, regressions};
pub use check::RULES;
pub use mutant::Mutant;
pub use run::{Outcome, run};
