//! What a crash leaves on the disk. A killed process leaves what the system holds; a power cut leaves what was synced,
//! and of the rest any part, in any order, down to single sectors.

use std::collections::BTreeMap;

use super::{Change, Content, Disk, FileId, LOG};
use crate::dice::Dice;

/// Bytes that are written whole or not at all.
const SECTOR: usize = 512;

/// What a power cut did to what was not synced, for the histogram.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Damage {
    /// Changes that are gone.
    pub(crate) dropped: u64,
    /// Changes of which a part is there.
    pub(crate) torn: u64,
    /// Changes that are there although an earlier one of the same file is not.
    pub(crate) overtook: u64,
    /// Names that are not as they were seen.
    pub(crate) names: u64,
}

/// How the disk chose.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Nothing was written out.
    None,
    /// The first so many changes were.
    Prefix(u64),
    /// Each, or not.
    Any,
    /// Each sector, or not.
    Sectors,
}

impl Disk {
    /// The process is gone, the system goes on.
    pub(crate) fn kill(&mut self) {
        self.syncs_left = None;
        self.leave_log();
    }

    /// The power is gone.
    pub(crate) fn cut_power(&mut self, dice: &mut Dice) -> Damage {
        self.syncs_left = None;
        let mut damage = Damage::default();
        self.names = self.names_after_cut(dice, &mut damage);
        self.kept_names = self.names.clone();
        for file in &mut self.files {
            let manner = match dice.below(6) {
                0 => Manner::None,
                1 => Manner::Prefix(dice.below(file.pending.len() as u64 + 1)),
                2 | 3 => Manner::Any,
                _ => Manner::Sectors,
            };
            file.cut_power(manner, dice, &mut damage);
        }
        self.leave_log();
        damage
    }

    fn leave_log(&self) {
        let log = self.find(LOG).map_or(0, |id| self.len(id));
        self.show_log(log);
        self.forget_rewrite();
    }

    fn names_after_cut(
        &self,
        dice: &mut Dice,
        damage: &mut Damage,
    ) -> BTreeMap<&'static str, FileId> {
        let mut after = BTreeMap::new();
        for name in super::NAMES {
            let (seen, kept) = (self.names.get(name), self.kept_names.get(name));
            let stays = if seen != kept && dice.once_in(2) {
                damage.names += 1;
                kept
            } else {
                seen
            };
            if let Some(id) = stays {
                after.insert(name, *id);
            }
        }
        after
    }
}

impl Content {
    fn cut_power(&mut self, manner: Manner, dice: &mut Dice, damage: &mut Damage) {
        let mut one_is_gone = false;
        for (place, change) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            let whole = match manner {
                Manner::None => false,
                Manner::Prefix(count) => (place as u64) < count,
                Manner::Any | Manner::Sectors => dice.once_in(2),
            };
            if whole {
                change.apply(&mut self.kept);
                damage.overtook += u64::from(one_is_gone);
            } else if matches!(manner, Manner::Sectors) && change.tear(&mut self.kept, dice) {
                damage.torn += 1;
                one_is_gone = true;
            } else {
                damage.dropped += 1;
                one_is_gone = true;
            }
        }
        self.seen = self.kept.clone();
    }
}

impl Change {
    /// Applies some sectors; whether there is more than one to choose from.
    fn tear(&self, content: &mut Vec<u8>, dice: &mut Dice) -> bool {
        let Self::Write { at, data } = self else {
            return false;
        };
        if data.len() <= SECTOR {
            return false;
        }
        let mut from = 0;
        while from < data.len() {
            // Sectors are those of the disk, not those of the write.
            let to = (((at + from) / SECTOR + 1) * SECTOR - at).min(data.len());
            if dice.once_in(2) {
                let part = Self::Write {
                    at: at + from,
                    data: data[from..to].to_vec(),
                };
                part.apply(content);
            }
            from = to;
        }
        true
    }
}
