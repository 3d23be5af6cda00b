//! The Node addon: each file converts the arguments of one capability and calls `pgmoneta_core`.

mod error;
mod system;
