//! What upstream's library has and this one has not: the names, so that a program that uses a little of it
//! runs, with an honest answer.
//!
//! Triggers and notifications. Each call fails and does nothing, whatever its arguments:
//! objects are never made, so nothing has to be freed.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use crate::failure::Failure;

macro_rules! absent {
    ($result:ty, $value:expr; $($name:ident)*) => {
        $(
            /// Not there: fails, whatever the arguments.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> $result {
                $value
            }
        )*
    };
}

// Functions that return a negative `enum lttng_error_code` on failure.
absent! {
    c_int, Failure::NOT_SUPPORTED.negative();
    lttng_elf_get_sdt_probe_offsets
    lttng_elf_get_symbol_offset
    lttng_register_consumer
    lttng_register_trigger
    lttng_unregister_trigger
    spawn_viewer
}

// Functions that return `enum lttng_error_code`.
absent! {
    c_uint, Failure::NOT_SUPPORTED.positive();
    lttng_error_query_execute
    lttng_list_triggers
    lttng_register_trigger_with_automatic_name
    lttng_register_trigger_with_name
}

// Obsolete in upstream too, with this answer.
absent! {
    c_int, -libc::ENOSYS;
    lttng_disable_consumer
    lttng_enable_consumer
}

// Functions that return an object or a string.
absent! {
    *mut c_void, ptr::null_mut();
    lttng_action_list_create
    lttng_action_list_get_at_index
    lttng_action_notify_create
    lttng_action_path_create
    lttng_action_rotate_session_create
    lttng_action_snapshot_session_create
    lttng_action_start_session_create
    lttng_action_stop_session_create
    lttng_condition_buffer_usage_high_create
    lttng_condition_buffer_usage_low_create
    lttng_condition_event_rule_matches_create
    lttng_condition_event_rule_matches_get_capture_descriptor_at_index
    lttng_condition_session_consumed_size_create
    lttng_condition_session_rotation_completed_create
    lttng_condition_session_rotation_ongoing_create
    lttng_error_query_action_create
    lttng_error_query_condition_create
    lttng_error_query_trigger_create
    lttng_event_expr_app_specific_context_field_create
    lttng_event_expr_app_specific_context_field_get_provider_name
    lttng_event_expr_app_specific_context_field_get_type_name
    lttng_event_expr_array_field_element_create
    lttng_event_expr_array_field_element_get_parent_expr
    lttng_event_expr_channel_context_field_create
    lttng_event_expr_channel_context_field_get_name
    lttng_event_expr_event_payload_field_create
    lttng_event_expr_event_payload_field_get_name
    lttng_event_rule_jul_logging_create
    lttng_event_rule_kernel_kprobe_create
    lttng_event_rule_kernel_syscall_create
    lttng_event_rule_kernel_tracepoint_create
    lttng_event_rule_kernel_uprobe_create
    lttng_event_rule_log4j_logging_create
    lttng_event_rule_python_logging_create
    lttng_event_rule_user_tracepoint_create
    lttng_log_level_rule_at_least_as_severe_as_create
    lttng_log_level_rule_exactly_create
    lttng_notification_channel_create
    lttng_notification_get_condition
    lttng_notification_get_const_condition
    lttng_notification_get_const_evaluation
    lttng_notification_get_const_trigger
    lttng_notification_get_evaluation
    lttng_notification_get_trigger
    lttng_rate_policy_every_n_create
    lttng_rate_policy_once_after_n_create
    lttng_trigger_create
    lttng_trigger_get_action
    lttng_trigger_get_condition
    lttng_trigger_get_const_action
    lttng_trigger_get_const_condition
    lttng_triggers_get_at_index
}

