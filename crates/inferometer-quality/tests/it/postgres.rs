//! What a server keeps: a real one of the test's own, on loopback.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use inferometer_quality::{
    journal::{Journal, JournalOptions},
    score::{BoardOptions, Output, Scoreboard, Task, Truth},
    store::{Bounds, Held, Label, PostgresStore, Prediction, Store},
};
use postgres::{Client, NoTls};
use tempfile::TempDir;

use crate::{
    stores::{BOUNDS, contract},
    waiting::wait_until,
};

struct Server {
    folder: TempDir,
    port: u16,
    user: Option<u32>,
    process: Option<Child>,
}

/// A program of PostgreSQL's, from the path or from where Debian puts it.
fn program(name: &str) -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = debian
        .map(|version| version.path().join("bin").join(name))
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path).map(|folder| folder.join(name));
    let mut all = own.chain(found.into_iter().rev());
    let there = all.find(|program| program.exists());
    there.unwrap_or_else(|| panic!("there is no {name}: install Debian's package postgresql"))
}

/// PostgreSQL refuses to run as root, and its package brings a user for it.
fn user() -> Option<u32> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id")
            .args(arguments)
            .output()
            .expect("every machine has it");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse::<u32>()
            .expect("a number of a user")
    };
    (id(&["-u"]) == 0).then(|| id(&["-u", "postgres"]))
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = user();
        chown(folder.path(), user, None).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut server = Self {
            folder,
            port,
            user,
            process: None,
        };
        let data = server.data();
        let made = server
            .command("initdb")
            .args([
                "--auth=trust",
                "--username=quality",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--pgdata",
            ])
            .arg(data)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        server.run();
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.current_dir(Path::new("/"));
        if let Some(user) = self.user {
            command.uid(user);
        }
        command
    }

    /// Starts it, again and again where what was killed hasn't let go yet, and waits until it answers.
    fn run(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let log = fs::File::create(self.folder.path().join("log")).unwrap();
            let mut process = self
                .command("postgres")
                .arg("-D")
                .arg(self.data())
                .args([
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    "unix_socket_directories=",
                ])
                // What a process has handed to the system outlives the process.
                .args(["-c", "fsync=off", "-p", &self.port.to_string()])
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            while process.try_wait().unwrap().is_none() {
                if Client::connect(&self.url("postgres"), NoTls).is_ok() {
                    self.process = Some(process);
                    return;
                }
                self.in_time(deadline);
            }
            self.in_time(deadline);
        }
    }

    fn in_time(&self, deadline: Instant) {
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(
            Instant::now() < deadline,
            "PostgreSQL doesn't start: {}",
            log()
        );
        thread::sleep(Duration::from_millis(20));
    }

    /// As the power would go: it writes nothing more.
    fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgresql://quality@127.0.0.1:{}/{database}?connect_timeout=2",
            self.port
        )
    }

    /// Where nothing is yet.
    fn schema(&self, name: &str) -> String {
        let mut client = Client::connect(&self.url("postgres"), NoTls).unwrap();
        client
            .batch_execute(&format!("CREATE SCHEMA {name}"))
            .unwrap();
        format!("{}&options=-csearch_path%3D{name}", self.url("postgres"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _: io::Result<()> = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn a_server_does_what_every_store_does_and_two_processes_can_share_it() {
    let server = Server::start();
    let mut count = 0;
    contract(|| {
        count += 1;
        let url = server.schema(&format!("d{count}"));
        Box::new(PostgresStore::connect(&url, BOUNDS).unwrap())
    });

    // What two bring at once meets, once.
    let url = server.schema("shared");
    let entries = |first: bool| {
        let url = url.clone();
        move || {
            let mut store = PostgresStore::connect(&url, Bounds::default()).unwrap();
            let mut joined = 0;
            for id in 0..200_u64 {
                let even = (id % 2 == 0) == first;
                let entry = if even {
                    crate::scores::prediction(id, 1.0, 0)
                } else {
                    crate::scores::label(id, 1.0, 0)
                };
                let outcomes = store.write(&[entry]).unwrap();
                joined += usize::from(matches!(
                    outcomes[0],
                    inferometer_quality::store::Outcome::Joined(_)
                ));
            }
            joined
        }
    };
    let (one, other) = (thread::spawn(entries(true)), thread::spawn(entries(false)));
    assert_eq!(one.join().unwrap() + other.join().unwrap(), 200);

    // What the server can't take is refused for good, and the connection stays.
    let mut store = PostgresStore::connect(&url, Bounds::default()).unwrap();
    let refused = store
        .write(&[crate::scores::prediction("a\0b", 1.0, 0)])
        .unwrap_err();
    assert!(!refused.is_passing(), "{refused}");
    store
        .write(&[crate::scores::prediction("a", 1.0, 0)])
        .unwrap();

    let nobody = PostgresStore::connect(&server.url("nowhere"), BOUNDS).unwrap_err();
    let told = nobody.to_string();
    assert!(
        !nobody.is_passing() && told.contains("database \"nowhere\" does not exist"),
        "{told}"
    );
}

#[test]
fn a_server_that_dies_and_comes_back_loses_no_acknowledged_label_and_counts_none_twice() {
    let mut server = Server::start();
    let url = server.schema("quality");
    let store = PostgresStore::connect(&url, Bounds::default()).unwrap();
    let board = Arc::new(Scoreboard::new(Task::Regression, BoardOptions::default()));
    let options = JournalOptions {
        batch: 8,
        retry: Duration::from_millis(20),
        retry_at_most: Duration::from_millis(100),
        ..JournalOptions::default()
    };
    let journal = Journal::start(store, Arc::clone(&board), options).unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let send = |from: u64, upto: u64| {
        for id in from..upto {
            let (now, id) = (SystemTime::now(), id.to_string());
            assert!(journal.predicted(Prediction::new(
                &*id,
                "v1",
                "production",
                Output::Number(1.0),
                now
            )));
            let acknowledged = Arc::clone(&acknowledged);
            let told = move |outcome: Result<_, _>| {
                outcome.expect("it is written in the end");
                acknowledged.fetch_add(1, Relaxed);
            };
            journal
                .labelled(Label::new(&*id, Truth::Number(2.0), now), told)
                .unwrap();
        }
    };
    send(0, 2_000);
    wait_until("it writes", || acknowledged.load(Relaxed) > 100);
    server.kill();
    let before = acknowledged.load(Relaxed);
    assert!(before < 2_000, "it was killed while it had work");
    wait_until("the journal notices", || journal.status().failing.is_some());
    send(2_000, 2_100);
    assert!(journal.status().queued > 0);

    server.run();
    wait_until("all is written", || acknowledged.load(Relaxed) == 2_100);
    assert_eq!(journal.status().failing, None);
    let status = journal.stop(Duration::from_secs(10));
    assert_eq!(
        (status.queued, status.written, status.unwritable),
        (0, 4_200, 0)
    );
    let scores = board.scores(SystemTime::now());
    assert_eq!(
        (scores[0].lifetime.samples, scores[0].lifetime.coverage()),
        (2_100, Some(1.0))
    );
    let mut store = PostgresStore::connect(&url, Bounds::default()).unwrap();
    assert_eq!(
        store.held().unwrap(),
        Held {
            predictions: 2_100,
            labels: 2_100
        }
    );
}
