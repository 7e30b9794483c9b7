//! What `check` and the judgement of addresses let through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::address::closed;
use super::super::{Client, NetError, Reach};
use super::reach;

fn check(allow: &[&str], url: &str) -> &'static str {
    match Client::new(reach(allow)).check(url) {
        Ok(_) => "ok",
        Err(NetError::Refused { .. }) => "refused",
        Err(NetError::InvalidUrl { .. }) => "invalid",
        Err(other) => panic!("{url}: {other}"),
    }
}

#[test]
fn public_urls_pass() {
    for url in [
        "http://example.com/",
        "https://example.com/a?b=c|d",
        "https://example.com:8443/hook",
        "http://example.com:1024/",
        "http://example.com:443/",
        "https://bücher.example/",
        "https://a_b.example.com./",
        "http://93.184.216.34/",
        "http://[2606:2800:220:1::1]/",
        "http://[::ffff:93.184.216.34]/",
        "http://[64:ff9b::93.184.216.34]/",
    ] {
        assert_eq!(check(&[], url), "ok", "{url}");
    }
}

#[test]
fn closed_places_are_refused_in_every_spelling() {
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.0.0.1./",
        "http://１２７.０.０.１/",
        "http://127。0。0。1/",
        "http://①②⑦.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http:\\\\127.0.0.1\\",
        "http:127.0.0.1",
        "ht\ntp://127.0.\t0.1/",
        "http://0/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://100.100.100.200/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/latest/meta-data/",
        "http://192.168.1.1/",
        "http://255.255.255.255/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:ffff:169.254.169.254]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b:1::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
        "http://[fd00:ec2::254]/latest/",
        "http://[fe80::1]/",
        "http://localhost/",
        "http://LOCALHOST:8080/",
        "http://localhost./",
        "http://ｌｏｃａｌｈｏｓｔ/",
        "http://a.localhost/",
        "http://foo.local/",
        "http://foo.local./",
        "http://metadata.google.internal/",
        "http://printer.home.arpa/",
        "http://intranet/",
    ] {
        assert_eq!(check(&[], url), "refused", "{url}");
    }
}

#[test]
fn odd_ports_are_refused() {
    for port in [0, 1, 22, 25, 53, 81, 442, 444, 1023] {
        assert_eq!(check(&[], &format!("http://example.com:{port}/")), "refused", "{port}");
        assert_eq!(check(&["example.com"], &format!("http://example.com:{port}/")), "ok", "{port}");
    }
    assert_eq!(check(&["127.0.0.1"], "http://127.0.0.1:81/"), "ok");
    assert_eq!(
        check(&["93.184.216.34"], "http://93.184.216.34:81/"),
        "ok",
        "a public address may be listed too"
    );
}

#[test]
fn urls_that_nobody_could_use_are_invalid() {
    let long = format!("http://example.com/{}", "a".repeat(9000));
    for url in [
        "",
        "example.com",
        "/path",
        "//example.com/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "data:text/plain,x",
        "unix:///run/docker.sock",
        "javascript:alert(1)",
        "http://",
        "http://user@example.com/",
        "http://:secret@example.com/",
        "http://example.com@127.0.0.1/",
        "http://127.0.0.1#@example.com/",
        "http://example.com/#",
        "http://example.com:65536/",
        "http://exa mple.com/",
        "http://[fe80::1%25eth0]/",
        "http://256.1.1.1/",
        "http://a{b}.example/",
        &long,
    ] {
        // With everything listed, what is left is what no setting can mend.
        assert_eq!(check(&["0.0.0.0/0", "::/0"], url), "invalid", "{url}");
    }
}

#[test]
fn the_allow_list_opens_what_it_names_and_no_more() {
    let cases: &[(&[&str], &str, &str)] = &[
        (&["127.0.0.1"], "http://127.0.0.1:9/", "ok"),
        (&["127.0.0.1"], "http://127.0.0.2/", "refused"),
        (&["127.0.0.1"], "http://[::ffff:127.0.0.1]/", "ok"),
        (&["127.0.0.1"], "http://[64:ff9b::7f00:1]/", "refused"),
        (&["127.0.0.1"], "http://[::1]/", "refused"),
        (&["127.0.0.1"], "http://localhost/", "refused"),
        (&["127.0.0.0/8"], "http://127.255.0.1/", "ok"),
        (&["10.1.2.3/8"], "http://10.9.9.9/", "ok"),
        (&[" ::1 "], "http://[::1]/", "ok"),
        (&["fd00::/8"], "http://[fd12::1]/", "ok"),
        (&["fd00::/8"], "http://[fe80::1]/", "refused"),
        (&["localhost"], "http://localhost:81/", "ok"),
        (&["localhost"], "http://localhost./", "ok"),
        (&["localhost"], "http://127.0.0.1/", "refused"),
        (&["localhost"], "http://a.localhost/", "refused"),
        (&["Receiver.Internal."], "http://receiver.internal/", "ok"),
        (&["receiver.internal"], "http://x.receiver.internal/", "refused"),
        (&["receiver.internal"], "ftp://receiver.internal/", "invalid"),
        (&["receiver.internal"], "http://u:p@receiver.internal/", "invalid"),
    ];
    for (allow, url, expected) in cases {
        assert_eq!(check(allow, url), *expected, "{allow:?} {url}");
    }
}

