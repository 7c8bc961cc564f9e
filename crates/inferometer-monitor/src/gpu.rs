//! GPUs: what each card does, what it costs, and whether it can still be asked.
//!
//! ```no_run
//! use inferometer::Registry;
//! use inferometer_monitor::{gpu::GpuMonitor, scheduler::Scheduler};
//!
//! let registry = Registry::new();
//! let scheduler = Scheduler::new(&registry)?;
//! let monitor = GpuMonitor::builder().register(&registry)?;
//! monitor.start(&scheduler, GpuMonitor::INTERVAL)?;
//! // … serve; the registry's scrape has the figures
//! for gpu in monitor.stats_all() {
//!     println!("{} {:?} W", gpu.device.name, gpu.power);
//! }
//! monitor.shutdown();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **What is known is said, and nothing else.** A figure that a GPU doesn't offer is absent. A GPU that can't be read loses its series with
//! the poll that finds it so, `inferometer_gpu_up` is 0, `inferometer_gpu_errors_total` says why, and the others keep theirs. A driver
//! that isn't there is a state, and one that appears later is found.
//!
//! **A driver may hang.** It is called from a thread of its own, and whoever polls waits for a call only up to a limit; then the GPU counts as one
//! that can't be read until its call returns. Statistics, scrapes and health read memory and never wait.
//!
//! # Metrics
//!
//! All begin with `inferometer_gpu_` and have the label `uuid`; `inferometer_gpu_info` has the index and the name. [`GpuMetrics`] lists them.
//!
//! # Cost
//!
//! | tier | what | calls a GPU | how often |
//! |---|---|---|---|
//! | once | name, bus, total memory, thresholds | 6 | when it is found |
//! | fast | utilization, memory, power, energy, three clocks, throttling | 9 | each poll |
//! | slow | temperature, power limit, memory errors, compute mode, processes, and who is there | 9 or 10 | every 10 s |
//! | costly | PCIe throughput, fans | 3, and one a fan | each poll, when asked for |

mod audience;
mod board;
mod caller;
mod faults;
mod hooks;
mod inference;
mod metrics;
mod monitor;
mod nvml;
mod poller;
mod replay;
pub mod source;
mod visible;

pub use audience::Poll;
pub use board::{DeviceStatus, GpuStatus};
pub use hooks::{
    HookError, gpu_monitor, start_gpu_monitoring, start_gpu_monitoring_with, stop_gpu_monitoring,
};
pub use inference::InferenceMemory;
pub use metrics::{
    ByClock, ByDevice, ByEccKind, ByReason, ByThrottleReason, ByXid, Clock, DriverPhase, EccKind,
    Facts, GpuMetrics,
};
pub use monitor::{GpuError, GpuMonitor, GpuMonitorBuilder};
pub use nvml::Nvml;
pub use replay::{Recorder, Replay};
pub use visible::Visible;
