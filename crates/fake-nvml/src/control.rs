//! A copy of the library, and what a test tells it.

#![expect(
    unsafe_code,
    reason = "the library's functions are found by their names, and calling one is a promise about its type"
)]

use std::{
    ffi::{CString, c_char, c_uint, c_ulonglong},
    fs, io,
    path::{Path, PathBuf},
};

use libloading::{Library, Symbol};

use crate::state::{ANY, Call, Value};

/// A device, or with [`Card::ANY`] all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card(u32);

impl Card {
    /// Every device, and the calls that are about none.
    pub const ANY: Self = Self(ANY);
}

/// A copy of the library, loaded.
///
/// **Consistency.** What is told holds for every call that begins afterwards, and for those that hang.
#[derive(Debug)]
pub struct FakeDriver {
    library: Library,
    path: PathBuf,
}

impl FakeDriver {
    /// Copies the library into `folder` as `libnvidia-ml.so.1`, and loads it.
    ///
    /// # Errors
    /// The library isn't beside the executable, or can't be copied or loaded.
    pub fn copy_into(folder: &Path) -> io::Result<Self> {
        let path = folder.join("libnvidia-ml.so.1");
        fs::copy(Self::built()?, &path)?;
        // SAFETY: the file is this crate's own; it does nothing when it is loaded or unloaded.
        let library = unsafe { Library::new(&path) }.map_err(io::Error::other)?;
        Ok(Self { library, path })
    }

