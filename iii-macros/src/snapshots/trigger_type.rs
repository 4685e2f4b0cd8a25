//! The expansion of `trigger_type` in `snapshots.rs`.

/// Fires when mail arrives.
impl TriggerType for Mailbox {
    const ID: &'static ::core::primitive::str = "mail::received";
    const DESCRIPTION: &'static ::core::primitive::str = "Fires when mail arrives.";
    type Event = Mail;
}
const _: () = {
    use ::iii::__private as __iii;
    static __III_DESCRIPTOR: __iii::TriggerTypeDescriptor = __iii::TriggerTypeDescriptor::new::<
        Mailbox,
    >(
        ::core::module_path!(),
        __iii::Location {
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
        },
    );
    __iii::inventory::submit! {
        __iii::TriggerTypeDeclaration(& __III_DESCRIPTOR)
    }
};