// Functions that return a status or a type of their own: -1 is "error", "invalid" or "unknown" in all of
// them.
absent! {
    c_int, -1;
    lttng_action_get_type
    lttng_action_list_add_action
    lttng_action_list_get_count
    lttng_action_notify_get_rate_policy
    lttng_action_notify_set_rate_policy
    lttng_action_path_get_index_at_index
    lttng_action_path_get_index_count
    lttng_action_rotate_session_get_rate_policy
    lttng_action_rotate_session_get_session_name
    lttng_action_rotate_session_set_rate_policy
    lttng_action_rotate_session_set_session_name
    lttng_action_snapshot_session_get_output
    lttng_action_snapshot_session_get_rate_policy
    lttng_action_snapshot_session_get_session_name
    lttng_action_snapshot_session_set_output
    lttng_action_snapshot_session_set_rate_policy
    lttng_action_snapshot_session_set_session_name
    lttng_action_start_session_get_rate_policy
    lttng_action_start_session_get_session_name
    lttng_action_start_session_set_rate_policy
    lttng_action_start_session_set_session_name
    lttng_action_stop_session_get_rate_policy
    lttng_action_stop_session_get_session_name
    lttng_action_stop_session_set_rate_policy
    lttng_action_stop_session_set_session_name
    lttng_condition_buffer_usage_get_channel_name
    lttng_condition_buffer_usage_get_domain_type
    lttng_condition_buffer_usage_get_session_name
    lttng_condition_buffer_usage_get_threshold
    lttng_condition_buffer_usage_get_threshold_ratio
    lttng_condition_buffer_usage_set_channel_name
    lttng_condition_buffer_usage_set_domain_type
    lttng_condition_buffer_usage_set_session_name
    lttng_condition_buffer_usage_set_threshold
    lttng_condition_buffer_usage_set_threshold_ratio
    lttng_condition_event_rule_matches_append_capture_descriptor
    lttng_condition_event_rule_matches_get_capture_descriptor_count
    lttng_condition_event_rule_matches_get_rule
    lttng_condition_get_type
    lttng_condition_session_consumed_size_get_session_name
    lttng_condition_session_consumed_size_get_threshold
    lttng_condition_session_consumed_size_set_session_name
    lttng_condition_session_consumed_size_set_threshold
    lttng_condition_session_rotation_get_session_name
    lttng_condition_session_rotation_set_session_name
    lttng_error_query_result_counter_get_value
    lttng_error_query_result_get_description
    lttng_error_query_result_get_name
    lttng_error_query_result_get_type
    lttng_error_query_results_get_count
    lttng_error_query_results_get_result
    lttng_evaluation_buffer_usage_get_usage
    lttng_evaluation_buffer_usage_get_usage_ratio
    lttng_evaluation_event_rule_matches_get_captured_values
    lttng_evaluation_get_type
    lttng_evaluation_session_consumed_size_get_consumed_size
    lttng_evaluation_session_rotation_completed_get_location
    lttng_evaluation_session_rotation_get_id
    lttng_event_expr_array_field_element_get_index
    lttng_event_expr_get_type
    lttng_event_field_value_array_get_element_at_index
    lttng_event_field_value_array_get_length
    lttng_event_field_value_get_type
    lttng_event_field_value_real_get_value
    lttng_event_field_value_signed_int_get_value
    lttng_event_field_value_string_get_value
    lttng_event_field_value_unsigned_int_get_value
    lttng_event_rule_get_type
    lttng_event_rule_jul_logging_get_filter
    lttng_event_rule_jul_logging_get_log_level_rule
    lttng_event_rule_jul_logging_get_name_pattern
    lttng_event_rule_jul_logging_set_filter
    lttng_event_rule_jul_logging_set_log_level_rule
    lttng_event_rule_jul_logging_set_name_pattern
    lttng_event_rule_kernel_kprobe_get_event_name
    lttng_event_rule_kernel_kprobe_get_location
    lttng_event_rule_kernel_kprobe_set_event_name
    lttng_event_rule_kernel_syscall_get_emission_site
    lttng_event_rule_kernel_syscall_get_filter
    lttng_event_rule_kernel_syscall_get_name_pattern
    lttng_event_rule_kernel_syscall_set_filter
    lttng_event_rule_kernel_syscall_set_name_pattern
    lttng_event_rule_kernel_tracepoint_get_filter
    lttng_event_rule_kernel_tracepoint_get_name_pattern
    lttng_event_rule_kernel_tracepoint_set_filter
    lttng_event_rule_kernel_tracepoint_set_name_pattern
    lttng_event_rule_kernel_uprobe_get_event_name
    lttng_event_rule_kernel_uprobe_get_location
    lttng_event_rule_kernel_uprobe_set_event_name
    lttng_event_rule_log4j_logging_get_filter
    lttng_event_rule_log4j_logging_get_log_level_rule
    lttng_event_rule_log4j_logging_get_name_pattern
    lttng_event_rule_log4j_logging_set_filter
    lttng_event_rule_log4j_logging_set_log_level_rule
    lttng_event_rule_log4j_logging_set_name_pattern
    lttng_event_rule_python_logging_get_filter
    lttng_event_rule_python_logging_get_log_level_rule
    lttng_event_rule_python_logging_get_name_pattern
    lttng_event_rule_python_logging_set_filter
    lttng_event_rule_python_logging_set_log_level_rule
    lttng_event_rule_python_logging_set_name_pattern
    lttng_event_rule_user_tracepoint_add_name_pattern_exclusion
    lttng_event_rule_user_tracepoint_get_filter
    lttng_event_rule_user_tracepoint_get_log_level_rule
    lttng_event_rule_user_tracepoint_get_name_pattern
    lttng_event_rule_user_tracepoint_get_name_pattern_exclusion_at_index
    lttng_event_rule_user_tracepoint_get_name_pattern_exclusion_count
    lttng_event_rule_user_tracepoint_set_filter
    lttng_event_rule_user_tracepoint_set_log_level_rule
    lttng_event_rule_user_tracepoint_set_name_pattern
    lttng_log_level_rule_at_least_as_severe_as_get_level
    lttng_log_level_rule_exactly_get_level
    lttng_log_level_rule_get_type
    lttng_notification_channel_get_next_notification
    lttng_notification_channel_has_pending_notification
    lttng_notification_channel_subscribe
    lttng_notification_channel_unsubscribe
    lttng_rate_policy_every_n_get_interval
    lttng_rate_policy_get_type
    lttng_rate_policy_once_after_n_get_threshold
    lttng_trigger_get_name
    lttng_trigger_get_owner_uid
    lttng_trigger_set_owner_uid
    lttng_triggers_get_count
}

// Functions that return a number, a truth value, or a type whose "unknown" is 0.
absent! {
    u64, 0;
    lttng_event_expr_is_equal
}

// Functions that free an object; NULL is the only one there is.
absent! {
    (), ();
    lttng_action_destroy
    lttng_action_path_destroy
    lttng_condition_destroy
    lttng_error_query_destroy
    lttng_error_query_results_destroy
    lttng_evaluation_destroy
    lttng_event_expr_destroy
    lttng_event_rule_destroy
    lttng_log_level_rule_destroy
    lttng_notification_channel_destroy
    lttng_notification_destroy
    lttng_rate_policy_destroy
    lttng_trigger_destroy
    lttng_triggers_destroy
}
