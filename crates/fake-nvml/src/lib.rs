//! A stand-in for NVIDIA's management library (NVML), for tests.
//!
//! Built as a shared library it exports the functions that a monitor calls, and answers for devices that are made up. It lies beside
//! the test executable, as `libfake_nvml.so`. Its state belongs to the file that was loaded, so each test takes a copy of its own:
//!
//! ```no_run
//! use fake_nvml::{FakeDriver, Value, Call};
//!
//! let folder = std::env::temp_dir();
//! let driver = FakeDriver::copy_into(&folder).expect("the library lies beside the executable");
//! let card = driver.add("GPU-1", "Fake H200");
//! driver.set(card, Value::Utilization, 37);
//! driver.answer(card, Call::PowerUsage, fake_nvml::NOT_SUPPORTED);
//! // … hand driver.path() to the monitor
//! ```
//!
//! As the real one does, it counts how often it was initialised, lists devices as they were at the first initialisation, and lets a card
//! that was lost come back only at the next one. Its driver version begins with [`VERSION_PREFIX`], by which a monitor can tell
//! that no hardware is behind it.

mod control;
mod exports;
mod state;

pub use control::{Card, FakeDriver};
pub use state::{Call, Value};

/// What the version of the driver begins with.
pub const VERSION_PREFIX: &str = "fake-nvml";

/// The call went well.
pub const SUCCESS: u32 = 0;
/// The device doesn't offer this.
pub const NOT_SUPPORTED: u32 = 3;
/// The caller may not ask this.
pub const NO_PERMISSION: u32 = 4;
/// The driver isn't loaded.
pub const DRIVER_NOT_LOADED: u32 = 9;
/// The device is gone.
pub const GPU_LOST: u32 = 15;
/// Something else went wrong.
pub const UNKNOWN: u32 = 999;
/// A code that no wrapper knows.
pub const UNHEARD_OF: u32 = 4242;
