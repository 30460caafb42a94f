//! Formats of other kernels and machines: what their fields become.
//!
//! The texts are written after what such kernels have, cut to the fields that matter here.

use ctf::types::{ByteOrder, Encoding, Field, FieldType, IntegerType};
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::{EventSchema, SchemaError};

const X86_64: Machine = machine(ByteOrder::Little, PageHeader::LONG_64);
const ARM_64: Machine = X86_64;
const ARM_32: Machine = machine(ByteOrder::Little, PageHeader::LONG_32);
const S390X: Machine = machine(ByteOrder::Big, PageHeader::LONG_64);
const PPC_32: Machine = machine(ByteOrder::Big, PageHeader::LONG_32);

const fn machine(byte_order: ByteOrder, page: PageHeader) -> Machine {
    Machine { byte_order, page }
}

const COMMON: &str = "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
    \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n";

/// `COMMON`, `MORE` (further common fields), and the event's own fields.
fn text(name: &str, more: &str, fields: &str, print: &str) -> String {
    format!("name: {name}\nID: 300\nformat:\n{COMMON}{more}\n{fields}\nprint fmt: {print}\n")
}

fn schema(machine: &Machine, subsystem: &str, text: &str) -> EventSchema {
    EventSchema::new(&EventFormat::parse(text).unwrap(), subsystem, machine).unwrap()
}

/// The fields in short: `name:s32`, `name:x64` (hexadecimal), `name:char[16]`, `name:text`, `name:x8[n]`.
fn fields(schema: &EventSchema) -> String {
    let fields: Vec<String> = schema.fields().iter().map(field).collect();
    fields.join(" ")
}

fn field(field: &Field) -> String {
    format!("{}:{}", field.name, ty(&field.ty))
}

fn ty(ty: &FieldType) -> String {
    match ty {
        FieldType::Integer(integer) => number(integer),
        FieldType::String { .. } => "text".into(),
        FieldType::Enum(ty) => {
            let labels: Vec<&str> = ty
                .entries
                .iter()
                .map(|entry| entry.label.as_str())
                .collect();
            format!("{}{{{}}}", number(&ty.container), labels.join("|"))
        }
        FieldType::Array {
            element, length, ..
        } => format!("{}[{length}]", self::ty(element)),
        FieldType::Sequence {
            element,
            length_name,
            ..
        } => format!("{}[{length_name}]", self::ty(element)),
        other => format!("{other:?}"),
    }
}

fn number(ty: &IntegerType) -> String {
    let kind = match (ty.encoding, ty.base, ty.signed) {
        (Encoding::Utf8, _, _) => return "char".into(),
        (_, 16, _) => "x",
        (_, 8, _) => "o",
        (_, _, true) => "s",
        (_, _, false) => "u",
    };
    format!("{kind}{}", ty.size_bits)
}

#[test]
fn the_scheduler_of_4_19_on_arm64() {
    let wakeup = text(
        "sched_wakeup",
        "",
        "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
        \tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n\
        \tfield:int prio;\toffset:28;\tsize:4;\tsigned:1;\n\
        \tfield:int success;\toffset:32;\tsize:4;\tsigned:1;\n\
        \tfield:int target_cpu;\toffset:36;\tsize:4;\tsigned:1;\n",
        "\"comm=%s pid=%d prio=%d target_cpu=%03d\", REC->comm, REC->pid, REC->prio, REC->target_cpu",
    );
    assert_eq!(
        fields(&schema(&ARM_64, "sched", &wakeup)),
        "comm:char[16] tid:s32 prio:s32 success:s32 target_cpu:s32"
    );
    // The interprocessor interrupts of ARM tell the CPUs as words.
    let ipi = text(
        "ipi_raise",
        "",
        "\tfield:__data_loc unsigned long[] target_cpus;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:const char * reason;\toffset:16;\tsize:8;\tsigned:0;\n",
        "\"target_mask=%s (%s)\", __get_bitmask(target_cpus), REC->reason",
    );
    assert_eq!(
        fields(&schema(&ARM_64, "ipi", &ipi)),
        "_target_cpus_length:u16 target_cpus:u64[_target_cpus_length] reason:x64"
    );
}

#[test]
fn block_requests_of_5_10() {
    let issue = text(
        "block_rq_issue",
        "",
        "\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:sector_t sector;\toffset:16;\tsize:8;\tsigned:0;\n\
        \tfield:unsigned int nr_sector;\toffset:24;\tsize:4;\tsigned:0;\n\
        \tfield:unsigned int bytes;\toffset:28;\tsize:4;\tsigned:0;\n\
        \tfield:char rwbs[8];\toffset:32;\tsize:8;\tsigned:1;\n\
        \tfield:char comm[16];\toffset:40;\tsize:16;\tsigned:1;\n\
        \tfield:__data_loc char[] cmd;\toffset:56;\tsize:4;\tsigned:1;\n",
        "\"%d,%d %s %u (%s) %llu + %u [%s]\", ((unsigned int) ((REC->dev) >> 20)), \
        ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->rwbs, REC->bytes, __get_str(cmd), \
        (unsigned long long)REC->sector, REC->nr_sector, REC->comm",
    );
    assert_eq!(
        fields(&schema(&ARM_64, "block", &issue)),
        "dev:u32 sector:u64 nr_sector:u32 bytes:u32 rwbs:x32 comm:char[16] cmd:text"
    );
}

