//! `Server`: a Redis server of this test alone.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use xstore::{ObjectKey, StorageBackend};
use xstore_backends::credential::Variables;
use xstore_backends::{Source, connect};

/// Of the default user.
pub(crate) const PASSWORD: &str = "hush";

/// A running server; killed when dropped.
pub(crate) struct Server {
    folder: TempDir,
    options: Vec<String>,
    port: u16,
    process: Child,
}

impl Server {
    /// Starts one with these further options, such as `--maxmemory 8mb`; `None`, with a line that says
    /// so, where there is none to start.
    pub(crate) fn start(test: &str, options: &str) -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            println!("SKIP {test}: no server redis; cargo xtask servers up redis");
            return None;
        }
        let options: Vec<_> = options.split_whitespace().map(str::to_owned).collect();
        loop {
            let folder = tempfile::tempdir().unwrap();
            let port = free_port();
            let process = spawn(&folder, port, &options);
            let mut server = Self {
                folder,
                options: options.clone(),
                port,
                process,
            };
            if server.wait_until_it_answers() {
                return Some(server);
            }
            // Somebody else was quicker to take the port.
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A backend for the default user.
    pub(crate) fn connect(&self) -> Arc<dyn StorageBackend> {
        self.connect_as(&[("REDIS_PASSWORD", PASSWORD)])
    }

    pub(crate) fn connect_as(&self, variables: &[(&str, &str)]) -> Arc<dyn StorageBackend> {
        let variables: Variables = variables.iter().copied().collect();
        connect("r", &self.url(), &Source::Fixed(variables)).unwrap()
    }

    /// A line of its own to ask the server whatever it understands.
    pub(crate) fn raw(&self) -> redis::Connection {
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port);
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }

    /// Asks one thing, in words without spaces in them.
    pub(crate) fn tell(&self, words: &str) -> redis::Value {
        let mut words = words.split_whitespace();
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        command.query(&mut self.raw()).unwrap()
    }

    /// As a loss of power for the process, though not for the disk.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.process = spawn(&self.folder, self.port, &self.options);
        assert!(self.wait_until_it_answers());
    }

    /// False when it ended instead.
    fn wait_until_it_answers(&mut self) -> bool {
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port);
        let client = redis::Client::open(url).unwrap();
        while self.process.try_wait().unwrap().is_none() {
            if let Ok(mut line) = client.get_connection()
                && redis::cmd("PING").exec(&mut line).is_ok()
            {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &TempDir, port: u16, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--requirepass", PASSWORD, "--save", "", "--dir"])
        .arg(folder.path())
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// A port that nobody had a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::try_new(name).unwrap()
}

pub(crate) fn body(len_bytes: usize) -> Bytes {
    vec![7; len_bytes].into()
}
