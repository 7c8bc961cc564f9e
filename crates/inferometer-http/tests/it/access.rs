use std::{
    collections::BTreeSet,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use inferometer_http::{Access, NewKey, Page, Scope};

use crate::{
    client::{Answer, ask, get, read, request, until},
    log::Log,
    server::Served,
};

/// Every row of the table, with every kind of client.
#[test]
fn every_route_lets_in_whom_the_table_says_and_nobody_else() {
    let served = Served::set(|options| options.limits.wrong_keys = u32::MAX);
    let keys = &served.keys;
    let wrong = format!("{}0", keys.admin);
    for page in Page::all() {
        let path = page.default_path();
        let status = |key: Option<&str>| {
            let header = key.map(|key| ("X-API-Key", key));
            get(served.address(), path, header.as_slice()).status
        };
        let clients = [
            None,
            Some(&*wrong),
            Some(&*keys.metrics),
            Some(&*keys.stats),
            Some(&*keys.admin),
        ];
        let found = clients.map(status);
        let expected = match page.default_access() {
            Access::Public => [200; 5],
            Access::Key(Scope::Metrics) => [401, 401, 200, 403, 200],
            Access::Key(Scope::Stats) => [401, 401, 403, 200, 200],
            Access::Key(Scope::Admin) => [401, 401, 403, 403, 200],
            Access::Off => [404; 5],
        };
        assert_eq!(found, expected, "{path}");
        let bearer = format!("Bearer {}", keys.admin);
        assert_eq!(
            get(served.address(), path, &[("Authorization", &bearer)]).status,
            200
        );
        let head = request("HEAD", path, &[("X-API-Key", &keys.admin)]);
        let text = String::from_utf8_lossy(&raw(served.address(), &head)).into_owned();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
    }
}

fn raw(address: std::net::SocketAddr, request: &[u8]) -> Vec<u8> {
    use io::{Read as _, Write as _};
    let mut stream = crate::client::connect(address);
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn what_is_not_in_the_table_is_refused_whoever_asks() {
    let served = Served::plain();
    let key = [("X-API-Key", served.keys.admin.as_str())];
    for path in [
        "/metrics/",
        "/metric",
        "//metrics",
        "/health/",
        "/debug/pprof",
        "/%6detrics",
        "/../metrics",
        "/metrics;a",
    ] {
        assert_eq!(get(served.address(), path, &key).status, 404, "{path}");
        assert_eq!(get(served.address(), path, &[]).status, 404, "{path}");
    }
    assert_eq!(
        get(served.address(), "/metrics?name=a", &[]).status,
        200,
        "a query is no path"
    );
}

#[test]
fn options_move_open_close_and_switch_off() {
    let served = Served::set(|options| {
        options.metrics_path = "/monitoring/metrics".into();
        options
            .access
            .insert(Page::Metrics, Access::Key(Scope::Metrics));
        options.access.insert(Page::Index, Access::Public);
        options.access.insert(Page::GpuStats, Access::Off);
    });
    let status = |path: &str| get(served.address(), path, &[]).status;
    assert_eq!(status("/monitoring/metrics"), 401);
    assert_eq!(status("/metrics"), 404);
    assert_eq!(status("/gpu/stats"), 404);
    let index = get(served.address(), "/", &[]);
    assert_eq!(index.status, 200);
    let text = index.text();
    assert!(
        text.contains("/monitoring/metrics") && !text.contains("/gpu/stats"),
        "{text}"
    );
    let key = [("X-API-Key", served.keys.metrics.as_str())];
    assert_eq!(
        get(served.address(), "/monitoring/metrics", &key).status,
        200
    );
}

#[test]
fn without_a_key_file_nobody_is_let_in_and_is_told_why() {
    let served = Served::set(|options| options.keys = None);
    let answer = get(served.address(), "/gpu/stats", &[("X-API-Key", "anything")]);
    assert_eq!(answer.status, 401);
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("this server has no key file"), "{detail}");
}

#[test]
fn key_file_that_changes_is_read_again_and_a_broken_one_changes_nothing() {
    let served = Served::set(|options| options.limits.wrong_keys = u32::MAX);
    let status = |key: &str| get(served.address(), "/gpu/stats", &[("X-API-Key", key)]).status;
    let fresh = NewKey::generate("fresh", &[Scope::Stats]).unwrap();
    assert_eq!(status(fresh.secret()), 401);
    fresh.add_to(&served.keys.path).unwrap();
    until("the new key's admission", || status(fresh.secret()) == 200);
    fs::write(&served.keys.path, "nonsense").unwrap();
    let refused = "inferometer_http_reloads_total{file=\"keys\",result=\"refused\"}";
    until("the broken file's refusal", || {
        status(fresh.secret()) == 200 && served.value(refused) == 1.0
    });
    fs::write(&served.keys.path, fresh.line()).unwrap();
    until("the old key's end", || status(&served.keys.stats) == 401);
    assert_eq!(status(fresh.secret()), 200);
}

#[test]
fn wrong_keys_are_counted_and_slowed_and_right_ones_never() {
    let served = Served::set(|options| options.limits.wrong_keys = 3);
    let ask = |key: &str| {
        let started = Instant::now();
        let answer = get(served.address(), "/gpu/stats", &[("X-API-Key", key)]);
        (answer, started.elapsed())
    };
    for _ in 0..3 {
        assert_eq!(ask("wrong").0.status, 401);
    }
    let (slowed, took) = ask("wrong");
    assert_eq!(slowed.status, 429);
    assert_eq!(slowed.header("retry-after"), Some("10"));
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert_eq!(
        ask(&served.keys.stats).0.status,
        200,
        "the right one is let in at once"
    );
    assert_eq!(
        served.value("inferometer_http_authentication_failures_total"),
        4.0
    );
    assert_eq!(
        (served.refused("wrong_key"), served.refused("slowed")),
        (3.0, 1.0)
    );
}

/// Asks from this address of the machine's own.
fn from(client: Ipv4Addr, server: SocketAddr, key: &str) -> (Answer, Duration) {
    use io::Write as _;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let started = Instant::now();
    let request = request("GET", "/gpu/stats", &[("X-API-Key", key)]);
    stream.write_all(&request).unwrap();
    (read(&mut stream).unwrap(), started.elapsed())
}

#[test]
fn who_fails_is_slowed_and_others_are_not() {
    let served = Served::set(|options| options.limits.wrong_keys = 1);
    let ask = |client: u8, key: &str| from(Ipv4Addr::new(127, 0, 0, client), served.address(), key);
    let status = |client, key: &str| ask(client, key).0.status;
    assert_eq!([status(1, "a"), status(1, "b")], [401, 429]);
    assert_eq!(status(2, "a"), 401, "another client has its own allowance");
    let (once, twice) = (ask(1, "c").1, ask(1, "d").1);
    assert!(
        twice > once + Duration::from_millis(100),
        "{once:?} {twice:?}"
    );
    assert_eq!(status(1, &served.keys.stats), 200);
}

#[test]
fn no_key_is_ever_in_a_log_an_answer_or_a_label() {
    let log = Log::of_all();
    let served = Served::plain();
    let guess = "a-guess-that-nobody-else-makes";
    let keys = [&*served.keys.stats, &*served.keys.metrics, guess];
    let mut said = String::new();
    for key in keys {
        for path in ["/gpu/stats", "/nowhere", "/metrics"] {
            said += &get(served.address(), path, &[("X-API-Key", key)]).text();
        }
        let malformed = format!("GET / HTTP/1.1\r\nX-API-Key: {key}\r\nno field\r\n\r\n");
        said += &ask(served.address(), malformed.as_bytes()).text();
    }
    said += &served.registry.encode_text();
    fs::write(&served.keys.path, format!("{guess}\n")).unwrap();
    until("the broken file's refusal", || {
        get(served.address(), "/gpu/stats", &[("X-API-Key", guess)]);
        served.value("inferometer_http_reloads_total{file=\"keys\",result=\"refused\"}") == 1.0
    });
    let log = log.text();
    assert!(log.contains("a wrong key"), "something was logged");
    for key in keys {
        assert!(!said.contains(key) && !log.contains(key), "{key} is told");
    }
}

#[test]
fn strange_methods_and_paths_add_no_series() {
    let served = Served::plain();
    get(served.address(), "/metrics", &[]);
    let series = || {
        let page = served.registry.encode_text();
        let names = page.lines().filter(|line| !line.starts_with('#'));
        names
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, _)| name.to_owned())
            .collect::<BTreeSet<_>>()
    };
    let before = series();
    let mut stream = crate::client::connect(served.address());
    for number in 0..200_u32 {
        use io::Write as _;
        let text = format!("M{number} /{number:x} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        assert_eq!(crate::client::read(&mut stream).unwrap().status, 404);
        let strange = [
            b"GET /\xc3\x28",
            &number.to_be_bytes()[..],
            b" HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
        .concat();
        let status = ask(served.address(), &strange).status;
        assert!([400, 404].contains(&status), "{status}");
    }
    assert_eq!(series(), before);
}
