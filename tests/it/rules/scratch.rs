use crate::support::client::Client;
use crate::support::random::Random;
use crate::support::world::World;
use bytes::Bytes;
use y_mesh::wire::lib0::write_var_uint as wu;
use y_mesh::wire::sync;
use y_mesh::document::*;

fn upd(u: &[u8]) -> Bytes { sync::update(u) }

#[test]
fn invalid_parent() {
    let mut w = World::new();
    let mut a = Client::new(1);
    let s = w.connect(&mut a);
    let m = w.join();
    w.say(s, a.write("hello"));
    w.settle(&mut [(s, &mut a)]);
    // client 7 clock 0, kind 4 string, parent id (1,0)
    let u = [1, 1, 7, 0, 4, 0, 1, 0, 1, b'x', 0];
    w.say(m, [upd(&u)]);
    println!("{:?} {:?}", w.closed(s), w.closed(m));
    println!("{:?}", w.refusals());
}

#[test]
fn empty_sections() {
    let n: usize = std::env::var("N").unwrap().parse().unwrap();
    let mut u = Vec::new();
    wu(&mut u, n as u64 + 1);
    u.extend([1, 1, 0, 4, 1, 1, b't', 1, b'a']);
    for i in 0..n { u.push(0); wu(&mut u, 1000 + i as u64); u.push(0); }
    u.push(0);
    println!("bytes {}", u.len());
    let mut w = World::new();
    let m = w.join();
    w.say(m, [upd(&u)]);
    println!("{:?} {:?}", w.closed(m), w.refusals());
}

#[test]
fn chain_of_clients() {
    let n: u64 = std::env::var("N").unwrap().parse().unwrap();
    let mut u = Vec::new();
    wu(&mut u, n);
    for i in 0..n {
        u.push(1); wu(&mut u, i); u.push(0);
        if i == 0 { u.extend([4, 1, 1, b't', 1, b'a']); } else { u.push(0x84); wu(&mut u, i - 1); u.extend([0, 1, b'a']); }
    }
    u.push(0);
    println!("bytes {}", u.len());
    let mut w = World::new();
    let m = w.join();
    let t = std::time::Instant::now();
    w.say(m, [upd(&u)]);
    println!("{:?} {:?} {:?}", w.closed(m), w.refusals(), t.elapsed());
}

#[test]
fn nested_types() {
    let n: u64 = std::env::var("N").unwrap().parse().unwrap();
    let mut u = Vec::new();
    wu(&mut u, 1);
    wu(&mut u, n); u.push(1); u.push(0);
    for i in 0..n {
        if i == 0 { u.extend([7, 1, 1, b't', 0]); } else { u.extend([7, 0, 1]); wu(&mut u, i - 1); u.push(0); }
    }
    u.push(0);
    println!("bytes {}", u.len());
    let mut w = World::new();
    let m = w.join();
    w.say(m, [upd(&u)]);
    println!("{:?} {:?}", w.closed(m), w.refusals());
    w.say(m, [upd(&[0, 1, 1, 1, 0, 1])]);
    println!("deleted {:?} {:?}", w.closed(m), w.refusals());
    w.turn();
}

