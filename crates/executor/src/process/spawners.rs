//! The threads that functions are started from: each function has its own.
//!
//! What restricts a process (`no_new_privs`, a Landlock domain, a filter of system calls, groups of a user) can be set on
//! a thread, and all that the thread starts inherits it. So nothing has to be done between fork and exec, and the
//! standard library stays on `posix_spawn`: the other way costs a third of the speed, and much more in a large process.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tripline_model::lock;

use super::account::Account;
use super::capabilities;
use super::scratch;
use crate::instance::StartError;
use crate::isolation::{Isolator, Ruleset};
use crate::protocol::{FunctionSpec, Isolation};

/// Starts under way at the same time; more wait.
const MAX_STARTS: usize = 64;

/// Threads of one function, at most. A thread waits in each start until the program is loaded.
const MAX_THREADS: usize = 4;

/// A thread from which nothing was started for so long ends.
const THREAD_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// All that such a thread has on its stack is a spawn.
const STACK_BYTES: usize = 256 * 1024;

/// The threads of one starter's functions.
pub(super) struct Spawners {
    isolation: Arc<Isolator>,
    threads: Arc<Mutex<HashMap<String, Spawner>>>,
    starts: Semaphore,
    /// Of a new thread.
    pub(super) stack_bytes: usize,
}

/// The threads of one function.
struct Spawner {
    spec: Arc<FunctionSpec>,
    /// `None` where nothing is restricted.
    ruleset: Option<Arc<Ruleset>>,
    tasks: SyncSender<Task>,
    queue: Queue,
    threads: usize,
    /// Tasks that are not done.
    pending: Arc<AtomicUsize>,
}

type Queue = Arc<Mutex<Receiver<Task>>>;

/// Gets the account to act as, if there is one, or why the thread could not be restricted.
type Task = Box<dyn FnOnce(Result<Option<&Account>, StartError>) + Send>;

/// What a thread begins with.
struct SpawnerThread {
    function: String,
    ruleset: Option<Arc<Ruleset>>,
    user: Option<String>,
    tasks: Queue,
    threads: Arc<Mutex<HashMap<String, Spawner>>>,
}

// === impl Spawners ===

impl Spawners {
    pub(super) fn new(isolation: Arc<Isolator>) -> Self {
        Self {
            isolation,
            threads: Arc::default(),
            starts: Semaphore::new(MAX_STARTS),
            stack_bytes: STACK_BYTES,
        }
    }

    /// Does something on the function's thread, with the function's rights. `scratch_root` is the directory of all of the
    /// function's scratch directories.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        spec: &Arc<FunctionSpec>,
        scratch_root: &Path,
        act: impl FnOnce(Option<&Account>) -> T + Send + 'static,
    ) -> Result<T, StartError> {
        let _start = self.starts.acquire().await.map_err(|_| ended())?;
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move |rights| {
            let _ = answer.send(rights.map(act));
        });
        let mut sure = None;
        loop {
            {
                let mut threads = lock(&self.threads);
                if let Some(spawner) = self.current(&mut threads, spec, sure)? {
                    self.hand_over(spawner, task)?;
                    break;
                }
            }
            sure = Some(self.ruleset(spec, scratch_root).await?);
        }
        answered.await.map_err(|_| ended())?
    }

    /// The threads that start the function as it is now: those that are there, or new ones with the rules of which the
    /// caller is `sure` that they are current.
    fn current<'t>(
        &self,
        threads: &'t mut HashMap<String, Spawner>,
        spec: &Arc<FunctionSpec>,
        sure: Option<Option<Arc<Ruleset>>>,
    ) -> Result<Option<&'t mut Spawner>, StartError> {
        let there = threads.get(&spec.name);
        if !there.is_some_and(|spawner| spawner.fits(spec, sure.as_ref())) {
            let Some(ruleset) = sure else {
                return Ok(None);
            };
            threads.insert(spec.name.clone(), self.make(spec, ruleset)?);
        }
        Ok(threads.get_mut(&spec.name))
    }

    fn hand_over(&self, spawner: &mut Spawner, task: Task) -> Result<(), StartError> {
        let pending = spawner.pending.clone();
        let busy = pending.load(Ordering::Relaxed) >= spawner.threads;
        if busy
            && spawner.threads < MAX_THREADS
            && let Err(error) = self.add_thread(spawner)
        {
            // Those that are there come to it, too.
            tracing::warn!(%error, "a function gets no further thread to be started from");
        }
        pending.fetch_add(1, Ordering::Relaxed);
        let counted: Task = Box::new(move |rights| {
            task(rights);
            pending.fetch_sub(1, Ordering::Relaxed);
        });
        // There is room for as many as `MAX_STARTS` allows.
        spawner.tasks.try_send(counted).map_err(|_| ended())
    }

    /// What the function may reach: the rules that are there, if they are still current, or new ones. The folders on the
    /// way may have many entries, and other runs wait for the calling thread, and for the map of threads.
    async fn ruleset(
        &self,
        spec: &Arc<FunctionSpec>,
        scratch_root: &Path,
    ) -> Result<Option<Arc<Ruleset>>, StartError> {
        let there = lock(&self.threads)
            .get(&spec.name)
            .filter(|spawner| spawner.is_of(spec))
            .and_then(|spawner| spawner.ruleset.clone());
        let (isolation, spec, scratch_root) = (
            self.isolation.clone(),
            spec.clone(),
            scratch_root.to_owned(),
        );
        let make = move || {
            if let Some(there) = there.filter(|there| there.is_current()) {
                return Ok(Some(there));
            }
            scratch::make_all(&scratch_root).map_err(StartError::Scratch)?;
            match spec.isolation {
                Isolation::None => Ok(None),
                Isolation::BestEffort | Isolation::Required => {
                    let ruleset = isolation.ruleset(&spec, &scratch_root);
                    Ok(Some(Arc::new(ruleset.map_err(StartError::Spawn)?)))
                }
            }
        };
        spawn_blocking(make).await.map_err(|_| ended())?
    }

    fn make(
        &self,
        spec: &Arc<FunctionSpec>,
        ruleset: Option<Arc<Ruleset>>,
    ) -> Result<Spawner, StartError> {
        let (sender, tasks) = sync_channel(MAX_STARTS);
        let mut spawner = Spawner {
            spec: spec.clone(),
            ruleset,
            tasks: sender,
            queue: Arc::new(Mutex::new(tasks)),
            threads: 0,
            pending: Arc::default(),
        };
        self.add_thread(&mut spawner)?;
        Ok(spawner)
    }

    fn add_thread(&self, spawner: &mut Spawner) -> Result<(), StartError> {
        let body = SpawnerThread {
            function: spawner.spec.name.clone(),
            ruleset: spawner.ruleset.clone(),
            user: spawner.spec.user.clone(),
            tasks: spawner.queue.clone(),
            threads: self.threads.clone(),
        };
        thread::Builder::new()
            .name("spawner".to_owned())
            .stack_size(self.stack_bytes)
            .spawn(|| body.live())
            .map_err(StartError::Spawn)?;
        spawner.threads += 1;
        Ok(())
    }
}

