//! Temporary credentials for a function's role.
//!
//! The hub holds a long-lived key for a security token service (AWS STS, or MinIO, which has the same call) and gets
//! credentials from it that end by themselves. Those alone are handed to the function. Begin with [`Roles`]; `sts` has the
//! calls to the service.

mod roles;
mod sts;

pub use roles::Roles;
pub use sts::{RoleSettings, StsError};