#[test]
fn kernels_with_more_common_fields() {
    // PREEMPT_RT, and the distributions that have its patches.
    let more = "\tfield:unsigned char common_migrate_disable;\toffset:8;\tsize:1;\tsigned:0;\n\
        \tfield:unsigned char common_preempt_lazy_count;\toffset:9;\tsize:1;\tsigned:0;\n";
    let wakeup = text(
        "sched_wakeup",
        more,
        "\tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:1;\n\
        \tfield:pid_t pid;\toffset:28;\tsize:4;\tsigned:1;\n",
        "\"comm=%s pid=%d\", REC->comm, REC->pid",
    );
    let schema = schema(&X86_64, "sched", &wakeup);
    assert_eq!(fields(&schema), "comm:char[16] tid:s32");
    let execve = text(
        "sys_enter_execve",
        "\tfield:unsigned char common_preempt_lazy_count;\toffset:8;\tsize:1;\tsigned:0;\n",
        "\tfield:int __syscall_nr;\toffset:12;\tsize:4;\tsigned:1;\n\
        \tfield:const char * filename;\toffset:16;\tsize:8;\tsigned:0;\n\
        \tfield:const char *const * argv;\toffset:24;\tsize:8;\tsigned:0;\n",
        "\"filename: 0x%08lx\", ((unsigned long)(REC->filename))",
    );
    let schema = self::schema(&X86_64, "syscalls", &execve);
    assert_eq!(fields(&schema), "filename:x64 argv:x64");
}

#[test]
fn arguments_of_system_calls_have_their_own_size() {
    let open = |word: u32| {
        let at = |number: u32| {
            if word == 8 {
                16 + 8 * number
            } else {
                12 + 4 * number
            }
        };
        let argument = |number: u32, ty: &str| {
            format!(
                "\tfield:{ty};\toffset:{};\tsize:{word};\tsigned:0;\n",
                at(number)
            )
        };
        let fields = [
            "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n".to_owned(),
            argument(0, "int dfd"),
            argument(1, "const char * filename"),
            argument(2, "umode_t mode"),
            argument(3, "size_t count"),
            argument(4, "loff_t pos"),
        ];
        text("sys_enter_x", "", &fields.concat(), "\"\"")
    };
    for machine in [X86_64, S390X] {
        let schema = schema(&machine, "syscalls", &open(8));
        assert_eq!(schema.name(), "syscall_entry_x");
        assert_eq!(
            fields(&schema),
            "dfd:s32 filename:x64 mode:u16 count:u64 pos:s64"
        );
    }
    for machine in [ARM_32, PPC_32] {
        let schema = schema(&machine, "syscalls", &open(4));
        assert_eq!(
            fields(&schema),
            "dfd:s32 filename:x32 mode:u16 count:u32 pos:u32"
        );
    }
    let exit = text(
        "sys_exit_x",
        "",
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:long ret;\toffset:12;\tsize:4;\tsigned:1;\n",
        "\"0x%lx\", REC->ret",
    );
    assert_eq!(fields(&schema(&ARM_32, "syscalls", &exit)), "ret:s32");
    // What they were called before Linux 4.5.
    let old = text(
        "sys_enter_x",
        "",
        "\tfield:int nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:int nr;\toffset:16;\tsize:8;\tsigned:0;\n",
        "\"\"",
    );
    assert_eq!(fields(&schema(&X86_64, "syscalls", &old)), "nr:s32");
}

#[test]
fn text_of_system_calls_takes_the_place_of_its_address() {
    let access = text(
        "sys_enter_access",
        "",
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:const char * filename;\toffset:16;\tsize:8;\tsigned:0;\n\
        \tfield:int mode;\toffset:24;\tsize:8;\tsigned:0;\n\
        \tfield:__data_loc char[] __filename_val;\toffset:32;\tsize:4;\tsigned:0;\n",
        "\"filename: 0x%08lx \\\"%s\\\", mode: 0x%08lx\", ((unsigned long)(REC->filename)), \
        __get_str(__filename_val), ((unsigned long)(REC->mode))",
    );
    assert_eq!(
        fields(&schema(&X86_64, "syscalls", &access)),
        "filename:text mode:s32"
    );
}

