//! What `/gpu/stats`, `/queue/stats` and `/models/stats` say: shapes that don't change.
//!
//! A measured value is an object of three: the number in a base unit or `null`, the unit, and the same for people, which is
//! `unknown` where the number is `null`.
//!
//! ```json
//! { "value": 3221225472, "unit": "bytes", "text": "3.22 GB" }
//! { "value": null, "unit": "celsius", "text": "unknown" }
//! ```

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::{Value, json};

use crate::health::timestamp;

/// The unit of a [`Measure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share of a whole, from 0 to 1; people read percent.
    Ratio,
    /// Bytes; people read GB, of 10⁹.
    Bytes,
    /// Degrees Celsius.
    Celsius,
    /// Watts.
    Watts,
    /// Seconds.
    Seconds,
    /// A count.
    Count,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Bytes => "bytes",
            Self::Celsius => "celsius",
            Self::Watts => "watts",
            Self::Seconds => "seconds",
            Self::Count => "count",
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{:.1} %", value * 100.0),
            Self::Bytes => bytes(value),
            Self::Celsius => format!("{value:.0} °C"),
            Self::Watts => format!("{value:.1} W"),
            Self::Seconds => format!("{value:.3} s"),
            Self::Count => format!("{value}"),
        }
    }
}

fn bytes(value: f64) -> String {
    for (unit, size) in [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] {
        if value.abs() >= size {
            return format!("{:.2} {unit}", value / size);
        }
    }
    format!("{value} B")
}

/// A measured value, or that it isn't known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    value: Option<f64>,
    unit: Unit,
}

impl Measure {
    /// A value in its base unit. What is no finite number isn't known.
    ///
    /// # Examples
    /// ```
    /// use inferometer_http::{Measure, Unit};
    ///
    /// let json = |measure: Measure| serde_json::to_value(measure).unwrap().to_string();
    /// let known = Measure::new(Unit::Ratio, 0.425);
    /// assert_eq!(json(known), r#"{"text":"42.5 %","unit":"ratio","value":0.425}"#);
    /// let unknown = Measure::new(Unit::Celsius, None);
    /// assert_eq!(json(unknown), r#"{"text":"unknown","unit":"celsius","value":null}"#);
    /// ```
    pub fn new(unit: Unit, value: impl Into<Option<f64>>) -> Self {
        let value = value.into().filter(|value| value.is_finite());
        Self { value, unit }
    }

    /// The share that `part` is of `whole`; unknown if either is, or the whole is nothing.
    pub fn share(part: Self, whole: Self) -> Self {
        let share = part.value.zip(whole.value);
        let share = share.filter(|(_, whole)| *whole > 0.0);
        Self::new(Unit::Ratio, share.map(|(part, whole)| part / whole))
    }

    /// The value, if it is known.
    pub fn value(&self) -> Option<f64> {
        self.value
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.value.map(|value| self.unit.text(value));
        let mut measure = serializer.serialize_struct("Measure", 3)?;
        measure.serialize_field("value", &self.value.map(number))?;
        measure.serialize_field("unit", self.unit.name())?;
        measure.serialize_field("text", text.as_deref().unwrap_or("unknown"))?;
        measure.end()
    }
}

/// Whole numbers without a point.
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole and below 2^53"
        )]
        return (value as i64).into();
    }
    value.into()
}

/// What is known of a GPU. [`Default`] knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GpuStats {
    /// Its index, as the driver counts.
    pub device_id: u32,
    /// Its UUID.
    #[serde(serialize_with = "or_unknown")]
    pub device_uuid: Option<String>,
    /// Its name.
    #[serde(serialize_with = "or_unknown")]
    pub device_name: Option<String>,
    /// Where its figures come from when no hardware is behind them: `replayed` or `faked`.
    pub simulated: Option<String>,
    /// Share of time in which it was at work, from 0 to 1.
    #[serde(serialize_with = "ratio")]
    pub utilization: Option<f64>,
    /// Bytes of its memory in use.
    #[serde(serialize_with = "in_bytes")]
    pub memory_used: Option<f64>,
    /// Bytes of its memory in all.
    #[serde(serialize_with = "in_bytes")]
    pub memory_total: Option<f64>,
    /// Bytes of its memory that are free.
    #[serde(serialize_with = "in_bytes")]
    pub memory_free: Option<f64>,
    /// Degrees Celsius.
    #[serde(serialize_with = "celsius")]
    pub temperature: Option<f64>,
    /// Watts drawn.
    #[serde(serialize_with = "watts")]
    pub power_usage: Option<f64>,
    /// Watts it may draw.
    #[serde(serialize_with = "watts")]
    pub power_limit: Option<f64>,
    /// Its compute mode, such as `default`.
    #[serde(serialize_with = "or_unknown")]
    pub compute_mode: Option<String>,
}

/// What is known of a queue. [`Default`] knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QueueStats {
    /// Its name.
    pub name: String,
    /// Requests in it.
    #[serde(serialize_with = "count")]
    pub depth: Option<f64>,
    /// Requests that fit in it.
    #[serde(serialize_with = "count")]
    pub capacity: Option<f64>,
}

/// What is known of workers. [`Default`] knows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WorkerStats {
    /// Those at work.
    #[serde(serialize_with = "count")]
    pub active: Option<f64>,
    /// Those there are.
    #[serde(serialize_with = "count")]
    pub total: Option<f64>,
}

