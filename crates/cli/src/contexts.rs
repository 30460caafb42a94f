//! Context fields in the machine interface.

use control::ContextField;

use crate::mi::Element;

/// The element that names a context field.
pub(crate) fn element(field: &ContextField) -> Element {
    match field {
        ContextField::Plain(name) => Element::text("type", name.to_uppercase().replace('-', "_")),
        ContextField::Perf(counter) => Element::new(
            "perf",
            [
                Element::text("type", counter.kind),
                Element::text("config", counter.config),
                Element::text("name", &counter.field),
            ],
        ),
        ContextField::Application { provider, name } => Element::new(
            "app",
            [
                Element::text("provider_name", provider),
                Element::text("ctx_name", name),
            ],
        ),
    }
}
