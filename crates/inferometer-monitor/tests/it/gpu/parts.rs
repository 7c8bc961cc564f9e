//! MIG: GPUs in parts.

use fake_nvml::{Call, NOT_SUPPORTED};
use inferometer_monitor::gpu::Visible;

use super::machine::Machine;

fn parted() -> Machine {
    let mut machine = Machine::with(2);
    let name = "Fake H200 MIG 1g.18gb";
    for (uuid, gpu) in [("MIG-a", 7), ("MIG-b", 9)] {
        let part = machine
            .driver
            .add_part(machine.cards[0], uuid, name, gpu, 0);
        for call in [
            Call::UtilizationRates,
            Call::PowerUsage,
            Call::Temperature,
            Call::TotalEnergy,
        ] {
            machine.driver.answer(part, call, NOT_SUPPORTED);
        }
        machine.cards.push(part);
    }
    machine
}

#[test]
fn an_instance_is_a_gpu_of_its_own_and_names_the_one_it_is_part_of() {
    let machine = parted();
    let monitor = machine.monitor();
    assert_eq!(monitor.update().read, 4);
    let ids: Vec<_> = monitor
        .stats_all()
        .iter()
        .map(|sample| sample.device.id.to_string())
        .collect();
    assert_eq!(ids, ["0", "0:0", "0:1", "1"]);
    let part = monitor.device_info("0:1").unwrap();
    assert_eq!(&*part.uuid, "MIG-b");
    let instance = part.instance.as_ref().unwrap();
    assert_eq!(&*instance.parent, "GPU-0");
    assert_eq!(
        (instance.gpu_instance, instance.compute_instance),
        (Some(9), Some(0))
    );
    let info = r#"inferometer_gpu_info{uuid="MIG-b",index="0:1",name="Fake H200 MIG 1g.18gb",pci_bus_id="00000000:03:00.0",driver_version="fake-nvml 999.1",parent="GPU-0",simulated="faked"}"#;
    assert_eq!(machine.value(info), Some(1.0));
    assert_eq!(
        machine.value(r#"inferometer_gpu_memory_used_bytes{uuid="MIG-b"}"#),
        Some(1e9)
    );
    // What the driver tells only of the whole isn't made up for a part.
    assert_eq!(
        machine.value(r#"inferometer_gpu_power_watts{uuid="MIG-b"}"#),
        None
    );
    assert_eq!(monitor.stats("MIG-b").unwrap().utilization, None);
}

#[test]
fn a_visible_instance_comes_alone_and_a_visible_gpu_with_its_instances() {
    for (list, expected) in [
        ("MIG-b", &["0:1"][..]),
        ("0", &["0", "0:0", "0:1"]),
        ("1", &["1"]),
    ] {
        let machine = parted();
        let monitor = machine
            .builder()
            .visible(Visible::List(list.into()))
            .register(&machine.registry)
            .unwrap();
        monitor.update();
        let ids: Vec<_> = monitor
            .stats_all()
            .iter()
            .map(|sample| sample.device.id.to_string())
            .collect();
        assert_eq!(ids, expected, "{list}");
        assert_eq!(monitor.status().complaint, None);
    }
}

#[test]
fn an_instance_that_is_removed_on_purpose_leaves_nothing_behind() {
    let machine = parted();
    let monitor = machine.monitor();
    monitor.update();
    machine.driver.remove_part(machine.cards[2]);
    let poll = monitor.update();
    assert_eq!((poll.read, poll.failed), (3, 0));
    assert!(
        machine.names("MIG-a").is_empty(),
        "{:?}",
        machine.names("MIG-a")
    );
    // The other one has moved up.
    assert_eq!(&*monitor.device_info("MIG-b").unwrap().id, "0:0");
    assert_eq!(
        machine
            .page()
            .matches(r#"inferometer_gpu_info{uuid="MIG-b""#)
            .count(),
        1
    );
    // It is no loss: the driver isn't opened anew for it.
    let opened = machine.driver.calls(Call::Init);
    monitor.update();
    assert_eq!(machine.driver.calls(Call::Init), opened);
}

#[test]
fn instances_are_lost_and_return_with_their_gpu() {
    let machine = parted();
    let monitor = machine.monitor();
    monitor.update();
    machine.driver.lose(machine.cards[0]);
    assert_eq!(monitor.update().read, 1);
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="MIG-a"}"#),
        Some(0.0)
    );
    machine.driver.restore(machine.cards[0]);
    super::machine::until("they are back", || monitor.update().read == 4);
    assert_eq!(
        machine.value(r#"inferometer_gpu_up{uuid="MIG-a"}"#),
        Some(1.0)
    );
}