/// What is known of a model. [`Default`] knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelStats {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(serialize_with = "or_unknown")]
    pub version: Option<String>,
    /// Where it is, such as `cuda:0` or `cpu`.
    #[serde(serialize_with = "or_unknown")]
    pub device: Option<String>,
    /// Whether it can be used.
    pub loaded: bool,
    /// Bytes of memory it takes.
    #[serde(serialize_with = "in_bytes")]
    pub memory: Option<f64>,
    /// Seconds it took to load.
    #[serde(serialize_with = "seconds")]
    pub load_duration: Option<f64>,
}

macro_rules! measured {
    ($($name:ident: $unit:ident),*) => {$(
        fn $name<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
            Measure::new(Unit::$unit, *value).serialize(serializer)
        }
    )*};
}
measured!(ratio: Ratio, in_bytes: Bytes, celsius: Celsius, watts: Watts, seconds: Seconds, count: Count);

fn or_unknown<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().unwrap_or("unknown").serialize(serializer)
}

/// `known` is whether somebody told.
fn word(known: bool) -> &'static str {
    if known { "known" } else { "unknown" }
}

pub(crate) fn gpu(devices: Option<&[GpuStats]>) -> Value {
    let entries: Vec<_> = devices
        .unwrap_or_default()
        .iter()
        .map(|device| {
            let used = Measure::new(Unit::Bytes, device.memory_used);
            let total = Measure::new(Unit::Bytes, device.memory_total);
            let mut json = json!(device);
            json["memory_utilization"] = json!(Measure::share(used, total));
            json
        })
        .collect();
    json!({
        "status": word(devices.is_some()),
        "timestamp": timestamp(),
        "device_count": devices.map(<[_]>::len),
        "devices": entries,
    })
}

pub(crate) fn queue(stats: Option<(&[QueueStats], WorkerStats)>) -> Value {
    let (queues, workers) = stats.unwrap_or_default();
    let of = |queue: &QueueStats| {
        let [depth, capacity] =
            [queue.depth, queue.capacity].map(|value| Measure::new(Unit::Count, value));
        let mut json = json!(queue);
        json["utilization"] = json!(Measure::share(depth, capacity));
        json
    };
    // All queues together: known if each of them is, and there is one.
    let sum = |value: fn(&QueueStats) -> Option<f64>| {
        let sum: Option<f64> = queues.iter().map(value).sum();
        sum.filter(|_| !queues.is_empty())
    };
    let all = of(&QueueStats {
        name: String::new(),
        depth: sum(|queue| queue.depth),
        capacity: sum(|queue| queue.capacity),
    });
    let [active, total] =
        [workers.active, workers.total].map(|value| Measure::new(Unit::Count, value));
    json!({
        "status": word(stats.is_some()),
        "timestamp": timestamp(),
        "depth": all["depth"],
        "capacity": all["capacity"],
        "utilization": all["utilization"],
        "queues": queues.iter().map(of).collect::<Vec<_>>(),
        "workers": {
            "active": active,
            "total": total,
            "utilization": Measure::share(active, total),
        },
    })
}

pub(crate) fn models(models: Option<&[ModelStats]>) -> Value {
    json!({
        "status": word(models.is_some()),
        "timestamp": timestamp(),
        "model_count": models.map(<[_]>::len),
        "models": models.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_null_and_unknown() {
        let device = GpuStats {
            memory_used: Some(3e9),
            memory_total: Some(12e9),
            temperature: Some(f64::NAN),
            ..GpuStats::default()
        };
        let json = gpu(Some(&[device]));
        let device = &json["devices"][0];
        assert_eq!(
            device["memory_used"],
            json!({ "value": 3_000_000_000_u64, "unit": "bytes", "text": "3.00 GB" })
        );
        assert_eq!(device["memory_utilization"]["text"], "25.0 %");
        assert_eq!(
            device["temperature"],
            json!({ "value": null, "unit": "celsius", "text": "unknown" })
        );
        assert_eq!(device["device_name"], "unknown");
        let nothing = gpu(None);
        assert_eq!(nothing["status"], "unknown");
        assert_eq!(nothing["device_count"], Value::Null);
        assert_eq!(gpu(Some(&[]))["device_count"], 0, "none is not unknown");
    }

    #[test]
    fn queues_add_up_only_where_all_are_known() {
        let queue_of = |depth| QueueStats {
            name: "inference".into(),
            depth,
            capacity: Some(8.0),
        };
        let workers = WorkerStats {
            active: Some(1.0),
            total: Some(4.0),
        };
        let json = queue(Some((&[queue_of(Some(2.0)), queue_of(Some(4.0))], workers)));
        assert_eq!(json["depth"]["value"], 6);
        assert_eq!(json["utilization"]["value"], 0.375);
        assert_eq!(json["workers"]["utilization"]["text"], "25.0 %");
        let partly = queue(Some((&[queue_of(Some(2.0)), queue_of(None)], workers)));
        assert_eq!(partly["depth"]["text"], "unknown");
        assert_eq!(partly["capacity"]["value"], 16);
        assert_eq!(queue(None)["depth"]["text"], "unknown");
    }
}
