//! What may be reached: the judgement of URLs, names and addresses.
//!
//! Takes a parsed URL, a host name or an address. Gives nothing, or the refusal. Resolves no name.
//!
//! Source of the ranges: IANA special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates), read in
//! 2026. IPv6 is closed except for the global unicast block, so that a new registration is closed too.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

use super::NetError;

/// What may be reached although it is private; the setting `net.allow`. The default lists nothing.
///
/// An address or a range opens these addresses, whatever name leads to them. A host name opens this name alone, with
/// whatever address it has, and with every port.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    nets: Vec<IpNet>,
    hosts: BTreeSet<String>,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// Closed ranges of IPv4; the first that holds the address names it.
const CLOSED_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "of this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by a provider"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    // Azure's platform service answers on every virtual machine, under an address that looks public.
    (v4(168, 63, 129, 16, 32), "of a cloud platform"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "of a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// Closed ranges of IPv6; the first that holds the address names it. What is in none must lie in [`GLOBAL_V6`].
const CLOSED_V6: &[(Ipv6Net, &str)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v6(0, 0, 0, 96), "unspecified or IPv4-compatible"),
    (v6(0x64, 0xff9b, 1, 48), "of a local translator"),
    // Teredo, benchmarks, ORCHID, ORCHIDv2 and others.
    (v6(0x2001, 0, 0, 23), "reserved for protocols"),
    (v6(0x2001, 0xdb8, 0, 32), "for documentation"),
    (v6(0x2002, 0, 0, 16), "of a 6to4 tunnel"),
    (v6(0x3fff, 0, 0, 20), "for documentation"),
    (v6(0xfc00, 0, 0, 7), "private"),
    (v6(0xfe80, 0, 0, 10), "link-local"),
    (v6(0xff00, 0, 0, 8), "multicast"),
];

const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// NAT64 with the well-known prefix: the last 32 bits are the IPv4 address that is reached (RFC 6052).
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// Names that are internal by convention or by RFC 6761, 6762, 8375, whatever they resolve to.
const CLOSED_ENDINGS: &[&str] = &[".local", ".localhost", ".localdomain", ".internal", ".home.arpa"];

/// Ports below this one belong to mail, shells, databases of names and the like; only [`WEB_PORTS`] are open.
const FIRST_OPEN_PORT: u16 = 1024;
const WEB_PORTS: [u16; 2] = [80, 443];

impl Reach {
    /// Reads the setting: addresses (`10.1.2.3`, `::1`), ranges (`127.0.0.0/8`) and whole host names
    /// (`receiver.internal`).
    ///
    /// # Errors
    /// [`NetError::Allow`] names the first entry that is none of these.
    pub fn new(entries: &[String]) -> Result<Self, NetError> {
        let mut reach = Self::default();
        for entry in entries {
            let text = entry.trim();
            if let Ok(net) = text.parse::<IpNet>() {
                reach.nets.push(net);
            } else if let Ok(address) = text.parse::<IpAddr>() {
                reach.nets.push(address.into());
            } else {
                let host = host_name(text).ok_or_else(|| NetError::Allow { entry: entry.clone() })?;
                reach.hosts.insert(host);
            }
        }
        Ok(reach)
    }

    /// Judges what a URL shows without asking anybody: scheme, userinfo, fragment, host, port.
    pub(super) fn judge_url(&self, url: &Url) -> Result<(), NetError> {
        let invalid = |why: String| Err(NetError::InvalidUrl { why });
        if !matches!(url.scheme(), "http" | "https") {
            return invalid(format!("its scheme is `{}`, expected `http` or `https`", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return invalid("it has a user or a password before the host, expected none".to_owned());
        }
        if url.fragment().is_some() {
            return invalid("it has a fragment (`#`), expected none".to_owned());
        }
        if url.host().is_none() {
            return invalid("it has no host".to_owned());
        }
        let is_listed = self.judge_host(url)?;
        let port = url.port_or_known_default().unwrap_or(0);
        if is_listed || WEB_PORTS.contains(&port) || port >= FIRST_OPEN_PORT {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        Err(refused(host, None, format!("its port is {port}, expected 80, 443, or 1024 and above")))
    }

    /// Judges a URL's host. Gives whether it is listed.
    fn judge_host(&self, url: &Url) -> Result<bool, NetError> {
        match url.host() {
            Some(Host::Domain(name)) => self.judge_name(name),
            Some(Host::Ipv4(address)) => self.judge_address(&address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => self.judge_address(&address.to_string(), address.into()),
            None => Ok(false),
        }
    }

    /// Whether the operator listed a URL's host by its name or address. A name that only leads to a listed address is
    /// not listed: no name is resolved here.
    pub(super) fn lists_host(&self, url: &Url) -> bool {
        self.judge_host(url).unwrap_or(false)
    }

    /// Judges a host name by itself. Gives whether it is listed.
    fn judge_name(&self, name: &str) -> Result<bool, NetError> {
        if self.lists(name) {
            return Ok(true);
        }
        let plain = plain(name);
        if !plain.contains('.') {
            return Err(refused(name, None, "a name without a dot is internal".to_owned()));
        }
        match CLOSED_ENDINGS.iter().find(|ending| plain.ends_with(*ending)) {
            Some(ending) => {
                Err(refused(name, None, format!("a name with the ending `{ending}` is internal")))
            }
            None => Ok(false),
        }
    }

    /// Judges an address that `host` is or leads to. Gives whether it is listed, by itself or by the name.
    pub(super) fn judge_address(&self, host: &str, address: IpAddr) -> Result<bool, NetError> {
        let is_listed = self.lists(host)
            || self.nets.iter().any(|net| net.contains(&address) || net.contains(&address.to_canonical()));
        match closed(address) {
            Some(why) if !is_listed => Err(refused(host, Some(address), format!("its address is {why}"))),
            _ => Ok(is_listed),
        }
    }

    fn lists(&self, name: &str) -> bool {
        self.hosts.contains(&plain(name))
    }
}

/// Why an address is closed to those who have no leave; nothing for a public one.
pub(super) fn closed(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => closed_v4(address),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            closed_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) => closed_v6(address),
    }
}

fn closed_v4(address: Ipv4Addr) -> Option<&'static str> {
    CLOSED_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, why)| *why)
}

fn closed_v6(address: Ipv6Addr) -> Option<&'static str> {
    let named = CLOSED_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, why)| *why);
    named.or((!GLOBAL_V6.contains(&address)).then_some("not global"))
}

fn refused(host: &str, address: Option<IpAddr>, why: String) -> NetError {
    NetError::Refused { host: host.to_owned(), address, why }
}

/// A host name as the `url` crate writes it, or nothing if the text is no plain name.
fn host_name(text: &str) -> Option<String> {
    // Wildcards pass as host names in URLs; here they would look as if they worked.
    if text.contains('*') {
        return None;
    }
    match Host::parse(text).ok()? {
        Host::Domain(name) => Some(plain(&name)).filter(|name| !name.is_empty()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// One form per name: lower case, without the dot of the root.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
