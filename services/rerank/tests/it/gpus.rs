//! What the service shows of GPUs, with a driver's library that is loaded as NVIDIA's is.

use fake_nvml::{FakeDriver, Value};
use rerank::{scripted::Scripted, service::WatchConfig};

use super::served::{Served, often, small};

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_utilization_are_those_of_all_gpus_together() {
    let folder = tempfile::tempdir().unwrap();
    let driver = FakeDriver::copy_into(folder.path()).unwrap();
    let figures = [("GPU-a", 20, 3_000_000_000), ("GPU-b", 60, 500_000_000)];
    let [first, _] = figures.map(|(uuid, percent, bytes)| {
        let card = driver.add(uuid, "Fake H200");
        driver.set(card, Value::Utilization, percent);
        driver.set(card, Value::MemoryUsed, bytes);
        card
    });
    let watch = WatchConfig {
        gpus: true,
        nvml: Some(driver.path().to_owned()),
        ..often()
    };
    let served = Served::watching(small(), Scripted::default(), watch).await;
    served
        .until("both GPUs are read", |scrape| {
            scrape.0.get("gpu_memory_mb") == Some(&3500.0)
                && scrape.0.get("gpu_utilization_pct") == Some(&40.0)
        })
        .await;
    driver.set(first, Value::Utilization, 100);
    served
        .until("the mean follows", |scrape| {
            scrape.value("gpu_utilization_pct") == 80.0
        })
        .await;
}
