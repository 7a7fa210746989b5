//! `Connection`: many requests at once over one pair of pipes.
//!
//! One task writes what is sent, another reads what comes and gives it to who waits for it. Nobody
//! has to wait: a reply that is wanted no more is dropped, and if it is a handle, closed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::error::SftpError;
use super::wire::{PACKET_LEN_BYTES_MAX, Reply, Request, VERSION, hello, read_hello};

/// What the server must be able to do besides version 3.
const NEEDED: [&str; 2] = ["hardlink@openssh.com", "fsync@openssh.com"];

/// A packet, and what follows it.
type Packet = (Bytes, Bytes);

/// Those who wait, by the number of their request; `None` when nothing will come any more.
type Waiting = Arc<Mutex<Option<HashMap<u32, oneshot::Sender<Reply>>>>>;

#[derive(Debug)]
pub(super) struct Connection {
    sender: Sender,
    /// They end with the connection.
    _tasks: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct Sender {
    packets: mpsc::UnboundedSender<Packet>,
    next: Arc<AtomicU32>,
    waiting: Waiting,
}

/// An open file or folder, closed when dropped.
#[derive(Debug)]
pub(super) struct Handle {
    bytes: Bytes,
    sender: Sender,
}

impl Connection {
    /// Greets the server.
    pub(super) async fn open(
        mut from: impl AsyncRead + Send + Unpin + 'static,
        mut to: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, SftpError> {
        to.write_all(&hello()).await.map_err(|_| SftpError::Lost)?;
        to.flush().await.map_err(|_| SftpError::Lost)?;
        let (version, extensions) = read_hello(packet(&mut from).await?)?;
        if version != VERSION {
            return Err(SftpError::Lacks("version 3"));
        }
        for needed in NEEDED {
            if !extensions.iter().any(|name| name == needed.as_bytes()) {
                return Err(SftpError::Lacks(needed));
            }
        }
        let (packets, sent) = mpsc::unbounded_channel();
        let sender = Sender {
            packets,
            next: Arc::default(),
            waiting: Arc::new(Mutex::new(Some(HashMap::new()))),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(write_all(to, sent));
        tasks.spawn(read_all(from, sender.clone()));
        Ok(Self {
            sender,
            _tasks: tasks,
        })
    }

    /// Whether nothing will come any more.
    pub(super) fn is_lost(&self) -> bool {
        self.sender.with_waiting(|_| ()).is_err()
    }

    pub(super) async fn ask(&self, request: Request<'_>) -> Result<Reply, SftpError> {
        self.sender
            .send(request)?
            .await
            .map_err(|_| SftpError::Lost)
    }

    /// Asks for something to be done.
    pub(super) async fn command(&self, request: Request<'_>) -> Result<(), SftpError> {
        match self.ask(request).await? {
            Reply::Status(0) => Ok(()),
            reply => Err(SftpError::unexpected(&reply)),
        }
    }

    /// Opens a file or folder.
    pub(super) async fn handle(&self, request: Request<'_>) -> Result<Handle, SftpError> {
        match self.ask(request).await? {
            Reply::Handle(bytes) => Ok(Handle {
                bytes,
                sender: self.sender.clone(),
            }),
            reply => Err(SftpError::unexpected(&reply)),
        }
    }
}

impl Handle {
    pub(super) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.sender.close(&self.bytes);
    }
}

impl Sender {
    fn send(&self, request: Request<'_>) -> Result<oneshot::Receiver<Reply>, SftpError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, receiver) = oneshot::channel();
        self.with_waiting(|waiting| waiting.insert(id, reply))?;
        let sent = self.packets.send(request.encode(id));
        sent.map_err(|_| SftpError::Lost)?;
        Ok(receiver)
    }

    /// How a handle was closed tells nothing that its sync did not, and nobody waits for it.
    fn close(&self, handle: &Bytes) {
        let _ = self.send(Request::Close { handle });
    }

    fn with_waiting<T>(
        &self,
        look: impl FnOnce(&mut HashMap<u32, oneshot::Sender<Reply>>) -> T,
    ) -> Result<T, SftpError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().map(look).ok_or(SftpError::Lost)
    }

    fn lose(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn deliver(&self, packet: Bytes) -> Result<(), SftpError> {
        let (id, reply) = Reply::decode(packet)?;
        let who = self.with_waiting(|waiting| waiting.remove(&id))?;
        // Nobody asked for this.
        let who = who.ok_or(SftpError::Broken)?;
        if let Err(Reply::Handle(handle)) = who.send(reply) {
            self.close(&handle);
        }
        Ok(())
    }
}

async fn write_all(
    mut to: impl AsyncWrite + Send + Unpin + 'static,
    mut sent: mpsc::UnboundedReceiver<Packet>,
) {
    while let Some((head, bytes)) = sent.recv().await {
        let written = async {
            to.write_all(&head).await?;
            to.write_all(&bytes).await?;
            to.flush().await
        };
        // Then there is no reply either, and the reader says so.
        if written.await.is_err() {
            return;
        }
    }
}

async fn read_all(mut from: impl AsyncRead + Send + Unpin + 'static, sender: Sender) {
    loop {
        let packet = packet(&mut from).await;
        if packet.and_then(|packet| sender.deliver(packet)).is_err() {
            return sender.lose();
        }
    }
}

async fn packet(from: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, SftpError> {
    let len_bytes = from.read_u32().await.map_err(|_| SftpError::Lost)?;
    let len_bytes = usize::try_from(len_bytes).map_err(|_| SftpError::Broken)?;
    if len_bytes > PACKET_LEN_BYTES_MAX {
        return Err(SftpError::Broken);
    }
    let mut packet = BytesMut::zeroed(len_bytes);
    let read = from.read_exact(&mut packet).await;
    read.map_err(|_| SftpError::Lost)?;
    Ok(packet.freeze())
}