#[test]
fn what_32_bit_kernels_allocate() {
    let kmalloc = text(
        "kmalloc",
        "",
        "\tfield:unsigned long call_site;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:const void * ptr;\toffset:12;\tsize:4;\tsigned:0;\n\
        \tfield:size_t bytes_req;\toffset:16;\tsize:4;\tsigned:0;\n\
        \tfield:gfp_t gfp_flags;\toffset:24;\tsize:4;\tsigned:0;\n",
        "\"call_site=%lx ptr=%p bytes_req=%zu gfp_flags=%s\", REC->call_site, REC->ptr, \
        REC->bytes_req, (REC->gfp_flags) ? __print_flags(REC->gfp_flags, \"|\", { 0x1u, \"X\" }) : \"none\"",
    );
    let schema = schema(&PPC_32, "kmem", &kmalloc);
    assert_eq!(schema.name(), "kmem_kmalloc");
    assert_eq!(
        fields(&schema),
        "call_site:x32 ptr:x32 bytes_req:u32 gfp_flags:x32"
    );
    let mask = text(
        "x",
        "",
        "\tfield:__data_loc cpumask_t mask;\toffset:8;\tsize:4;\tsigned:0;\n",
        "\"\"",
    );
    assert_eq!(
        fields(&self::schema(&ARM_32, "ipi", &mask)),
        "_mask_length:u16 mask:x32[_mask_length]"
    );
}

#[test]
fn relative_locations_are_declared_in_two_ways() {
    let sample = text(
        "foo_rel_loc",
        "",
        "\tfield:__rel_loc char foo[];\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:int bar;\toffset:12;\tsize:4;\tsigned:1;\n\
        \tfield:__rel_loc unsigned long bitmask[];\toffset:16;\tsize:4;\tsigned:0;\n\
        \tfield:__rel_loc char[] other;\toffset:20;\tsize:4;\tsigned:1;\n",
        "\"\"",
    );
    assert_eq!(
        fields(&schema(&X86_64, "sample-trace", &sample)),
        "foo:text bar:s32 _bitmask_length:u16 bitmask:u64[_bitmask_length] other:text"
    );
}

#[test]
fn probes_that_users_define() {
    let probe = text(
        "p_open",
        "",
        "\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;\n\
        \tfield:s32 fd;\toffset:16;\tsize:4;\tsigned:1;\n\
        \tfield:__data_loc char[] path;\toffset:20;\tsize:4;\tsigned:1;\n\
        \tfield:u64 words[4];\toffset:24;\tsize:32;\tsigned:0;\n\
        \tfield:u16 hex;\toffset:56;\tsize:2;\tsigned:0;\n",
        "\"(%lx) fd=%d path=\\\"%s\\\" hex=0x%x\", REC->__probe_ip, REC->fd, __get_str(path), REC->hex",
    );
    assert_eq!(
        fields(&schema(&X86_64, "uprobes", &probe)),
        "__probe_ip:x64 fd:s32 path:text words:u64[4] hex:x16"
    );
}

#[test]
fn structures_and_strange_sizes_are_bytes() {
    let odd = text(
        "odd",
        "",
        "\tfield:struct timespec64 time;\toffset:8;\tsize:16;\tsigned:0;\n\
        \tfield:struct small one;\toffset:24;\tsize:8;\tsigned:0;\n\
        \tfield:struct small two[2];\toffset:32;\tsize:16;\tsigned:0;\n\
        \tfield:u8 mac[ETH_ALEN];\toffset:48;\tsize:6;\tsigned:0;\n\
        \tfield:u16 pairs[2][3];\toffset:54;\tsize:12;\tsigned:0;\n\
        \tfield:struct triple three[2];\toffset:66;\tsize:6;\tsigned:0;\n\
        \tfield:struct nothing none;\toffset:72;\tsize:0;\tsigned:0;\n\
        \tfield:bool yes;\toffset:72;\tsize:1;\tsigned:0;\n\
        \tfield:enum state state;\toffset:76;\tsize:4;\tsigned:0;\n\
        \tfield:u32 buf[];\toffset:80;\tsize:0;\tsigned:0;\n",
        "\"%s\", __print_symbolic(REC->state, { 0, \"OFF\" }, { 1, \"ON\" })",
    );
    assert_eq!(
        fields(&schema(&X86_64, "test", &odd)),
        "time:x8[16] one:x64 two:x64[2] mac:u8[6] pairs:u16[6] three:x8[6] yes:u8 \
        state:u32{OFF|ON} _buf_length:u32 buf:u32[_buf_length]"
    );
}

#[test]
fn fields_of_one_name_get_two() {
    let twice = text(
        "twice",
        "",
        "\tfield:int x;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:int x;\toffset:12;\tsize:4;\tsigned:1;\n",
        "\"\"",
    );
    assert_eq!(fields(&schema(&X86_64, "test", &twice)), "x:s32 x_2:s32");
}

#[test]
fn what_no_kernel_has_is_refused() {
    let event = |text: &str| EventSchema::new(&EventFormat::parse(text).unwrap(), "test", &X86_64);
    let large = text("x", "", "", "\"\"").replace("ID: 300", "ID: 65535");
    assert!(matches!(
        event(&large),
        Err(SchemaError::Id { id: 65535, .. })
    ));
    let moved = text("x", "", "", "\"\"").replace("common_pid;\toffset:4", "common_pid;\toffset:8");
    assert!(matches!(
        event(&moved),
        Err(SchemaError::Common {
            field: "common_pid",
            ..
        })
    ));
    for offset in ["65533", "4294967295"] {
        let field = format!("\tfield:int far;\toffset:{offset};\tsize:4;\tsigned:1;\n");
        assert!(matches!(
            event(&text("x", "", &field, "\"\"")),
            Err(SchemaError::Place { .. })
        ));
    }
}
