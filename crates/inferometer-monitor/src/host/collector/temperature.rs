//! The temperatures, from `/sys/class/hwmon`, or `/sys/class/thermal` where there are none.

use std::path::Path;

use inferometer::sample::host::{HostSample, Temperature};

use super::{super::files::Files, Collect, Failure};

/// So many sensors are shown.
const LIMIT: usize = 64;

/// No chip has a name, and no sensor a label, of more bytes.
const LONGEST: usize = 200;

/// The sensors.
#[derive(Debug)]
pub(super) struct Sensors;

impl Collect for Sensors {
    fn collect(&mut self, files: &mut Files, sample: &mut HostSample) -> Result<(), Failure> {
        let mut found = Found::default();
        let class = files.roots.sys.join("class");
        found.monitors(files, &class.join("hwmon"))?;
        // Where the kernel has both, the zones repeat what the monitors say.
        if found.sensors == 0 {
            found.zones(files, &class.join("thermal"))?;
        }
        sample.temperatures = Some(found.temperatures);
        if found.sensors > LIMIT {
            found.failure = found.failure.or(Some(Failure::TooMany {
                things: "sensors of temperature are there",
                found: found.sensors,
                shown: LIMIT,
            }));
        }
        found.failure.map_or(Ok(()), Err)
    }
}

#[derive(Default)]
struct Found {
    sensors: usize,
    temperatures: Vec<Temperature>,
    failure: Option<Failure>,
}

impl Found {
    fn monitors(&mut self, files: &mut Files, folder: &Path) -> Result<(), Failure> {
        for monitor in files.names(folder, |name| name.starts_with("hwmon"))? {
            let folder = folder.join(monitor);
            let names = files.names(&folder, |name| name.starts_with("temp"))?;
            let has = |name: &str| names.iter().any(|other| other == name);
            for input in names.iter().filter(|name| name.ends_with("_input")) {
                let sensor = input.trim_end_matches("_input");
                let chip = text(files, &folder.join("name")).unwrap_or_else(|| "hwmon".to_owned());
                let label = has(&format!("{sensor}_label"))
                    .then(|| text(files, &folder.join(format!("{sensor}_label"))))
                    .flatten()
                    .unwrap_or_else(|| sensor.to_owned());
                // Each reading of a core's own sensor interrupts that core, and the package's is the highest of them.
                if chip == "coretemp" && label.starts_with("Core ") {
                    continue;
                }
                let fault = folder.join(format!("{sensor}_fault"));
                if has(&format!("{sensor}_fault"))
                    && text(files, &fault).is_some_and(|fault| fault != "0")
                {
                    continue;
                }
                self.sensor(files, format!("{chip}/{label}"), &folder.join(input));
            }
        }
        Ok(())
    }

    fn zones(&mut self, files: &mut Files, folder: &Path) -> Result<(), Failure> {
        for zone in files.names(folder, |name| name.starts_with("thermal_zone"))? {
            let folder = folder.join(&zone);
            let component = text(files, &folder.join("type")).unwrap_or(zone);
            self.sensor(files, component, &folder.join("temp"));
        }
        Ok(())
    }

    fn sensor(&mut self, files: &mut Files, component: String, path: &Path) {
        self.sensors += 1;
        if self.sensors > LIMIT {
            return;
        }
        match celsius(files, path) {
            Ok(Some(celsius)) => {
                let component = self.unlike_the_others(component);
                self.temperatures.push(Temperature { component, celsius });
            }
            Ok(None) => {}
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// Two disks of a kind have sensors of the same name: the second gets a number.
    fn unlike_the_others(&self, component: String) -> String {
        let taken = |name: &str| {
            self.temperatures
                .iter()
                .any(|other| other.component == name)
        };
        if !taken(&component) {
            return component;
        }
        (2..)
            .map(|number| format!("{component} ({number})"))
            .find(|name| !taken(name))
            .unwrap_or(component)
    }
}

/// A name; `None` where there is none, or none fit to be one: it is no more than a help.
fn text(files: &mut Files, path: &Path) -> Option<String> {
    let text = files.read(path).ok()?;
    let text = text.trim();
    (1..=LONGEST).contains(&text.len()).then(|| text.to_owned())
}

/// What a sensor says; `None` where it says nothing now: it is gone, or what it measures sleeps.
fn celsius(files: &mut Files, path: &Path) -> Result<Option<f64>, Failure> {
    let text = match files.read(path) {
        Ok(text) => text,
        Err(failure) if failure.is_absence() || sleeps(&failure) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let thousandths: Result<i32, _> = text.trim().parse();
    match thousandths {
        // Absolute zero is at −273.15.
        Ok(thousandths) if thousandths > -273_150 => Ok(Some(f64::from(thousandths) / 1000.0)),
        _ => Err(Failure::malformed(
            path,
            format!("it says {:?}, not a temperature", text.trim()),
        )),
    }
}

fn sleeps(failure: &Failure) -> bool {
    use rustix::io::Errno;
    let Failure::Unreadable { source, .. } = failure else {
        return false;
    };
    [Errno::NODATA, Errno::AGAIN]
        .iter()
        .any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
}
