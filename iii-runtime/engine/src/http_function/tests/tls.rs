//! Tests of endpoints with TLS certificates.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;

const PEM: &[u8] = include_bytes!("localhost.pem");

fn certificates() -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(PEM).map(Result::unwrap).collect()
}

/// Serves one request of each TLS connection to `localhost`. Returns the port.
fn start_tls_endpoint() -> u16 {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let chain = certificates().split_off(1);
    let key = PrivateKeyDer::from_pem_slice(PEM).unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, socket.unwrap()));
            let mut line = String::new();
            // A client that does not trust the certificate aborts the handshake.
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {}
            if line.ends_with("\r\n\r\n") {
                let mut body = [0; 1];
                stream.read_exact(&mut body).unwrap();
                let answer =
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 8\r\n\r\n\"secure\"";
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    port
}

async fn call(trust: bool) -> Outcome {
    let broker = broker();
    let settings = HttpFunctionSettings { block_private_ips: false, ..Default::default() };
    let functions = HttpFunctions::new(&settings, Clock::system()).unwrap();
    let mut roots = RootCertStore::empty();
    if trust {
        roots.add(certificates().remove(0)).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let invoker = &functions.invoker;
    invoker.client.get_or_init(|| HttpClient::new(&invoker.policy)).set_tls_config(config);
    with_provider(&broker, functions);
    let mut worker = Worker::named(&broker, "w").await;
    let url = format!("https://localhost:{}/f", start_tls_endpoint());
    register(&worker, "ext::f", &json!({ "url": url }));
    worker.call("ext::f", "1").await
}

#[tokio::test]
async fn trusted_certificate_is_accepted() {
    assert_eq!(call(true).await.unwrap().unwrap().as_str(), r#""secure""#);
}

#[tokio::test]
async fn untrusted_certificate_is_rejected() {
    let error = call(false).await.unwrap_err();
    assert_eq!(error.code, "http_request_failed");
    assert!(error.message.contains("certificate"), "{}", error.message);
}

#[tokio::test]
async fn root_certificates_of_the_machine_are_the_default() {
    // None of them has signed the test certificate; if there are none, the error says so.
    let broker =
        broker_with(&HttpFunctionSettings { block_private_ips: false, ..Default::default() });
    let mut worker = Worker::named(&broker, "w").await;
    let url = format!("https://localhost:{}/f", start_tls_endpoint());
    register(&worker, "ext::f", &json!({ "url": url }));
    let error = worker.call("ext::f", "1").await.unwrap_err();
    assert_eq!(error.code, "http_request_failed");
    assert!(error.message.contains("certificate"), "{}", error.message);
}
