//! What the connections of one database share: the index of its log, and who holds which lock.

/// Bytes of a region of the index.
pub(crate) const REGION: usize = 32 * 1024;

/// Locks of the index.
const LOCKS: usize = 8;

/// Which connection, as long as it is open.
pub(crate) type Owner = u64;

/// One region. Its place in memory does not change; words, so that it lies as SQLite wants it.
type Region = Box<[u64; REGION / 8]>;

/// What one connection holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    owner: Owner,
    /// The lock on the file: 0 none, 1 shared, 2 reserved, 3 pending, 4 exclusive.
    file: i32,
    shared: [bool; LOCKS],
    exclusive: [bool; LOCKS],
}

/// See the module.
#[derive(Default)]
pub(crate) struct Shared {
    regions: Vec<Region>,
    holders: Vec<Held>,
    last: Owner,
}

impl Shared {
    /// A further connection.
    pub(crate) fn join(&mut self) -> Owner {
        self.last += 1;
        self.holders.push(Held {
            owner: self.last,
            file: 0,
            shared: [false; LOCKS],
            exclusive: [false; LOCKS],
        });
        self.last
    }

    /// A connection is closed. With the last one the index goes.
    pub(crate) fn leave(&mut self, owner: Owner) {
        self.holders.retain(|held| held.owner != owner);
        if self.holders.is_empty() {
            self.regions.clear();
        }
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.holders.len()
    }

    /// Where a region lies; `None` if it is not there and must not be made.
    pub(crate) fn region(&mut self, place: usize, make: bool) -> Option<*mut u64> {
        while make && self.regions.len() <= place {
            self.regions.push(Box::new([0; REGION / 8]));
        }
        self.regions.get_mut(place).map(|one| one.as_mut_ptr())
    }

    /// Takes a lock on the file, or says that somebody is in the way.
    pub(crate) fn lock_file(&mut self, owner: Owner, level: i32) -> bool {
        let others = self.holders.iter().filter(|held| held.owner != owner);
        let highest = others.map(|held| held.file).max().unwrap_or(0);
        let free = match level {
            0 => true,
            1 => highest < 3,
            2 => highest < 2,
            _ => highest < 1,
        };
        if free {
            self.of(owner, |held| held.file = held.file.max(level));
        }
        free
    }

    pub(crate) fn unlock_file(&mut self, owner: Owner, level: i32) {
        self.of(owner, |held| held.file = held.file.min(level));
    }

    /// Whether anybody means to write to the file.
    pub(crate) fn is_reserved(&self) -> bool {
        self.holders.iter().any(|held| held.file >= 2)
    }

    /// Takes locks of the index, all or none.
    pub(crate) fn lock(
        &mut self,
        owner: Owner,
        from: usize,
        count: usize,
        exclusive: bool,
    ) -> bool {
        let wanted = from..(from + count).min(LOCKS);
        let in_the_way = |held: &Held| {
            let mut places = wanted.clone();
            places.any(|at| held.exclusive[at] || (exclusive && held.shared[at]))
        };
        let mut others = self.holders.iter().filter(|held| held.owner != owner);
        if others.any(in_the_way) {
            return false;
        }
        self.of(owner, |held| {
            let locks = if exclusive {
                &mut held.exclusive
            } else {
                &mut held.shared
            };
            locks[wanted.clone()].fill(true);
        });
        true
    }

    pub(crate) fn unlock(&mut self, owner: Owner, from: usize, count: usize, exclusive: bool) {
        let wanted = from..(from + count).min(LOCKS);
        self.of(owner, |held| {
            let locks = if exclusive {
                &mut held.exclusive
            } else {
                &mut held.shared
            };
            locks[wanted].fill(false);
        });
    }

    fn of(&mut self, owner: Owner, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.holders.iter_mut().find(|held| held.owner == owner) {
            change(held);
        }
    }
}