#[test]
fn fuzz() {
    let seeds: u64 = std::env::var("N").unwrap().parse().unwrap();
    let from: u64 = std::env::var("FROM").unwrap_or("0".into()).parse().unwrap();
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    for seed in from..from + seeds {
        let r = std::panic::catch_unwind(|| one(seed));
        match r {
            Err(e) => {
                let m = e.downcast_ref::<String>().cloned().or(e.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default();
                let n = seen.entry(m.chars().take(100).collect()).or_default();
                if *n == 0 || m.contains("differs") { println!("seed {seed}: {m}"); }
                *n += 1;
            }
            Ok(m) => for m in m {
                let n = seen.entry(m.clone()).or_default();
                if *n == 0 || m.contains("differs") { println!("seed {seed}: {m}"); }
                *n += 1;
            }
        }
    }
    println!("{seen:#?}");
}

fn one(seed: u64) -> Vec<String> {
    let mut r = Random::new(seed);
    let mut w = World::new();
    let mut cs = [Client::new(1), Client::new(2), Client::new(3)];
    let ss: Vec<_> = cs.iter_mut().map(|c| w.connect(c)).collect();
    let mut pool: Vec<Bytes> = Vec::new();
    for _ in 0..r.below(12) + 2 {
        let i = r.below(3);
        let ms = cs[i].edit_randomly(&mut r);
        pool.extend(ms.iter().cloned());
        if r.percent(60) { w.say(ss[i], ms); }
        if r.percent(50) { let [a, b, c] = &mut cs; w.settle(&mut [(ss[0], a), (ss[1], b), (ss[2], c)]); }
        for c in &cs { pool.push(sync::update(&c.lacks(&[0]))); }
    }
    let m = w.join();
    let reader = w.join_reader();
    let mut out = Vec::new();
    for _ in 0..6 {
        let mut b = r.pick(&(0..pool.len()).collect::<Vec<_>>());
        let mut bytes = pool[b].to_vec();
        for _ in 0..r.below(4) + 1 {
            let at = r.below(bytes.len());
            match r.below(5) {
                0 => bytes[at] = r.next() as u8,
                1 => bytes[at] = bytes[at].wrapping_add(1),
                2 => bytes[at] = bytes[at].wrapping_sub(1),
                3 => { b = r.below(pool.len()); let o = &pool[b]; let k = r.below(o.len()); bytes[at] = o[k]; }
                _ => bytes[at] = r.below(4) as u8,
            }
        }
        // fix the length
        let mut fixed = Vec::new();
        let start = bytes.iter().skip(2).position(|b| b & 0x80 == 0).map(|p| p + 3).unwrap_or(bytes.len());
        let start = start.min(bytes.len());
        fixed.extend_from_slice(&bytes[start..]);
        let who = if r.percent(30) { reader } else { m };
        if w.closed(who).is_some() { break; }
        let msg = if r.percent(50) { sync::update(&fixed) } else { sync::sync_step_2(&fixed) };
        let before = w.effects.len();
        if std::env::var("V").is_ok() { println!("MSG {} {:?}", who == reader, &msg[..]); }
        w.say(who, [msg]);
        if std::env::var("V").is_ok() { println!("   {} {:?}", w.content().map, &w.effects[before..]); }
        for e in &w.effects[before..] {
            if let Effect::Refused { reason: Reason::Update(Refused::Broken(x)), .. } = e { out.push(format!("broken: {}", x.split(' ').take(3).collect::<Vec<_>>().join(" "))); }
            if let Effect::Refused { reason: Reason::Update(Refused::Circular(_)), .. } = e { out.push("circular".into()); }
            if let Effect::Refused { reason: Reason::Update(Refused::Undecodable(x)), .. } = e { out.push(format!("undecodable: {x}")); }
        }
        if out.iter().any(|o| o.starts_with("broken")) { return out; }
    }
    w.turn();
    // reopen
    let stored = w.journal.everything();
    let again = World::reopened(&stored, w.config.clone(), y_mesh::ClientId(5555));
    if again.content() != w.content() { if std::env::var("V").is_ok() { println!("A {:#?}\nB {:#?}", w.content(), again.content()); for r in w.journal.records() { println!("REC {:?}", &r.update[..]); } println!("SNAP {:?}", &w.document.snapshot()[..]);println!("SNAP {:?}", &again.document.snapshot()[..]); } out.push("reopened differs".into()); }
    let st = w.document.state_vector().clone();
    let real = w.document.read(|t| { use y_mesh::yrs::ReadTxn; (t.state_vector(), t.has_missing_updates()) });
    for (c, k) in st.iter() { if real.0.get(&y_mesh::yrs::ClientID::new(c.0)) != k { out.push(format!("state differs")); } }
    if real.1 { out.push("pending".into()); }
    // clients get there too
    let [a, b, c] = &mut cs;
    w.settle(&mut [(ss[0], a), (ss[1], b), (ss[2], c)]);
    let mut fresh = Client::new(77);
    w.connect(&mut fresh);
    if fresh.content() != w.content() { if std::env::var("V").is_ok() { println!("A {:#?}\nB {:#?}", w.content(), fresh.content()); println!("SNAP {:?}", &w.document.snapshot()[..]); } out.push("fresh differs".into()); }
    if fresh.is_missing_something() { out.push("fresh misses".into()); }
    out
}
