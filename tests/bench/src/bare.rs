//! The other side: the same work on bare axum, and behind a bare relay of WebSocket frames.
//!
//! All of it is plain code: what its users would write first.

use std::io::Write as _;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::Path;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, Stream, StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Error;
use crate::orders::{NewOrder, Order};

/// A WebSocket that was opened here.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The role `axum`.
#[tokio::main]
pub(crate) async fn axum() -> Result<(), Error> {
    let app = axum::Router::new()
        .route("/orders", post(async |Json(new): Json<NewOrder>| Json(new.accept())))
        .route("/orders/{id}", get(async |Path(id): Path<u64>| Json(Order::by_id(id))));
    let listener = listen().await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, app).await?)
}

/// How frames are sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// Each one as it comes.
    Each,
    /// Those that are there together in one go; and sockets are read into a small buffer, of which the library clears
    /// less before each read. As much as a relay can do.
    Together,
}

impl Sending {
    /// Its name as an argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Together => "together",
        }
    }

    fn named(name: &str) -> Self {
        if name == Self::Together.name() { Self::Together } else { Self::Each }
    }

    fn config(self) -> WebSocketConfig {
        let config = WebSocketConfig::default();
        if self == Self::Together { config.read_buffer_size(16 << 10) } else { config }
    }

    /// Sends on what comes, until it ends.
    async fn forward<S>(
        self,
        mut frames: impl Stream<Item = Result<Frame, Error>> + Unpin,
        sink: SplitSink<WebSocketStream<S>, Frame>,
    ) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut sink = sink.sink_map_err(Error::from);
        if self == Self::Together {
            return frames.forward(sink).await;
        }
        while let Some(frame) = frames.next().await {
            sink.send(frame?).await?;
        }
        Ok(())
    }
}

/// The role `relay`: the first connection is the worker, the second one the caller. Frames go from one to the other.
#[tokio::main]
pub(crate) async fn relay(sending: &str) -> Result<(), Error> {
    let sending = Sending::named(sending);
    let listener = listen().await?;
    let (to_worker, from_worker) = accept(&listener, sending).await?.split();
    let (to_caller, from_caller) = accept(&listener, sending).await?.split();
    // Tasks, as what is read here is slower: the runtime's threads hear of sockets first.
    let calls = tokio::spawn(sending.forward(until_gone(from_caller), to_worker));
    let answers = tokio::spawn(sending.forward(until_gone(from_worker), to_caller));
    calls.await??;
    answers.await?
}

/// The role `relayed`: the worker behind a relay, given as `how@address`.
#[tokio::main]
pub(crate) async fn relayed(relay: &str) -> Result<(), Error> {
    let (sending, address) = relay.split_once('@').ok_or("the relay is given as how@address")?;
    let sending = Sending::named(sending);
    let (answers, calls) = connect(address.parse()?, sending).await?.split();
    writeln!(std::io::stdout(), "ready")?;
    let work = until_gone(calls).map(|frame| {
        let new: NewOrder = serde_json::from_str(frame?.to_text()?)?;
        Ok(Frame::text(serde_json::to_string(&new.accept())?))
    });
    tokio::spawn(sending.forward(work, answers)).await?
}

/// The frames of a peer until it is gone: at the end of a run, one side is always gone first.
fn until_gone<S>(
    frames: SplitStream<WebSocketStream<S>>,
) -> impl Stream<Item = Result<Frame, Error>> + Unpin
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    frames.take_while(|frame| std::future::ready(frame.is_ok())).map_err(Error::from)
}

/// Opens a WebSocket.
pub(crate) async fn connect(address: SocketAddr, sending: Sending) -> Result<Socket, Error> {
    let (url, config) = (format!("ws://{address}"), Some(sending.config()));
    let (socket, _) = tokio_tungstenite::connect_async_with_config(url, config, true).await?;
    Ok(socket)
}

async fn listen() -> Result<TcpListener, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "ready on {}", listener.local_addr()?)?;
    Ok(listener)
}

async fn accept(
    listener: &TcpListener,
    sending: Sending,
) -> Result<WebSocketStream<TcpStream>, Error> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(tokio_tungstenite::accept_async_with_config(stream, Some(sending.config())).await?)
}
