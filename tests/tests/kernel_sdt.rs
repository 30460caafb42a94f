//! Probes that authors put into their programs (`sys/sdt.h`): each firing is an event, wherever the compiler put
//! the probe, and also if the program asks first whether anybody looks.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use kernel::elf;
use system_tests::{Output, Target, Trace, World, here, isolated, run};

/// One probe in three places, of which one is a function that is inlined, and another probe.
const PLAIN: &str = r#"
#include <sys/sdt.h>
static inline __attribute__((always_inline)) void sell(int n) { DTRACE_PROBE1(shop, sale, n); }
int main(void) {
    for (int n = 0; n < 10; n++) sell(n);
    for (int n = 0; n < 7; n++) sell(n);
    DTRACE_PROBE(shop, closed);
    for (int n = 0; n < 3; n++) DTRACE_PROBE2(shop, sale, n, "text");
    return 0;
}
"#;

/// Probes with semaphores: for each line of input the program tells how often it came to the probe.
const GUARDED: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#include <stdio.h>
__extension__ unsigned short volatile shop_sale_semaphore __attribute__((unused, section(".probes")));
int main(void) {
    while (getchar() != EOF) {
        int hits = 0;
        for (int n = 0; n < 50; n++)
            if (shop_sale_semaphore) { DTRACE_PROBE1(shop, sale, n); hits++; }
        for (int n = 0; n < 5; n++)
            if (shop_sale_semaphore) { DTRACE_PROBE1(shop, sale, n); hits++; }
        printf("%d\n", hits);
        fflush(stdout);
    }
    return 0;
}
"#;

fn out(w: &World) -> PathBuf {
    w.path("traces/s")
}

fn compile(w: &World, source: &str, options: &[&str]) -> Result<PathBuf> {
    let (file, program) = (w.path("shop.c"), w.path("shop"));
    fs::write(&file, source)?;
    run(Command::new("gcc")
        .args(options)
        .arg("-o")
        .arg(&program)
        .arg(&file))?
    .ok()?;
    Ok(program)
}

fn enable(target: &Target, program: &Path, probe: &str, name: &str) -> Result<Output> {
    let place = format!("--userspace-probe=sdt:{}:{probe}", program.display());
    target.lttng_args(&["enable-event", "-k", &place, name])
}

fn every_firing(w: &mut World, options: &[&str]) -> Result<()> {
    let program = compile(w, PLAIN, options)?;
    let target = w.kernel_target()?;
    target
        .lttng(&format!("create s --output={}", out(w).display()))?
        .ok()?;
    enable(&target, &program, "shop:sale", "sold")?.ok()?;
    enable(&target, &program, "shop:closed", "closed")?.ok()?;
    enable(&target, &program, "shop:opened", "opened")?
        .code(138)?
        .says("it has no SDT probe `shop:opened`")?;
    let listed = target.lttng("list s")?.ok()?;
    let shown = format!(
        "      sold (type: userspace-probe) [enabled]\n        Type: Tracepoint\n        \
         Binary path:   {}\n        Tracepoint:    shop:sale\n        Lookup method: SDT\n",
        program.display()
    );
    ensure!(listed.stdout.contains(&shown), "{listed}");
    target.lttng("start")?.ok()?;
    run(&mut Command::new(&program))?.ok()?;
    target.script("stop\n destroy")?;
    w.tracefs_emptied()?;

    let trace = Trace::read(&out(w))?;
    trace.assert_clean()?;
    ensure!((trace.count("sold"), trace.count("closed")) == (20, 1));
    let sold: Vec<_> = trace
        .events
        .iter()
        .filter(|event| event.name == "sold")
        .collect();
    let places: BTreeSet<_> = sold.iter().map(|event| &event.fields).collect();
    let sites = elf::sdt_sites(&fs::read(&program)?, "shop", "sale")?;
    // A compiler may make several places of a loop.
    ensure!(
        places.len() >= 3 && places.len() <= sites.len(),
        "{places:?} {sites:?}"
    );
    Ok(())
}