#[test]
fn entries_that_would_open_something_else_are_named() {
    for entry in
        ["", "*", "*.corp", "http://host/", "host:80", "10.0.0.0/33", "127.1", "a b", "10.0.0.0-10.0.0.9"]
    {
        let error = Reach::new(&["10.0.0.1".to_owned(), entry.to_owned()]).unwrap_err();
        assert!(matches!(&error, NetError::Allow { entry: named } if named == entry), "{entry}: {error}");
        assert!(error.to_string().contains("`net.allow`"), "{error}");
    }
}

#[test]
fn a_refusal_says_the_rule_and_the_setting() {
    let message = |url| Client::new(Reach::default()).check(url).unwrap_err().to_string();
    assert_eq!(
        message("http://10.1.2.3/"),
        "`10.1.2.3` is refused: its address is private; to allow it, list the host or its address in `net.allow`"
    );
    assert!(
        message("http://a.example:25/?token=x")
            .starts_with("`a.example` is refused: its port is 25, expected")
    );
    for url in [
        "ftp://user:geheim@a.example/geheim?geheim",
        "http://u:geheim@a.example/",
        "http://a.example/#geheim",
    ] {
        assert!(!message(url).contains("geheim"), "{}", message(url));
    }
}

/// First and last address of each closed range; the neighbours outside are open unless they lie in another one.
#[test]
fn each_closed_range_ends_where_the_registry_says() {
    let ranges: &[(&str, &str)] = &[
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("168.63.129.16", "168.63.129.16"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "255.255.255.255"),
    ];
    let edges: Vec<(u32, u32)> = ranges
        .iter()
        .map(|(first, last)| {
            (first.parse::<Ipv4Addr>().unwrap().into(), last.parse::<Ipv4Addr>().unwrap().into())
        })
        .collect();
    let expected = |address: u32| edges.iter().any(|(first, last)| (*first..=*last).contains(&address));
    // Every edge with its neighbours, and a walk through the whole space by a step that is prime.
    let near = edges.iter().flat_map(|(first, last)| {
        [first.saturating_sub(1), *first, first + (last - first) / 2, *last, last.saturating_add(1)]
    });
    for bits in near.chain((0..=u32::MAX).step_by(65_537)) {
        let v4 = Ipv4Addr::from(bits);
        let mapped = v4.to_ipv6_mapped();
        let translated = Ipv6Addr::from((0x64_ff9b_u128 << 96) | u128::from(bits));
        for address in [IpAddr::V4(v4), mapped.into(), translated.into()] {
            assert_eq!(closed(address).is_some(), expected(bits), "{address}");
        }
        for tunnel in [(0x2002_u128 << 112) | (u128::from(bits) << 80), u128::from(bits)] {
            assert!(closed(Ipv6Addr::from(tunnel).into()).is_some(), "{}", Ipv6Addr::from(tunnel));
        }
    }
}

#[test]
fn ipv6_is_closed_but_for_global_unicast() {
    let cases: &[(&str, bool)] = &[
        ("::", true),
        ("::1", true),
        ("::2", true),
        ("1::", true),
        ("64:ff9b::ffff:0:0:0", true),
        ("64:ff9b:1::808:808", true),
        ("100::1", true),
        ("1fff:ffff::", true),
        ("2000::", false),
        ("2001::1", true),
        ("2001:2::1", true),
        ("2001:10::", true),
        ("2001:2f:ffff::", true),
        ("2001:1ff:ffff::", true),
        ("2001:200::", false),
        ("2001:4860:4860::8888", false),
        ("2001:db7:ffff::", false),
        ("2001:db8::", true),
        ("2001:db8:ffff::", true),
        ("2001:db9::", false),
        ("2002:808:808::", true),
        ("2003::", false),
        ("2a00::1", false),
        ("3ffe:ffff::", false),
        ("3fff::", true),
        ("3fff:fff:ffff::", true),
        ("3fff:1000::", false),
        ("3fff:ffff::", false),
        ("4000::", true),
        ("5f00::1", true),
        ("fc00::", true),
        ("fd00:ec2::254", true),
        ("fe80::1", true),
        ("fec0::1", true),
        ("ff02::1", true),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
    ];
    for (address, is_closed) in cases {
        assert_eq!(closed(address.parse().unwrap()).is_some(), *is_closed, "{address}");
    }
}
