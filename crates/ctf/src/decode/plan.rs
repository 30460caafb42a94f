//! Field types compiled to the steps that walk over their values.
//!
//! Neighbours of fixed size become a single step, and alignments that are already certain become
//! nothing, so that most events of LTTng are one addition and one comparison.

use std::collections::HashSet;

use super::bits::Int;
use super::error::MetadataError;
use super::known::{Known, low_bit};
use super::layout::{alignment, enum_ranges, is_whole_bytes, last_part, selects};
use crate::types::{ByteOrder, EnumType, Field, FieldType};

/// One step.
#[derive(Debug, PartialEq)]
pub(super) enum Op {
    /// Go on by so many bits.
    Skip(u64),
    /// Go on to a multiple of this many bits, a power of two.
    Align(u64),
    /// Go behind the next zero byte. The position is a whole byte.
    Text,
    /// Read an integer into a slot.
    Read { int: Int, slot: usize },
    /// Read the time stamp of an event.
    Stamp(Int),
    /// Remember where the uuid of the trace is, and go behind it. The position is a whole byte.
    Uuid,
    /// Go on by the value of a slot, times so many bits.
    Run { slot: usize, bits: u64 },
    /// Walk over a number of elements.
    Repeat { count: Count, body: Vec<Op> },
    /// Walk over one of several fields.
    Choose {
        slot: usize,
        ranges: Vec<Range>,
        bodies: Vec<Vec<Op>>,
    },
}

/// A number of elements.
#[derive(Debug, PartialEq)]
pub(super) enum Count {
    Fixed(u32),
    Slot(usize),
}

/// Tag values that select a field of a variant.
#[derive(Debug, PartialEq)]
pub(super) struct Range {
    pub(super) first: i128,
    pub(super) last: i128,
    /// Which of the variant's bodies.
    pub(super) body: usize,
}

/// A compiled row of structures.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) ops: Vec<Op>,
    pub(super) slots: usize,
}

/// A field that later fields may refer to.
struct Visible<'t> {
    name: &'t str,
    slot: Option<usize>,
    tag: Option<&'t EnumType>,
}

/// Compiles the structures of one block.
pub(super) struct Compiler<'t> {
    order: ByteOrder,
    place: &'t dyn Fn() -> String,
    /// Names of integers that have a fixed slot wherever they are.
    captures: &'t [&'t str],
    /// Whether `timestamp` and `uuid` have their special meaning.
    special: bool,
    /// Names that lengths and tags refer to.
    needed: HashSet<&'t str>,
    visible: Vec<Visible<'t>>,
    known: Known,
    ops: Vec<Op>,
    slots: usize,
}

impl<'t> Compiler<'t> {
    /// For values in a trace of byte order `order`; `place` names the block in errors.
    pub(super) fn new(order: ByteOrder, place: &'t dyn Fn() -> String) -> Self {
        Self {
            order,
            place,
            captures: &[],
            special: false,
            needed: HashSet::new(),
            visible: Vec::new(),
            known: Known::NOTHING,
            ops: Vec::new(),
            slots: 0,
        }
    }