#[test]
fn every_firing_of_a_movable_program_is_an_event() {
    isolated(here!(), |w| every_firing(w, &["-O2", "-fPIE", "-pie"]));
}

#[test]
fn every_firing_of_a_fixed_program_is_an_event() {
    isolated(here!(), |w| every_firing(w, &["-O0", "-no-pie"]));
}

#[test]
fn a_program_learns_through_its_semaphore_that_somebody_looks() {
    isolated(here!(), |w| {
        let program = compile(w, GUARDED, &["-O2"])?;
        let mut shop = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = shop.stdin.take().context("no input")?;
        let mut output = BufReader::new(shop.stdout.take().context("no output")?);
        let mut sell = || -> Result<u32> {
            input.write_all(b"x")?;
            let mut line = String::new();
            output.read_line(&mut line)?;
            Ok(line.trim().parse()?)
        };
        let target = w.kernel_target()?;
        target
            .lttng(&format!("create s --output={}", out(w).display()))?
            .ok()?;
        enable(&target, &program, "shop:sale", "sold")?.ok()?;
        ensure!(sell()? == 0, "nobody looks yet");
        target.lttng("start")?.ok()?;
        // The program that runs, and one that starts now.
        ensure!(sell()? == 55);
        let other = run(Command::new("sh")
            .args(["-c", "printf x | \"$0\""])
            .arg(&program))?
        .ok()?;
        ensure!(other.stdout.trim() == "55", "{other}");
        target.script("stop\n destroy")?;
        ensure!(sell()? == 0, "nobody looks any more");
        drop(input);
        shop.wait()?;
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        ensure!(trace.count("sold") == 110, "{} events", trace.count("sold"));
        Ok(())
    });
}

/// Asks upstream's library where the probes are: offsets in the file, or the error.
const ASK_UPSTREAM: &str = r#"
import ctypes, os, sys
library = ctypes.CDLL("liblttng-ctl.so.0")
offsets, count = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint32(0)
fd = os.open(sys.argv[1], os.O_RDONLY)
code = library.lttng_elf_get_sdt_probe_offsets(fd, sys.argv[2].encode(), sys.argv[3].encode(),
                                               ctypes.byref(offsets), ctypes.byref(count))
print(code, *sorted(offsets[n] for n in range(count.value)) if code == 0 else ())
"#;

#[test]
fn places_are_where_upstream_finds_them() {
    isolated(here!(), |w| {
        let ask = |program: &Path, provider: &str, name: &str| {
            let mut python = Command::new("python3");
            python.args(["-c", ASK_UPSTREAM]).arg(program);
            run(python.args([provider, name]))?.ok()
        };
        let ours = |program: &Path, provider: &str, name: &str| -> Result<Vec<elf::SdtSite>> {
            Ok(elf::sdt_sites(&fs::read(program)?, provider, name)?)
        };
        let shop = compile(w, PLAIN, &["-O2"])?;
        let library = Path::new("/usr/lib/x86_64-linux-gnu/libstdc++.so.6");
        for (program, provider, name) in [
            (shop.as_path(), "shop", "sale"),
            (&shop, "shop", "closed"),
            (library, "libstdcxx", "catch"),
            (library, "libstdcxx", "throw"),
        ] {
            let mut sites = ours(program, provider, name)?;
            sites.sort_by_key(|site| site.offset);
            let offsets = sites.iter().map(|site| format!(" {}", site.offset));
            let expected = format!("0{}", offsets.collect::<String>());
            let theirs = ask(program, provider, name)?;
            ensure!(theirs.stdout.trim() == expected, "{expected}\n{theirs}");
            ensure!(sites.iter().all(|site| site.semaphore.is_none()));
        }
        // Upstream cannot do this; the kernel can.
        let guarded = compile(w, GUARDED, &["-O2"])?;
        let refused = ask(&guarded, "shop", "sale")?;
        ensure!(refused.stdout.trim() == "140", "{refused}");
        let sites = ours(&guarded, "shop", "sale")?;
        ensure!(sites.len() >= 2 && sites.iter().all(|site| site.semaphore.is_some()));
        Ok(())
    });
}
