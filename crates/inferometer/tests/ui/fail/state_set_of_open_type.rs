use inferometer::{MetricSet, Registry, StateSet};

#[derive(MetricSet)]
struct Door {
    /// What the door is.
    state: StateSet<&'static str>,
}

fn main() {
    let door: Result<Door, _> = Registry::new().register();
    drop(door);
}
