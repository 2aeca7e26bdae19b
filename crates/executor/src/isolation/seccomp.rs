//! Keeping functions from the one thread of the executor that they could signal: that which they were started from.
//!
//! Landlock lets a process signal those of its own domain. The thread that starts a function has restricted itself, so it
//! is in the function's domain; Linux judges a signal by the thread that is named, and SIGKILL to one thread ends the
//! whole process: the executor, and with it the runs of all functions. So the thread also takes a filter of system
//! calls, which what it starts inherits, and which refuses whatever sends a signal to its number. Signals to everybody
//! or to a group need no filter: they are judged by the first thread of each process, which is in no domain.
//!
//! A filter sees numbers, not what pointers lead to or descriptors stand for. So ways that name the target there are
//! closed for all targets. Nor does it see which thread has the number: one that gets it when the thread has ended cannot
//! be signalled either by what was started from it.

use std::collections::BTreeMap;
use std::io;
use std::thread;

use nix::libc;
use rustix::io::Errno;
use rustix::process::test_kill_process;
use rustix::thread::gettid;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter, sock_filter,
};

/// Commands that name who gets the signals of a file, by pointers. The numbers are the same on all machines named here.
const F_SETOWN_EX: u32 = 15;
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;

/// Added to the numbers of x86-64 by programs of its x32 kind.
const X32: i64 = 0x4000_0000;

/// How the programs of a machine call its kernel.
struct Machine {
    arch: TargetArch,
    /// Its own programs.
    wide: &'static [Calls],
    /// How the kernel names the architecture of 32-bit programs, which run here as well.
    narrow_arch: u32,
    narrow: &'static [Calls],
}

/// The numbers of the calls by which signals are sent.
struct Calls {
    /// The target is their first argument: kill, tkill, rt_sigqueueinfo, pidfd_open.
    first: [i64; 4],
    /// The target is their second argument: tgkill, rt_tgsigqueueinfo.
    second: [i64; 2],
    /// The target is a descriptor, and may be an opened `/proc/NUMBER`.
    pidfd_send_signal: i64,
    fcntl: &'static [i64],
    ioctl: i64,
}

const X86_64: Machine = Machine {
    arch: TargetArch::x86_64,
    wide: &[
        Calls {
            first: [62, 200, 129, 434],
            second: [234, 297],
            pidfd_send_signal: 424,
            fcntl: &[72],
            ioctl: 16,
        },
        Calls {
            first: [X32 + 62, X32 + 200, X32 + 524, X32 + 434],
            second: [X32 + 234, X32 + 536],
            pidfd_send_signal: X32 + 424,
            fcntl: &[X32 + 72],
            ioctl: X32 + 514,
        },
    ],
    // i386, little-endian.
    narrow_arch: 0x4000_0003,
    narrow: &[Calls {
        first: [37, 238, 178, 434],
        second: [270, 335],
        pidfd_send_signal: 424,
        fcntl: &[55, 221],
        ioctl: 54,
    }],
};

