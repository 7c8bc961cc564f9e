// The derives name everything by its whole path, so a module may give the prelude's names to things of its own.

#[allow(dead_code, non_camel_case_types, unused_macros, unused_imports)]
mod shadowed {
    pub enum Option {}
    pub struct Some;
    pub struct None;
    pub enum Result {}
    pub struct Ok;
    pub struct Err;
    pub struct Vec;
    pub struct String;
    pub struct Box;
    pub struct str;
    pub struct usize;
    pub struct u64;
    pub struct f64;
    pub struct bool;
    pub trait Sized {}
    pub trait Send {}
    pub trait Sync {}
    pub trait Copy {}
    pub trait Clone {}
    pub trait Default {}
    pub trait Drop {}
    pub trait Fn {}
    pub trait FnMut {}
    pub trait FnOnce {}
    pub trait From {}
    pub trait Into {}
    pub trait AsRef {}
    pub trait Iterator {}
    pub trait IntoIterator {}
    pub trait ToOwned {}
    pub trait MetricSet {}
    pub trait LabelSet {}
    pub trait LabelValue {}
    pub trait Metric {}
    pub mod core {}
    pub mod std {}
    pub mod alloc {}
    pub mod inferometer {}

    macro_rules! vec { () => { compile_error!("not the prelude's") }; }
    macro_rules! panic { () => { compile_error!("not the prelude's") }; }
    macro_rules! matches { () => { compile_error!("not the prelude's") }; }

    // Methods of every type, which must not be taken for those that the derives call.
    pub trait Everywhere {
        fn len(&self) {}
        fn to_vec(&self) {}
        fn push(&self) {}
        fn index(&self) {}
        fn visit(&self) {}
        fn describe() {}
        fn create() {}
    }
    impl<T: ?::core::marker::Sized> Everywhere for T {}

    #[derive(::inferometer::LabelValue)]
    pub enum Outcome {
        Fine,
        #[label(value = "not fine")]
        NotFine,
    }

    #[derive(::inferometer::LabelSet)]
    pub struct Closed {
        pub outcome: Outcome,
        pub again: ::core::primitive::bool,
    }

    #[derive(::inferometer::LabelSet)]
    pub struct Open<'text> {
        pub outcome: Outcome,
        #[label(name = "who", limit = 2)]
        pub name: &'text ::core::primitive::str,
    }

    const BOUNDS: &[::core::primitive::f64] = &[1.0, 2.0];

    #[derive(::inferometer::MetricSet)]
    pub struct Inner {
        /// A state.
        pub state: ::inferometer::StateSet<Outcome>,
    }

    #[derive(::inferometer::MetricSet)]
    #[metrics(namespace = "shadowed")]
    pub struct Outer {
        /// Closed.
        pub closed: ::inferometer::Counter<Closed>,
        /// Open.
        #[metric(name = "open_total", unit = "requests")]
        pub open: ::inferometer::Counter<Open<'static>>,
        /// An array.
        #[metric(buckets = [1.0, 2.0])]
        pub array: ::inferometer::Histogram,
        /// A slice.
        #[metric(buckets = BOUNDS)]
        pub slice: ::inferometer::Histogram,
        /// A vector.
        #[metric(buckets = ::inferometer::buckets::linear(0.0, 1.0, 3))]
        pub vector: ::inferometer::Histogram,
        #[metric(flatten)]
        pub inner: Inner,
    }
}

fn main() {
    use shadowed::{Closed, Open, Outcome, Outer};

    let registry = inferometer::Registry::new();
    let set: Outer = registry.register().expect("the set keeps the rules");
    set.closed.with(Closed { outcome: Outcome::NotFine, again: true }).inc();
    set.open.with(Open { outcome: Outcome::Fine, name: "ada" }).inc();
    set.array.observe(1.0);
    set.slice.observe(1.0);
    set.vector.observe(1.0);
    set.inner.state.set(Outcome::Fine);
    let page = registry.encode_text();
    assert!(page.contains("\nshadowed_closed_total{outcome=\"not fine\",again=\"true\"} 1\n"));
    assert!(page.contains("\nopen_total{outcome=\"fine\",who=\"ada\"} 1\n"));
    assert!(page.contains("\nshadowed_vector_bucket{le=\"2.0\"} 1\n"));
    assert!(page.contains("\nshadowed_state{shadowed_state=\"fine\"} 1\n"));
}
