//! What series of GPUs are told apart by.

use inferometer::{LabelSet, LabelValue, sample::gpu::ThrottleReason};

use super::super::source::Reason;

/// How many GPUs are told apart.
const DEVICES: usize = 128;

/// By GPU.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByDevice<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
}

/// By GPU, with what else it is called.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct Facts<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// Its index, such as `1`, or `1:0` for a MIG instance.
    #[label(limit = DEVICES)]
    pub index: &'a str,
    /// Its product name.
    #[label(limit = DEVICES)]
    pub name: &'a str,
    /// Where it is on the PCI bus.
    #[label(limit = DEVICES)]
    pub pci_bus_id: &'a str,
    /// The driver's version.
    #[label(limit = DEVICES)]
    pub driver_version: &'a str,
    /// The UUID of the GPU that it is a part of; empty when it is whole.
    #[label(limit = DEVICES)]
    pub parent: &'a str,
    /// `replayed` or `faked` when no hardware is behind it; empty otherwise.
    #[label(limit = 3)]
    pub simulated: &'a str,
}

/// By GPU and kind of failure.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByReason<'a> {
    /// The GPU's UUID; `unknown` for one that didn't tell it.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// What went wrong.
    pub reason: Reason,
}

/// By GPU and reason for slower clocks.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByThrottleReason<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// The reason.
    pub reason: ThrottleReason,
}

/// A clock.
#[derive(Clone, Copy, Debug, LabelValue)]
pub enum Clock {
    /// The graphics clock.
    Graphics,
    /// The multiprocessors' clock.
    Sm,
    /// The memory's clock.
    Memory,
}

/// By GPU and clock.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByClock<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// The clock.
    pub clock: Clock,
}

/// A kind of memory error.
#[derive(Clone, Copy, Debug, LabelValue)]
pub enum EccKind {
    /// It was corrected.
    Corrected,
    /// It lost data.
    Uncorrected,
}

/// By GPU and kind of memory error.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByEccKind<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// The kind.
    pub kind: EccKind,
}

/// By GPU and XID code.
#[derive(Clone, Copy, Debug, LabelSet)]
pub struct ByXid<'a> {
    /// The GPU's UUID.
    #[label(limit = DEVICES)]
    pub uuid: &'a str,
    /// The code, as the driver's documentation lists them.
    #[label(limit = 200)]
    pub xid: u64,
}

/// What became of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum DriverPhase {
    /// Nobody has asked for it yet.
    Unasked,
    /// It is there and answers.
    Loaded,
    /// There is none, which is no fault.
    Absent,
    /// There is one, and it can't be used.
    Broken,
    /// It doesn't answer.
    Hung,
    /// It was given back.
    Released,
}