// === impl Spawner ===

impl Spawner {
    fn is_of(&self, spec: &Arc<FunctionSpec>) -> bool {
        Arc::ptr_eq(&self.spec, spec) || self.spec == *spec
    }

    /// Whether it starts the function as it is now, as far as that can be said in no time.
    fn fits(&self, spec: &Arc<FunctionSpec>, sure: Option<&Option<Arc<Ruleset>>>) -> bool {
        let is_current = |ruleset: &Arc<Ruleset>| {
            let sure = sure.and_then(Option::as_ref);
            sure.is_some_and(|sure| Arc::ptr_eq(sure, ruleset)) || ruleset.is_untouched()
        };
        self.is_of(spec) && self.ruleset.as_ref().is_none_or(is_current)
    }
}

// === impl SpawnerThread ===

impl SpawnerThread {
    /// What the thread does.
    fn live(self) {
        let account = self.restrict();
        loop {
            let next = lock(&self.tasks).recv_timeout(THREAD_IDLE_TIMEOUT);
            let task = match next {
                Ok(task) => task,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => match self.last_look() {
                    Some(task) => task,
                    None => return,
                },
            };
            match &account {
                Ok(account) => task(Ok(account.as_ref())),
                Err(error) => {
                    task(Err(again(error)));
                    // The next start tries anew.
                    lock(&self.threads).remove(&self.function);
                    let queue = lock(&self.tasks);
                    queue.try_iter().for_each(|task| task(Err(again(error))));
                    return;
                }
            }
        }
    }

    /// Before the thread ends: whether there is something to do after all. Tasks are sent under the same lock, so none
    /// is lost.
    fn last_look(&self) -> Option<Task> {
        let mut threads = lock(&self.threads);
        let ours = threads
            .get_mut(&self.function)
            .filter(|spawner| Arc::ptr_eq(&spawner.queue, &self.tasks));
        let Some(ours) = ours else {
            // Newer threads took its place. A task may have been sent here before, after the long wait for one.
            return self.tasks.try_lock().ok()?.try_recv().ok();
        };
        let Ok(queue) = self.tasks.try_lock() else {
            // Another thread waits for tasks.
            ours.threads -= 1;
            return None;
        };
        let task = queue.try_recv().ok();
        if task.is_none() {
            threads.remove(&self.function);
        }
        task
    }

    fn restrict(&self) -> Result<Option<Account>, StartError> {
        let account = self.user.as_deref().map(Account::find).transpose()?;
        let account = account.filter(Account::is_another);
        if let Some(account) = &account {
            account.take_groups()?;
        }
        match &self.ruleset {
            Some(ruleset) => {
                capabilities::drop_dangerous();
                ruleset.restrict_this_thread().map_err(StartError::Spawn)?;
            }
            None => nix::sys::prctl::set_no_new_privs()
                .map_err(io::Error::from)
                .map_err(StartError::Spawn)?,
        }
        Ok(account)
    }
}

fn ended() -> StartError {
    StartError::Spawn(io::Error::other(
        "the thread that starts the function ended",
    ))
}

/// The same error for somebody else.
fn again(error: &StartError) -> StartError {
    match error {
        StartError::NoUser(name) => StartError::NoUser(name.clone()),
        StartError::NotAsUser { user, why } => StartError::NotAsUser {
            user: user.clone(),
            why: why.clone(),
        },
        StartError::Spawn(error) => StartError::Spawn(io::Error::other(error.to_string())),
        other => StartError::Spawn(io::Error::other(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_queued_before_others_took_over_is_still_done() {
        let (sender, tasks) = sync_channel::<Task>(1);
        let thread = SpawnerThread {
            function: "f".to_owned(),
            ruleset: None,
            user: None,
            tasks: Arc::new(Mutex::new(tasks)),
            threads: Arc::default(),
        };
        assert!(thread.last_look().is_none());
        assert!(sender.try_send(Box::new(|_| ())).is_ok());
        // It waited in vain, and the threads of newer rules have its place in the map.
        assert!(thread.last_look().is_some());
        assert!(thread.last_look().is_none());
    }
}
