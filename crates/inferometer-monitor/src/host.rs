//! The machine and the process: processors, memory, disks, temperatures, pressure.
