//! The names. Source: the event definitions of lttng-modules 2.13, for events that Linux 4.19 to 6.18 have.

/// An event with a name of its own in LTTng.
#[derive(Clone, Copy, Debug)]
pub struct Renamed {
    /// The kernel's subsystem.
    pub subsystem: &'static str,
    /// The kernel's name.
    pub kernel: &'static str,
    /// LTTng's name.
    pub lttng: &'static str,
}

/// Events that LTTng calls by the kernel's name with something in front.
#[derive(Clone, Copy, Debug)]
pub struct Prefixed {
    /// The kernel's subsystem.
    pub subsystem: &'static str,
    /// What LTTng puts in front.
    pub prefix: &'static str,
    /// The kernel's names; `*` at the end stands for anything.
    pub events: &'static [&'static str],
}

/// Events of the scheduler in which LTTng calls the kernel's process ids what they are: thread ids.
pub const TASK_EVENTS: &[&str] = &[
    "sched_kthread_stop",
    "sched_waking",
    "sched_wakeup",
    "sched_wakeup_new",
    "sched_switch",
    "sched_migrate_task",
    "sched_process_free",
    "sched_process_exit",
    "sched_process_wait",
    "sched_process_fork",
    "sched_process_exec",
    "sched_wait_task",
    "sched_stat_*",
    "sched_pi_setprio",
];

/// The kernel's and LTTng's names of the fields in [`TASK_EVENTS`].
pub const TASK_FIELDS: &[(&str, &str)] = &[
    ("pid", "tid"),
    ("prev_pid", "prev_tid"),
    ("next_pid", "next_tid"),
    ("parent_pid", "parent_tid"),
    ("child_pid", "child_tid"),
    ("old_pid", "old_tid"),
];

/// A field with a name of its own in LTTng, in one event.
#[derive(Clone, Copy, Debug)]
pub struct RenamedField {
    /// The kernel's subsystem.
    pub subsystem: &'static str,
    /// The kernel's name of the event.
    pub event: &'static str,
    /// The kernel's name of the field.
    pub kernel: &'static str,
    /// LTTng's name of the field.
    pub lttng: &'static str,
}

const fn field(
    subsystem: &'static str,
    event: &'static str,
    kernel: &'static str,
    lttng: &'static str,
) -> RenamedField {
    RenamedField {
        subsystem,
        event,
        kernel,
        lttng,
    }
}

/// Other fields with names of their own.
pub const FIELDS: &[RenamedField] = &[
    field("syscalls", "sys_enter_clone", "clone_flags", "flags"),
    field("syscalls", "sys_enter_clone", "parent_tidptr", "parent_tid"),
    field("syscalls", "sys_enter_clone", "child_tidptr", "child_tid"),
    field("syscalls", "sys_enter_getcpu", "unused", "tcache"),
    field("syscalls", "sys_enter_mmap", "off", "offset"),
    field("syscalls", "sys_enter_setns", "flags", "nstype"),
    field("syscalls", "sys_enter_vmsplice", "uiov", "iov"),
    field(
        "vmscan",
        "mm_vmscan_lru_isolate",
        "highest_zoneidx",
        "classzone_idx",
    ),
    field(
        "vmscan",
        "mm_vmscan_lru_shrink_inactive",
        "nr_activate0",
        "nr_activate_anon",
    ),
    field(
        "vmscan",
        "mm_vmscan_lru_shrink_inactive",
        "nr_activate1",
        "nr_activate_file",
    ),
];

/// Prefixes.
pub const PREFIXED: &[Prefixed] = &[
    Prefixed {
        subsystem: "irq",
        prefix: "irq_",
        events: &["softirq_*"],
    },
    Prefixed {
        subsystem: "timer",
        prefix: "timer_",
        events: &["hrtimer_*", "itimer_*"],
    },
    Prefixed {
        subsystem: "kmem",
        prefix: "kmem_",
        events: &["kmalloc*", "kfree", "mm_page_*"],
    },
    Prefixed {
        subsystem: "net",
        prefix: "net_",
        events: &["napi_gro_*"],
    },
    Prefixed {
        subsystem: "power",
        prefix: "power_",
        events: &[
            "cpu_idle",
            "cpu_frequency",
            "machine_suspend",
            "wakeup_source_activate",
            "wakeup_source_deactivate",
            "clock_enable",
            "clock_disable",
            "clock_set_rate",
        ],
    },
    Prefixed {
        subsystem: "irq_vectors",
        prefix: "x86_irq_vectors_",
        events: &[
            "local_timer_*",
            "reschedule_*",
            "spurious_apic_*",
            "error_apic_*",
            "irq_work_*",
            "call_function_*",
            "threshold_apic_*",
            "deferred_error_apic_*",
            "thermal_apic_*",
        ],
    },
    Prefixed {
        subsystem: "exceptions",
        prefix: "x86_exceptions_",
        events: &["page_fault_user", "page_fault_kernel"],
    },
    Prefixed {
        subsystem: "preemptirq",
        prefix: "preemptirq_",
        events: &[
            "irq_disable",
            "irq_enable",
            "preempt_disable",
            "preempt_enable",
        ],
    },
    Prefixed {
        subsystem: "printk",
        prefix: "printk_",
        events: &["console"],
    },
    Prefixed {
        subsystem: "random",
        prefix: "random_",
        events: &[
            "extract_entropy*",
            "mix_pool_bytes*",
            "credit_entropy_bits",
            "get_random_bytes",
        ],
    },
    Prefixed {
        subsystem: "regmap",
        prefix: "regmap_",
        events: &["regcache_sync"],
    },
    Prefixed {
        subsystem: "writeback",
        prefix: "writeback_",
        events: &[
            "balance_dirty_pages",
            "bdi_dirty_ratelimit",
            "global_dirty_state",
        ],
    },
    Prefixed {
        subsystem: "asoc",
        prefix: "asoc_",
        events: &["snd_soc_*"],
    },
    Prefixed {
        subsystem: "btrfs",
        prefix: "btrfs_",
        events: &[
            "alloc_extent_state",
            "free_extent_state",
            "find_free_extent",
            "add_delayed_*",
            "run_delayed_*",
        ],
    },
];

