//! The other side: the same work on bare axum, and behind a bare relay of WebSocket frames.
//!
//! All of it is plain code: what its users would write first.

use std::io::Write as _;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::Path;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, Stream, StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;
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
    /// Those that are there together in one go.
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
    let (to_worker, from_worker) = accept(&listener).await?.split();
    let (to_caller, from_caller) = accept(&listener).await?.split();
    // Tasks, as what is read here is slower: the runtime's threads hear of sockets first.
    let calls = tokio::spawn(sending.forward(from_caller.map_err(Error::from), to_worker));
    let answers = tokio::spawn(sending.forward(from_worker.map_err(Error::from), to_caller));
    calls.await??;
    answers.await?
}

/// The role `relayed`: the worker behind a relay, given as `how@address`.
#[tokio::main]
pub(crate) async fn relayed(relay: &str) -> Result<(), Error> {
    let (sending, address) = relay.split_once('@').ok_or("the relay is given as how@address")?;
    let (answers, calls) = connect(address.parse()?).await?.split();
    writeln!(std::io::stdout(), "ready")?;
    let work = calls.map(|frame| {
        let new: NewOrder = serde_json::from_str(frame?.to_text()?)?;
        Ok(Frame::text(serde_json::to_string(&new.accept())?))
    });
    tokio::spawn(Sending::named(sending).forward(work, answers)).await?
}

/// Opens a WebSocket.
pub(crate) async fn connect(address: SocketAddr) -> Result<Socket, Error> {
    let url = format!("ws://{address}");
    let (socket, _) = tokio_tungstenite::connect_async_with_config(url, None, true).await?;
    Ok(socket)
}

async fn listen() -> Result<TcpListener, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "ready on {}", listener.local_addr()?)?;
    Ok(listener)
}

async fn accept(listener: &TcpListener) -> Result<WebSocketStream<TcpStream>, Error> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(tokio_tungstenite::accept_async(stream).await?)
}