    /// Where the library was built: beside the executable, or in the folder above, as for examples.
    fn built() -> io::Result<PathBuf> {
        let executable = std::env::current_exe()?;
        executable
            .ancestors()
            .skip(1)
            .take(3)
            .flat_map(|folder| [folder.to_owned(), folder.join("deps")])
            .map(|folder| folder.join("libfake_nvml.so"))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::NotFound,
                    format!(
                        "libfake_nvml.so is not beside {}; a dev-dependency on fake-nvml builds it",
                        executable.display()
                    ),
                )
            })
    }

    /// Where the copy is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a device, seen from the next initialisation on, with figures like those of a large card at work.
    pub fn add(&self, uuid: &str, name: &str) -> Card {
        let card = self.named(b"fake_nvml_add\0", uuid, name);
        for (value, number) in [
            (Value::Utilization, 37),
            (Value::MemoryUtilization, 12),
            (Value::MemoryTotal, 150_754_820_096),
            (Value::MemoryUsed, 8_000_000_000),
            (Value::MemoryReserved, 500_000_000),
            (Value::Power, 123_456),
            (Value::PowerLimit, 700_000),
            (Value::Energy, 5_000_250),
            (Value::ClockGraphics, 1_980),
            (Value::ClockSm, 1_965),
            (Value::ClockMemory, 3_201),
            (Value::Throttle, 0x4),
            (Value::Temperature, 41),
            (Value::Slowdown, 87),
            (Value::Shutdown, 92),
            (Value::EccCorrected, 3),
            (Value::PcieReceived, 2_000),
            (Value::PcieSent, 1_000),
        ] {
            self.set(card, value, number);
        }
        card
    }

    /// Adds a part of a device: a MIG instance.
    pub fn add_part(&self, whole: Card, uuid: &str, name: &str, gpu: u32, compute: u32) -> Card {
        let (uuid, name) = (text(uuid), text(name));
        type Add =
            unsafe extern "C" fn(c_uint, *const c_char, *const c_char, c_uint, c_uint) -> c_uint;
        let add = self.symbol::<Add>(b"fake_nvml_add_part\0");
        // SAFETY: the function has this type, and both texts live until it returns.
        let card = Card(unsafe { add(whole.0, uuid.as_ptr(), name.as_ptr(), gpu, compute) });
        self.set(card, Value::MemoryTotal, 20_000_000_000);
        self.set(card, Value::MemoryUsed, 1_000_000_000);
        card
    }

    /// Removes a part, as somebody does who divides a device anew.
    pub fn remove_part(&self, part: Card) {
        self.tell(b"fake_nvml_remove_part\0", part);
    }

    /// Sets a figure, in the library's own unit.
    pub fn set(&self, card: Card, value: Value, number: u64) {
        type Set = unsafe extern "C" fn(c_uint, c_uint, c_ulonglong) -> c_uint;
        let set = self.symbol::<Set>(b"fake_nvml_set\0");
        // SAFETY: the function has this type.
        unsafe { set(card.0, value as c_uint, number) };
    }

    /// Adds a process that holds so many bytes on a device.
    pub fn process(&self, card: Card, pid: u32, memory: u64) {
        type Process = unsafe extern "C" fn(c_uint, c_uint, c_ulonglong) -> c_uint;
        let process = self.symbol::<Process>(b"fake_nvml_process\0");
        // SAFETY: the function has this type.
        unsafe { process(card.0, pid, memory) };
    }

    /// Lets a call answer `code` from now on; [`SUCCESS`](crate::SUCCESS) mends it.
    pub fn answer(&self, card: Card, call: Call, code: u32) {
        type Answer = unsafe extern "C" fn(c_uint, c_uint, c_uint) -> c_uint;
        let answer = self.symbol::<Answer>(b"fake_nvml_answer\0");
        // SAFETY: the function has this type.
        unsafe { answer(card.0, call as c_uint, code) };
    }

    /// Lets a call, or with `None` every call, hang until [`release`](Self::release).
    pub fn hang(&self, card: Card, call: Option<Call>) {
        type Hang = unsafe extern "C" fn(c_uint, c_uint) -> c_uint;
        let hang = self.symbol::<Hang>(b"fake_nvml_hang\0");
        // SAFETY: the function has this type.
        unsafe { hang(card.0, call.map_or(ANY, |call| call as c_uint)) };
    }

    /// Lets everything that hangs go on.
    pub fn release(&self) {
        self.ask(b"fake_nvml_release\0");
    }

    /// How many calls hang.
    pub fn hanging(&self) -> u32 {
        self.ask(b"fake_nvml_hanging\0")
    }

    /// Takes a device off the bus.
    pub fn lose(&self, card: Card) {
        self.tell(b"fake_nvml_lose\0", card);
    }

    /// Puts a lost device back; the driver sees it at its next initialisation.
    pub fn restore(&self, card: Card) {
        self.tell(b"fake_nvml_restore\0", card);
    }

    /// Raises an XID error.
    pub fn raise(&self, card: Card, xid: u64) {
        type Raise = unsafe extern "C" fn(c_uint, c_ulonglong) -> c_uint;
        let raise = self.symbol::<Raise>(b"fake_nvml_raise\0");
        // SAFETY: the function has this type.
        unsafe { raise(card.0, xid) };
    }

    /// For how many devices somebody waits for events.
    pub fn watched(&self) -> u32 {
        self.ask(b"fake_nvml_watched\0")
    }

    /// How many initialisations were not shut down yet.
    pub fn sessions(&self) -> u32 {
        self.ask(b"fake_nvml_sessions\0")
    }

    /// How often a function was called.
    pub fn calls(&self, call: Call) -> u32 {
        type Calls = unsafe extern "C" fn(c_uint) -> c_uint;
        let calls = self.symbol::<Calls>(b"fake_nvml_calls\0");
        // SAFETY: the function has this type.
        unsafe { calls(call as c_uint) }
    }

    /// Counts calls from 0 again.
    pub fn forget_calls(&self) {
        self.ask(b"fake_nvml_forget_calls\0");
    }

    fn named(&self, symbol: &[u8], uuid: &str, name: &str) -> Card {
        let (uuid, name) = (text(uuid), text(name));
        type Named = unsafe extern "C" fn(*const c_char, *const c_char) -> c_uint;
        let function = self.symbol::<Named>(symbol);
        // SAFETY: the function has this type, and both texts live until it returns.
        Card(unsafe { function(uuid.as_ptr(), name.as_ptr()) })
    }

    fn tell(&self, symbol: &[u8], card: Card) {
        let function = self.symbol::<unsafe extern "C" fn(c_uint) -> c_uint>(symbol);
        // SAFETY: the function has this type.
        unsafe { function(card.0) };
    }

    fn ask(&self, symbol: &[u8]) -> u32 {
        let function = self.symbol::<unsafe extern "C" fn() -> c_uint>(symbol);
        // SAFETY: the function has this type.
        unsafe { function() }
    }

    fn symbol<T>(&self, name: &[u8]) -> Symbol<'_, T> {
        // SAFETY: callers name one of this crate's own functions, with its type.
        unsafe { self.library.get(name) }.expect("the library was built from this crate")
    }
}

fn text(text: &str) -> CString {
    CString::new(text).expect("a test's text has no 0 in it")
}
