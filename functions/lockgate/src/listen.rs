//! Where the server listens: what `--listen` and `--port` take.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    str::FromStr,
};

/// Every address of the machine, of both versions of IP. A socket of Windows takes one version alone.
const EVERY: IpAddr = if cfg!(windows) {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
} else {
    IpAddr::V6(Ipv6Addr::UNSPECIFIED)
};

/// An address and a port, as people write them: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or
/// `:8080` for every address of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    address: SocketAddr,
    /// Whether no address was named, so that IPv4 is there in any case.
    is_every: bool,
}

impl ListenAddress {
    pub(crate) fn address(self) -> SocketAddr {
        self.address
    }

    /// The address at which programs on this machine reach what listens here.
    pub(crate) fn local(self) -> SocketAddr {
        // An unspecified address is for listening; not every system connects to it.
        let ip = match self.address {
            _ if self.is_every => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V4(address) if address.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(address) if address.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address.ip(),
        };
        SocketAddr::new(ip, self.address.port())
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self { address, is_every: false }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let takes =
            "takes an address and a port, such as 127.0.0.1:8080, or :8080 for every address";
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_not_a_port| takes.to_owned())?;
            return Ok(Self { address: (EVERY, port).into(), is_every: true });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        // `to_socket_addrs` would take the whole text for a name and ask DNS.
        if !text.contains(':') {
            return Err(takes.to_owned());
        }

        let mut found = text.to_socket_addrs().map_err(|error| format!("{takes}: {error}"))?;
        found.next().map(Self::from).ok_or_else(|| "is a name without an address".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_every_address() {
        let every: ListenAddress = ":8080".parse().unwrap();
        assert_eq!(every.address(), SocketAddr::new(EVERY, 8080));
        assert_eq!(every.local().to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn addresses_and_names_are_taken() {
        for (text, local) in [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:2", "[::1]:2"),
            ("[::]:3", "[::1]:3"),
            ("0.0.0.0:0", "127.0.0.1:0"),
        ] {
            let listen: ListenAddress = text.parse().unwrap();
            assert_eq!(listen.local().to_string(), local);
        }
        let named: ListenAddress = "localhost:8080".parse().unwrap();
        assert!(named.address().ip().is_loopback());
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in ["", "8080", ":x", "127.0.0.1", "1.2.3.4:99999"] {
            let refusal = text.parse::<ListenAddress>().unwrap_err();
            assert!(refusal.contains("127.0.0.1:8080"), "{text}: {refusal}");
        }
    }
}
