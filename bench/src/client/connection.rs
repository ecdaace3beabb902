//! [`Connection`]: one request at a time, in the newest version that both sides know.

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringlog_engine::io::{BLOCK_BYTES_POOLED_MAX, Buf, Mono};
use ringlog_engine::shard::{Shard, Socket};
use ringlog_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader,
};
use ringlog_wire::{ApiKey, Message, Reader, Request, Writer};

use super::endpoint::Endpoint;
use super::frames::FRAME_BYTES_MAX;

const UNSUPPORTED_VERSION: i16 = 35;
/// The version of ApiVersions that is tried first.
const API_VERSIONS_FIRST: i16 = 3;
/// Memory that a decoded response may take.
const RESPONSE_BUDGET_BYTES: usize = 64 << 20;

/// A connection to a broker whose versions are known.
pub struct Connection {
    shard: Shard,
    socket: Socket,
    peer: Endpoint,
    client_id: String,
    correlation: i32,
    versions: Vec<(i16, i16, i16)>,
    /// By when every answer must be there.
    deadline: Mono,
    /// Memory of the last answer that was too large for the pool of buffers.
    large: Option<Buf>,
}

impl Connection {
    /// Connects and asks for the broker's versions, all by `deadline`.
    pub async fn open(
        shard: &Shard,
        peer: &Endpoint,
        client_id: &str,
        deadline: Mono,
    ) -> Result<Connection> {
        let socket = connect(shard, peer, deadline).await?;
        let mut connection = Connection {
            shard: shard.clone(),
            socket,
            peer: peer.clone(),
            client_id: client_id.to_owned(),
            correlation: 0,
            versions: vec![(ApiKey::ApiVersions as i16, 0, API_VERSIONS_FIRST)],
            deadline,
            large: None,
        };
        connection.learn_versions().await?;
        Ok(connection)
    }

    /// What this client calls itself.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    async fn learn_versions(&mut self) -> Result<()> {
        let request = ApiVersionsRequest {
            client_software_name: "ringlog-bench".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut version = API_VERSIONS_FIRST;
        let response = loop {
            let frame = self.exchange(&request, version).await?;
            // A broker that does not know the version answers in version 0 and says so.
            let code = frame.get(4..6).map(|code| i16::from_be_bytes([code[0], code[1]]));
            if code == Some(UNSUPPORTED_VERSION) && version > 0 {
                version = 0;
                continue;
            }
            break self.decode::<ApiVersionsResponse>(ApiKey::ApiVersions, version, &frame)?;
        };
        let code = response.error_code;
        ensure!(code == 0, "{}: ApiVersions: {}", self.peer, super::error_name(code));
        let ranges = response.api_keys.iter();
        self.versions = ranges.map(|r| (r.api_key, r.min_version, r.max_version)).collect();
        Ok(())
    }

    /// By when answers must be there from now on.
    pub fn set_deadline(&mut self, deadline: Mono) {
        self.deadline = deadline;
    }

    /// The newest version of an API that the broker has in this range.
    pub fn version(&self, key: ApiKey, first: i16, last: i16) -> Result<i16> {
        let range = self.versions.iter().find(|(known, ..)| *known == key as i16);
        let Some((_, min, max)) = range else {
            bail!("{} does not serve {}", self.peer, key.name());
        };
        let version = last.min(*max);
        ensure!(
            version >= first.max(*min),
            "{} serves {} in versions {min} to {max}, this client in {first} to {last}",
            self.peer,
            key.name()
        );
        Ok(version)
    }

    /// Asks, in the newest version that both sides know.
    pub async fn call<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let versions = R::API_KEY.request_versions();
        let version = self.version(R::API_KEY, *versions.start(), *versions.end())?;
        self.call_version(request, version).await
    }

    /// Asks in this version.
    pub async fn call_version<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response> {
        let mut frame = self.exchange(request, version).await?;
        let decoded = self.decode(R::API_KEY, version, &frame);
        if frame.capacity() > BLOCK_BYTES_POOLED_MAX {
            frame.set_len(0);
            self.large = Some(frame);
        }
        decoded
    }

    fn decode<M: Message>(&self, key: ApiKey, version: i16, frame: &[u8]) -> Result<M> {
        let mut reader = Reader::new(frame, RESPONSE_BUDGET_BYTES);
        let decoded = ResponseHeader::decode(&mut reader, key.response_header_version(version))
            .and_then(|header| Ok((header, M::decode(&mut reader, version)?)));
        let context = || format!("{}: the answer to {} v{version}", self.peer, key.name());
        let (header, message) = decoded.with_context(context)?;
        let expected = self.correlation;
        let got = header.correlation_id;
        ensure!(got == expected, "{}: answer {got} instead of {expected}", self.peer);
        Ok(message)
    }

    /// Sends a request and receives a frame.
    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<Buf> {
        self.correlation = self.correlation.wrapping_add(1);
        let header = RequestHeader {
            request_api_key: R::API_KEY as i16,
            request_api_version: version,
            correlation_id: self.correlation,
            client_id: Some(self.client_id.clone()),
        };
        let mut bytes = vec![0; 4];
        let mut writer = Writer::new(&mut bytes);
        header.encode(&mut writer, R::API_KEY.request_header_version(version))?;
        request.encode(&mut writer, version)?;
        let length = (bytes.len() - 4) as i32;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        let name = R::API_KEY.name();
        let answer = async {
            self.socket.send(vec![Buf::copy_of(&bytes).into()], false).await?;
            let length = self.socket.receive_exact(Buf::with_capacity(4), 4).await?;
            let Some(length) = length.first_chunk::<4>() else { return Ok(None) };
            let length = i32::from_be_bytes(*length);
            let length = usize::try_from(length).ok().filter(|n| *n <= FRAME_BYTES_MAX);
            let Some(length) = length else { return Ok(None) };
            let large = self.large.take_if(|buf| buf.capacity() >= length);
            // The next one may be a little larger.
            let buf = large.unwrap_or_else(|| Buf::with_capacity(length.next_power_of_two()));
            let frame = self.socket.receive_exact(buf, length).await?;
            Ok((frame.len() == length).then_some(frame))
        };
        match self.shard.timeout_at(self.deadline, answer).await {
            Ok(Ok(Some(frame))) => Ok(frame),
            Ok(Ok(None)) => Err(anyhow!("{}: the connection was closed at {name}", self.peer)),
            Ok(Err::<_, ringlog_engine::io::Errno>(errno)) => {
                Err(anyhow!("{}: {name}: {errno}", self.peer))
            }
            Err(_) => Err(anyhow!("{}: no answer to {name} in time", self.peer)),
        }
    }

    /// The socket, for a caller that goes on by itself.
    pub fn into_socket(self) -> Socket {
        self.socket
    }
}

async fn connect(shard: &Shard, peer: &Endpoint, deadline: Mono) -> Result<Socket> {
    let mut last = None;
    for address in peer.addresses()? {
        match shard.timeout_at(deadline, Socket::connect(shard, address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(errno)) => last = Some(anyhow!("{peer}: {errno}")),
            Err(_) => last = Some(anyhow!("{peer}: no connection in time")),
        }
    }
    Err(last.unwrap_or_else(|| anyhow!("{peer} has no address")))
}
