//! The machine and the process: processors, memory, disks, temperatures, pressure.
//!
//! A [`HostMonitor`] takes one [`HostSample`](inferometer::sample::host::HostSample) at each [`update`](HostMonitor::update), writes it
//! into metrics of its own and tells it to the [views](inferometer::sample::host::HostView) of whoever else wants it, such as a system
//! whose contract names `cpu_percent`. What it can't find out is absent.
//!
//! | [collector](Collector) | reads | finds |
//! |---|---|---|
//! | `cpu` | `/proc/stat` | seconds by mode, usage since the sample before |
//! | `memory` | `/proc/meminfo` | total, available, swap |
//! | `disk` | `/proc/self/mountinfo` | size, used, free by mount point |
//! | `temperature` | `/sys/class/hwmon`, else `/sys/class/thermal` | degrees by component |
//! | `pressure` | `/proc/pressure` | time that work waited for processors, memory, disks |
//! | `process` | `/proc/self` | processor time, memory, descriptors, start, threads |
//! | `runtime` | a tokio runtime's own figures, with the feature `tokio` | workers, tasks, queue, busy time |
//!
//! # The metrics
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `inferometer_host_cpu_seconds_total` | counter | `mode` |
//! | `inferometer_host_cpu_usage_ratio`, `inferometer_host_cpus` | gauge | |
//! | `inferometer_host_memory_{total,available,used}_bytes` | gauge | |
//! | `inferometer_host_swap_{total,used}_bytes` | gauge | |
//! | `inferometer_host_filesystem_{total,used,free}_bytes` | gauge | `mount_point` |
//! | `inferometer_host_temperature_celsius` | gauge | `component` |
//! | `inferometer_host_pressure_seconds_total` | counter | `resource`, `share` |
//! | `inferometer_process_cpu_seconds_total` | counter | `mode` |
//! | `inferometer_process_{resident,virtual}_memory_bytes`, `inferometer_process_threads` | gauge | |
//! | `inferometer_process_{open,max}_fds`, `inferometer_process_start_time_seconds` | gauge | |
//! | `inferometer_process_runtime_{workers,tasks,queue_depth}` | gauge | |
//! | `inferometer_process_runtime_busy_seconds_total` | counter | |
//! | `inferometer_host_collector_up`, `inferometer_host_collector_duration_seconds` | gauge | `collector` |
//! | `inferometer_host_collector_last_success_timestamp_seconds` | gauge | `collector` |
//! | `inferometer_host_collector_failures_total` | counter | `collector`, `reason` |
//!
//! # When something fails
//!
//! A collector that fails or panics stops no other: its `up` is 0, its series are gone, and a warning says once what was tried, on what,
//! and what to do. One that could read only a part shows that part, and its `up` is 0 too. Hardware that isn't there is no failure: no
//! sensors, no series.

mod collector;
mod failure;
mod files;
mod metrics;
mod monitor;
mod options;

pub use collector::Collector;
pub use failure::{Failure, Reason};
pub use monitor::HostMonitor;
pub use options::{Options, Roots, Space};