/// Subsystem of virtual machines. LTTng has names of its own for what they do on x86, none for other machines.
pub(crate) const KVM: &str = "kvm";

/// Names that follow no rule.
pub const RENAMED: &[Renamed] = &[
    renamed("net", "netif_receive_skb", "net_if_receive_skb"),
    renamed("net", "netif_rx", "net_if_rx"),
    renamed("net", "netif_receive_skb_entry", "net_if_receive_skb_entry"),
    renamed("net", "netif_receive_skb_exit", "net_if_receive_skb_exit"),
    renamed(
        "net",
        "netif_receive_skb_list_entry",
        "net_if_receive_skb_list_entry",
    ),
    renamed(
        "net",
        "netif_receive_skb_list_exit",
        "net_if_receive_skb_list_exit",
    ),
    renamed("net", "netif_rx_entry", "net_if_rx_entry"),
    renamed("net", "netif_rx_exit", "net_if_rx_exit"),
    renamed("net", "netif_rx_ni_entry", "net_if_rx_ni_entry"),
    renamed("net", "netif_rx_ni_exit", "net_if_rx_ni_exit"),
    renamed(
        "irq_vectors",
        "x86_platform_ipi_entry",
        "x86_irq_vectors_ipi_entry",
    ),
    renamed(
        "irq_vectors",
        "x86_platform_ipi_exit",
        "x86_irq_vectors_ipi_exit",
    ),
    renamed(KVM, "kvm_entry", "kvm_x86_entry"),
    renamed(KVM, "kvm_hypercall", "kvm_x86_hypercall"),
    renamed(KVM, "kvm_hv_hypercall", "kvm_x86_hv_hypercall"),
    renamed(KVM, "kvm_pio", "kvm_x86_pio"),
    renamed(KVM, "kvm_cpuid", "kvm_x86_cpuid"),
    renamed(KVM, "kvm_apic", "kvm_x86_apic"),
    renamed(KVM, "kvm_exit", "kvm_x86_exit"),
    renamed(KVM, "kvm_inj_virq", "kvm_x86_inj_virq"),
    renamed(KVM, "kvm_inj_exception", "kvm_x86_inj_exception"),
    renamed(KVM, "kvm_page_fault", "kvm_x86_page_fault"),
    renamed(KVM, "kvm_msr", "kvm_x86_msr"),
    renamed(KVM, "kvm_cr", "kvm_x86_cr"),
    renamed(KVM, "kvm_pic_set_irq", "kvm_x86_pic_set_irq"),
    renamed(KVM, "kvm_apic_ipi", "kvm_x86_apic_ipi"),
    renamed(KVM, "kvm_apic_accept_irq", "kvm_x86_apic_accept_irq"),
    renamed(KVM, "kvm_eoi", "kvm_x86_eoi"),
    renamed(KVM, "kvm_pv_eoi", "kvm_x86_pv_eoi"),
    renamed(KVM, "kvm_nested_vmrun", "kvm_x86_nested_vmrun"),
    renamed(KVM, "kvm_nested_intercepts", "kvm_x86_nested_intercepts"),
    renamed(KVM, "kvm_nested_vmexit", "kvm_x86_nested_vmexit"),
    renamed(
        KVM,
        "kvm_nested_vmexit_inject",
        "kvm_x86_nested_vmexit_inject",
    ),
    renamed(KVM, "kvm_nested_intr_vmexit", "kvm_x86_nested_intr_vmexit"),
    renamed(KVM, "kvm_invlpga", "kvm_x86_invlpga"),
    renamed(KVM, "kvm_skinit", "kvm_x86_skinit"),
    renamed(KVM, "kvm_emulate_insn", "kvm_x86_emulate_insn"),
    renamed(KVM, "kvm_write_tsc_offset", "kvm_x86_write_tsc_offset"),
    renamed(
        KVM,
        "kvm_update_master_clock",
        "kvm_x86_update_master_clock",
    ),
    renamed(KVM, "kvm_track_tsc", "kvm_x86_track_tsc"),
    renamed("skb", "kfree_skb", "skb_kfree"),
    renamed("skb", "consume_skb", "skb_consume"),
    renamed(
        "compaction",
        "mm_compaction_migratepages",
        "compaction_migratepages",
    ),
    renamed(
        "compaction",
        "mm_compaction_isolate_migratepages",
        "compaction_isolate_migratepages",
    ),
    renamed(
        "compaction",
        "mm_compaction_isolate_freepages",
        "compaction_isolate_freepages",
    ),
    renamed(
        "vmscan",
        "mm_shrink_slab_start",
        "mm_vmscan_shrink_slab_start",
    ),
    renamed("vmscan", "mm_shrink_slab_end", "mm_vmscan_shrink_slab_end"),
    renamed("btrfs", "__extent_writepage", "btrfs__extent_writepage"),
];

const fn renamed(subsystem: &'static str, kernel: &'static str, lttng: &'static str) -> Renamed {
    Renamed {
        subsystem,
        kernel,
        lttng,
    }
}
