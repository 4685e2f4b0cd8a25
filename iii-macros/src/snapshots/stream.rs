//! The expansion of `stream` in `snapshots.rs`.

/// Messages of the chat.
impl StreamStore for Chat {
    const NAME: &'static ::core::primitive::str = "chat";
    const DESCRIPTION: &'static ::core::primitive::str = "Messages of the chat.";
    type Item = Message;
}
const _: () = {
    use ::iii::__private as __iii;
    static __III_DESCRIPTOR: __iii::StreamStoreDescriptor = __iii::StreamStoreDescriptor::new::<
        Chat,
    >(
        ::core::module_path!(),
        __iii::Location {
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
        },
    );
    __iii::inventory::submit! {
        __iii::StreamStoreDeclaration(& __III_DESCRIPTOR)
    }
};