const AARCH64: Machine = Machine {
    arch: TargetArch::aarch64,
    wide: &[Calls {
        first: [129, 130, 138, 434],
        second: [131, 240],
        pidfd_send_signal: 424,
        fcntl: &[25],
        ioctl: 29,
    }],
    // ARM, little-endian.
    narrow_arch: 0x4000_0028,
    narrow: &[Calls {
        first: [37, 238, 178, 434],
        second: [268, 363],
        pidfd_send_signal: 424,
        fcntl: &[55, 221],
        ioctl: 54,
    }],
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Whether the filter can be had here, or why not; really tried, on a thread that is given up for it.
pub(super) fn probe() -> io::Result<()> {
    let tried = thread::Builder::new()
        .name("seccomp-probe".to_owned())
        .spawn(|| {
            refuse_signals_to_this_thread()?;
            match test_kill_process(gettid()) {
                Err(Errno::PERM) => Ok(()),
                _sent => Err(io::Error::other("a filter was taken that does nothing")),
            }
        })?;
    let ended = |_panic| io::Error::other("the thread that tried it ended");
    tried.join().map_err(ended)?
}

/// Refuses signals to the calling thread from itself and from all processes that it starts, for ever. The thread cannot
/// get new privileges any more.
pub(super) fn refuse_signals_to_this_thread() -> io::Result<()> {
    let machine = machine()?;
    let thread = gettid().as_raw_nonzero().get().unsigned_abs();
    let refused = machine.program(Errno::PERM, |calls| calls.aimed_at(thread));
    // As from a kernel that is older than this call: programs then do without it.
    let unknown = machine.program(Errno::NOSYS, |calls| Ok(calls.unseen()));
    for program in [refused?, unknown?] {
        apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

fn machine() -> io::Result<Machine> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(X86_64),
        "aarch64" => Ok(AARCH64),
        other => Err(io::Error::other(format!(
            "Tripline has no filter of system calls for {other}"
        ))),
    }
}

// === impl Machine ===

impl Machine {
    /// A filter that answers calls under these rules with an error, and allows all others.
    fn program(
        &self,
        answer: Errno,
        rules: impl Fn(&Calls) -> Result<Rules, BackendError>,
    ) -> io::Result<BpfProgram> {
        let compile = |kinds: &[Calls]| -> Result<BpfProgram, BackendError> {
            let mut all = Rules::new();
            for calls in kinds {
                all.extend(rules(calls)?);
            }
            let answer = SeccompAction::Errno(answer.raw_os_error().unsigned_abs());
            SeccompFilter::new(all, SeccompAction::Allow, answer, self.arch)?.try_into()
        };
        let wide = compile(self.wide).map_err(io::Error::other)?;
        let narrow = compile(self.narrow).map_err(io::Error::other)?;
        joined(wide, narrow, self.narrow_arch)
    }
}

/// One program of two. What the crate makes begins with the same three steps: load the architecture of the call, skip the
/// next step if it is the right one, kill the process. Instead, calls of 32-bit programs go on to the rules for them.
fn joined(
    mut wide: BpfProgram,
    mut narrow: BpfProgram,
    narrow_arch: u32,
) -> io::Result<BpfProgram> {
    let rest = u32::try_from(wide.len()).map_err(io::Error::other)? - 3;
    match (&mut wide[..3], &mut narrow[..3]) {
        ([_, _, otherwise], [_, expected, _]) if otherwise.k == libc::SECCOMP_RET_KILL_PROCESS => {
            *otherwise = sock_filter {
                code: (libc::BPF_JMP | libc::BPF_JA) as u16,
                jt: 0,
                jf: 0,
                k: rest,
            };
            expected.k = narrow_arch;
        }
        _unknown => return Err(io::Error::other("the filter does not begin as it should")),
    }
    wide.append(&mut narrow);
    Ok(wide)
}

// === impl Calls ===

impl Calls {
    /// Those by which the thread could be signalled, now or whenever something happens to a file (which may be with any
    /// signal).
    fn aimed_at(&self, thread: u32) -> Result<Rules, BackendError> {
        let mut rules = Rules::new();
        for call in self.first {
            rules.insert(call, vec![rule(&[(0, thread)])?]);
        }
        for call in self.second {
            rules.insert(call, vec![rule(&[(1, thread)])?]);
        }
        for call in self.fcntl {
            let by_number = rule(&[(1, libc::F_SETOWN.unsigned_abs()), (2, thread)])?;
            rules.insert(*call, vec![by_number, rule(&[(1, F_SETOWN_EX)])?]);
        }
        let by_pointer = vec![rule(&[(1, FIOSETOWN)])?, rule(&[(1, SIOCSPGRP)])?];
        rules.insert(self.ioctl, by_pointer);
        Ok(rules)
    }

    /// Those that do not show whom they signal.
    fn unseen(&self) -> Rules {
        Rules::from([(self.pidfd_send_signal, Vec::new())])
    }
}

/// Arguments that are all so, by their places. Only their low halves are looked at, as the kernel does.
fn rule(arguments: &[(u8, u32)]) -> Result<SeccompRule, BackendError> {
    let is = |&(place, value): &(u8, u32)| {
        let value = u64::from(value);
        SeccompCondition::new(place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    SeccompRule::new(arguments.iter().map(is).collect::<Result<_, _>>()?)
}
