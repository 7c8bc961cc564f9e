//! The process's own monitor.

use std::time::Duration;

use inferometer_monitor::{
    gpu::{GpuMonitor, gpu_monitor, start_gpu_monitoring_with, stop_gpu_monitoring},
    scheduler,
};

use super::machine::{Machine, until};

#[test]
fn the_processs_monitor_is_started_stopped_and_started_again() {
    assert!(gpu_monitor().is_none());
    assert!(stop_gpu_monitoring());
    let machine = Machine::with(1);
    let monitor = machine.monitor();
    let scheduler = scheduler::global().unwrap();
    assert!(start_gpu_monitoring_with(&monitor, &scheduler, Duration::ZERO).is_err());
    for _ in 0..2 {
        start_gpu_monitoring_with(&monitor, &scheduler, GpuMonitor::INTERVAL).unwrap();
        until("it polls at once", || machine.driver.sessions() == 1);
        let current = gpu_monitor().unwrap();
        assert!(current.is_running());
        assert!(stop_gpu_monitoring());
        assert!(!current.is_running());
        assert_eq!(machine.driver.sessions(), 0);
    }
}
