//! Addresses and ids as Java prints them: they are stored, and shown by tools.

use std::net::IpAddr;

use ringlog_wire::Uuid;

/// As `InetAddress.toString` prints an address that was not looked up.
pub(super) fn java_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups: Vec<String> = address.segments().iter().map(|s| format!("{s:x}")).collect();
            format!("/{}", groups.join(":"))
        }
    }
}

/// As `UUID.toString` prints it.
pub(super) fn java_uuid(id: Uuid) -> String {
    let hex: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ids_look_as_in_java() {
        assert_eq!(java_address("127.0.0.1".parse().expect("an address")), "/127.0.0.1");
        assert_eq!(java_address("::1".parse().expect("an address")), "/0:0:0:0:0:0:0:1");
        let id = Uuid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
        assert_eq!(java_uuid(id), "01234567-89ab-cdef-0123-456789abcdef");
    }
}
