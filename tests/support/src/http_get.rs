//! GET requests to the operator's own servers.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Failure, Result, SOON, eventually};

/// Status code and whole text of the answer to a GET.
pub async fn fetch(address: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.ok_or_else(|| Failure::new(format!("no HTTP answer: {answer}")))?;
    Ok((code, answer))
}

/// Waits until the answer to a GET holds this text, in its status line or its body.
pub async fn answers(address: &str, path: &str, text: &str) -> Result<()> {
    eventually(SOON, &format!("{path} says {text:?}"), || async {
        let (_, answer) = fetch(address, path).await?;
        if answer.contains(text) { Ok(()) } else { Err(Failure::new(answer)) }
    })
    .await
}
