//! Rights of root that would lead around what a function is restricted to.

use rustix::thread::{
    CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set,
};

/// With the first four a process reads or changes others, whatever Landlock says (Linux lets who may measure
/// performance read `/proc/PID/environ`); with the rest, files, memory or the kernel behind its back.
const DROPPED: [CapabilitySet; 9] = [
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::SYS_PTRACE,
    CapabilitySet::PERFMON,
    CapabilitySet::CHECKPOINT_RESTORE,
    CapabilitySet::BPF,
    CapabilitySet::DAC_READ_SEARCH,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_BOOT,
];

/// Takes care that what the calling thread starts from now on does not get these rights. A thread without the right to
/// do so has, but for odd containers, none of the others either.
pub(super) fn drop_dangerous() {
    for capability in DROPPED {
        if capability_is_in_bounding_set(capability) == Ok(true)
            && let Err(error) = remove_capability_from_bounding_set(capability)
            && rustix::process::geteuid().is_root()
        {
            tracing::warn!(?capability, %error, "a right of root could not be taken from functions");
        }
    }
}