    /// For a header: integers with the names `captures` go to the slots 0, 1, …, and `timestamp` and
    /// `uuid` are what they say.
    pub(super) fn for_header(mut self, captures: &'t [&'t str]) -> Self {
        self.captures = captures;
        self.slots = captures.len();
        self.special = true;
        self
    }

    /// The first value starts at a whole byte.
    pub(super) fn at_byte(mut self) -> Self {
        self.known = Known::BYTE;
        self
    }

    /// Compiles `rows`, one after the other.
    pub(super) fn compile(mut self, rows: &[&'t FieldType]) -> Result<Plan, MetadataError> {
        for ty in rows {
            collect_references(ty, &mut self.needed);
        }
        for ty in rows {
            // Members of a row stay visible in the rows after it.
            match ty {
                FieldType::Struct { fields, .. } => {
                    self.align(alignment(ty));
                    self.fields(fields)?;
                }
                other => self.field("", other)?,
            }
        }
        Ok(Plan {
            ops: self.ops,
            slots: self.slots,
        })
    }

    fn push(&mut self, op: Op) {
        match (self.ops.last_mut(), op) {
            (_, Op::Skip(0)) => {}
            (Some(Op::Skip(before)), Op::Skip(bits)) => *before = before.saturating_add(bits),
            (_, op) => self.ops.push(op),
        }
    }

    fn skip(&mut self, bits: u64) {
        self.push(Op::Skip(bits));
        self.known = self.known.skip(bits);
    }

    fn align(&mut self, bits: u64) {
        if bits <= self.known.modulus {
            self.skip((bits - self.known.rest % bits) % bits);
        } else {
            self.push(Op::Align(bits));
            self.known = Known {
                modulus: bits,
                rest: 0,
            };
        }
    }

    fn fields(&mut self, fields: &'t [Field]) -> Result<(), MetadataError> {
        fields
            .iter()
            .try_for_each(|field| self.field(&field.name, &field.ty))
    }

    fn field(&mut self, name: &'t str, ty: &'t FieldType) -> Result<(), MetadataError> {
        self.align(alignment(ty));
        let mut visible = Visible {
            name,
            slot: None,
            tag: None,
        };
        match ty {
            FieldType::Integer(ty) => visible.slot = self.integer(name, Int::new(ty, self.order)),
            FieldType::Enum(ty) => {
                visible.slot = self.integer(name, Int::new(&ty.container, self.order));
                visible.tag = Some(ty);
            }
            FieldType::Float(ty) => self.skip(u64::from(ty.exp_dig) + u64::from(ty.mant_dig)),
            FieldType::String { .. } => {
                self.push(Op::Text);
                self.known = Known::BYTE;
            }
            FieldType::Array {
                element, length, ..
            } => self.array(name, element, *length)?,
            FieldType::Sequence {
                element,
                length_name,
                ..
            } => {
                let slot = self.resolve(length_name, |field| field.slot)?;
                self.sequence(element, slot)?;
            }
            FieldType::Struct { fields, .. } => {
                let outer = self.visible.len();
                self.fields(fields)?;
                self.visible.truncate(outer);
            }
            FieldType::Variant {
                tag_name, choices, ..
            } => self.variant(tag_name, choices)?,
        }
        self.visible.push(visible);
        Ok(())
    }

    /// Returns the slot that holds the integer, if it goes to one.
    fn integer(&mut self, name: &str, int: Int) -> Option<usize> {
        let bits = int.size_bits.into();
        if self.special && name == "timestamp" {
            self.push(Op::Stamp(int));
            self.known = self.known.skip(bits);
            return None;
        }
        let slot = match self.captures.iter().position(|capture| *capture == name) {
            Some(slot) => slot,
            None if self.needed.contains(name) => {
                self.slots += 1;
                self.slots - 1
            }
            None => {
                self.skip(bits);
                return None;
            }
        };
        self.push(Op::Read { int, slot });
        self.known = self.known.skip(bits);
        Some(slot)
    }

    /// What `get` finds in the innermost earlier field called `name`.
    fn resolve<T>(
        &self,
        name: &str,
        get: impl FnOnce(&Visible<'t>) -> Option<T>,
    ) -> Result<T, MetadataError> {
        let name = last_part(name);
        let field = self.visible.iter().rev().find(|field| field.name == name);
        field
            .and_then(get)
            .ok_or_else(|| MetadataError::Unresolved {
                place: (self.place)(),
                name: name.to_owned(),
            })
    }

    /// Steps over one `ty`, such that they hold wherever `self.known` holds and, when they are
    /// repeated, after each other; leaves in `self.known` what holds in between.
    fn element(&mut self, ty: &'t FieldType) -> Result<Vec<Op>, MetadataError> {
        let period = match ty {
            FieldType::Integer(ty) => low_bit(ty.size_bits.into()),
            FieldType::Enum(ty) => low_bit(ty.container.size_bits.into()),
            FieldType::Float(ty) => low_bit(u64::from(ty.exp_dig) + u64::from(ty.mant_dig)),
            other if is_whole_bytes(other) => 8,
            _ => 1,
        };
        self.known = self.known.weakened(period);
        let (body, _) = self.body("", ty, self.known)?;
        Ok(body)
    }

    /// Steps over one `ty` that starts where `start` holds, and what holds behind it.
    fn body(
        &mut self,
        name: &'t str,
        ty: &'t FieldType,
        start: Known,
    ) -> Result<(Vec<Op>, Known), MetadataError> {
        let outer = std::mem::take(&mut self.ops);
        let (before, visible) = (self.known, self.visible.len());
        self.known = start;
        let result = self.field(name, ty);
        self.visible.truncate(visible);
        let body = std::mem::replace(&mut self.ops, outer);
        let end = std::mem::replace(&mut self.known, before);
        result.map(|()| (body, end))
    }

    fn array(
        &mut self,
        name: &str,
        element: &'t FieldType,
        length: u32,
    ) -> Result<(), MetadataError> {
        if self.special && name == "uuid" && length == 16 && is_byte(element) {
            self.push(Op::Uuid);
            self.known = self.known.skip(128);
            return Ok(());
        }
        let body = self.element(element)?;
        match body.as_slice() {
            _ if length == 0 => {}
            [] => {}
            [Op::Skip(bits)] => self.skip(bits.saturating_mul(length.into())),
            _ => self.push(Op::Repeat {
                count: Count::Fixed(length),
                body,
            }),
        }
        Ok(())
    }

    fn sequence(&mut self, element: &'t FieldType, slot: usize) -> Result<(), MetadataError> {
        let body = self.element(element)?;
        match body.as_slice() {
            // Even an element without bits needs a number that is one.
            [] => self.push(Op::Run { slot, bits: 0 }),
            &[Op::Skip(bits)] => {
                self.push(Op::Run { slot, bits });
                self.known = self.known.repeat(bits);
            }
            _ => self.push(Op::Repeat {
                count: Count::Slot(slot),
                body,
            }),
        }
        Ok(())
    }

    fn variant(&mut self, tag_name: &str, fields: &'t [Field]) -> Result<(), MetadataError> {
        let (slot, tag) = self.resolve(tag_name, |field| Some((field.slot?, field.tag?)))?;
        let start = self.known;
        let mut end: Option<Known> = None;
        let mut bodies = Vec::with_capacity(fields.len());
        for field in fields {
            let (body, known) = self.body(&field.name, &field.ty, start)?;
            bodies.push(body);
            end = Some(end.map_or(known, |end| end.either(known)));
        }
        let ranges = enum_ranges(tag).filter_map(|(label, first, last)| {
            let body = fields
                .iter()
                .position(|field| selects(label, &field.name))?;
            Some(Range { first, last, body })
        });
        self.push(Op::Choose {
            slot,
            ranges: ranges.collect(),
            bodies,
        });
        self.known = end.unwrap_or(Known::NOTHING);
        Ok(())
    }
}

fn is_byte(ty: &FieldType) -> bool {
    matches!(ty, FieldType::Integer(ty) if ty.size_bits == 8)
}

fn collect_references<'t>(ty: &'t FieldType, names: &mut HashSet<&'t str>) {
    match ty {
        FieldType::Array { element, .. } => collect_references(element, names),
        FieldType::Sequence {
            element,
            length_name,
            ..
        } => {
            names.insert(last_part(length_name));
            collect_references(element, names);
        }
        FieldType::Struct { fields, .. } => {
            fields
                .iter()
                .for_each(|field| collect_references(&field.ty, names));
        }
        FieldType::Variant {
            tag_name, choices, ..
        } => {
            names.insert(last_part(tag_name));
            choices
                .iter()
                .for_each(|field| collect_references(&field.ty, names));
        }
        FieldType::Integer(_)
        | FieldType::Float(_)
        | FieldType::String { .. }
        | FieldType::Enum(_) => {}
    }
}
