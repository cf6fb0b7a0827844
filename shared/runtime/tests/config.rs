//! What settings promise to those who write them.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shoal_runtime::config::{ConfigError, Sources};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    data: PathBuf,
    listen: SocketAddr,
    zone: String,
    advertise: Option<String>,
    log_bytes_max: Option<u64>,
    fsync: bool,
    labels: std::collections::BTreeMap<String, String>,
    http: Http,
    admin_token: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Http {
    idle_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: "shoal-data".into(),
            listen: ([127, 0, 0, 1], 9400).into(),
            zone: "default".to_owned(),
            advertise: None,
            log_bytes_max: None,
            fsync: true,
            labels: Default::default(),
            http: Http::default(),
            admin_token: "hunter2".to_owned(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { idle_s: 75 }
    }
}

struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn file(text: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shoal.toml");
    std::fs::write(&path, text).unwrap();
    File {
        path,
        _folder: folder,
    }
}

fn load(sources: Sources) -> Result<Settings, ConfigError> {
    sources.load::<Settings>().map(|loaded| loaded.settings)
}

fn refused(sources: Sources) -> String {
    load(sources).unwrap_err().to_string()
}

#[test]
fn nothing_given_means_the_defaults() {
    assert_eq!(load(Sources::new()).unwrap(), Settings::default());
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file = file("zone = 'file'\nfsync = false\n[http]\nidle_s = 1\n");
    let environment = [
        ("SHOAL_ZONE", "environment"),
        ("SHOAL_HTTP__IDLE_S", "2"),
        ("HOME", "/"),
    ];
    let sources = Sources::new()
        .file(Some(&file.path))
        .environment(environment);
    let settings = load(
        sources
            .flag("zone", Some("flag"))
            .flag("fsync", None::<bool>),
    )
    .unwrap();
    assert_eq!(settings.zone, "flag");
    assert_eq!(settings.http.idle_s, 2);
    assert!(!settings.fsync);
    assert_eq!(settings.listen, Settings::default().listen);
}

#[test]
fn the_dump_says_where_each_value_came_from_and_reads_back() {
    let file = file("fsync = false\n");
    let sources = Sources::new()
        .file(Some(&file.path))
        .environment([("SHOAL_LISTEN", "0.0.0.0:1")])
        .flag("http.idle_s", Some(5));
    let dump = sources.load::<Settings>().unwrap().dump;
    let file_line = format!("fsync = false  # from file {}", file.path.display());
    for line in [
        file_line.as_str(),
        "listen = \"0.0.0.0:1\"  # from environment SHOAL_LISTEN",
        "http.idle_s = 5  # from flag --http-idle-s",
        "zone = \"default\"  # from default",
        "# advertise is not set  # from default",
        "admin_token = \"***\"  # from default",
    ] {
        assert!(dump.lines().any(|l| l == line), "{line}\nis not in\n{dump}");
    }
    let again: Settings = toml::from_str(&dump).unwrap();
    assert_eq!(again.http.idle_s, 5);
}

#[test]
fn an_unknown_key_is_refused_with_its_origin_and_the_nearest_known_one() {
    let file = file("[http]\nidle = 3\n");
    assert_eq!(
        refused(Sources::new().file(Some(&file.path))),
        format!(
            "unknown setting http.idle (file {}); the nearest known one is http.idle_s",
            file.path.display()
        )
    );
    assert_eq!(
        refused(Sources::new().environment([("SHOAL_LISTN", "x")])),
        "unknown setting SHOAL_LISTN (environment SHOAL_LISTN); the nearest known one is SHOAL_LISTEN"
    );
    assert_eq!(
        refused(Sources::new().environment([("SHOAL_QQQQ", "x")])),
        "unknown setting SHOAL_QQQQ (environment SHOAL_QQQQ)"
    );
}

#[test]
fn reserved_variables_are_no_settings() {
    let environment = [("SHOAL_LOG", "debug"), ("SHOAL_DEV_PARENT", "1")];
    load(Sources::new().environment(environment)).unwrap();
}

#[test]
fn a_value_of_the_wrong_type_names_key_origin_and_what_is_wanted() {
    let file = file("fsync = 7\n");
    let why = refused(Sources::new().file(Some(&file.path)));
    assert!(why.starts_with("setting fsync (file "), "{why}");
    assert!(why.contains("expected a boolean"), "{why}");
    let why = refused(Sources::new().environment([("SHOAL_HTTP__IDLE_S", "soon")]));
    assert!(
        why.starts_with("setting http.idle_s (environment SHOAL_HTTP__IDLE_S): "),
        "{why}"
    );
    let why = refused(Sources::new().flag("listen", Some("nowhere")));
    assert!(why.starts_with("setting listen (flag --listen): "), "{why}");
    let why = refused(Sources::new().environment([("SHOAL_HTTP", "1")]));
    assert!(why.starts_with("unknown setting SHOAL_HTTP "), "{why}");
}

#[test]
fn variables_are_read_as_the_type_of_their_setting() {
    let environment = [
        ("SHOAL_ZONE", "1"),
        ("SHOAL_ADVERTISE", "12"),
        ("SHOAL_LOG_BYTES_MAX", "12"),
        ("SHOAL_FSYNC", "false"),
        ("SHOAL_DATA", "007"),
    ];
    let settings = load(Sources::new().environment(environment)).unwrap();
    assert_eq!(settings.zone, "1");
    assert_eq!(settings.advertise.as_deref(), Some("12"));
    assert_eq!(settings.log_bytes_max, Some(12));
    assert_eq!(settings.data, PathBuf::from("007"));
    assert!(!settings.fsync);
}

#[test]
fn a_map_that_is_empty_by_default_takes_any_keys() {
    let file = file("labels = { a = 'b' }\n");
    assert_eq!(
        load(Sources::new().file(Some(&file.path))).unwrap().labels["a"],
        "b"
    );
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let why = refused(Sources::new().file(Some("/nonexistent/shoal.toml".as_ref())));
    assert_eq!(why, "cannot read settings file /nonexistent/shoal.toml");
    let file = file("zone = \n");
    assert!(refused(Sources::new().file(Some(&file.path))).ends_with("is not TOML"));
}
