//! The TSDL parser: types, members and type aliases.

use super::error::{ErrorKind, TsdlError};
use super::lex::{Token, clip};
use super::parse::{MAX_DEPTH, Parser};
use super::scalar::Scalar;
use super::schema::StructType;
use crate::types::{
    Encoding, EnumEntry, EnumMapping, EnumType, EnumValue, Field, FieldByteOrder, FieldType,
    FloatType, IntegerType,
};

impl<'t> Parser<'t, '_> {
    /// A type without a name after it: `integer { … }`, `struct x`, `unsigned long`.
    pub(super) fn field_type(&mut self) -> Result<FieldType, TsdlError> {
        match *self.lexer.peek() {
            Token::Word("integer") => self.integer(),
            Token::Word("floating_point") => self.float(),
            Token::Word("string") => self.string(),
            Token::Word("enum") => self.enumeration(),
            Token::Word("struct") => Ok(self.structure()?.to_field_type()),
            Token::Word("variant") => self.variant(),
            _ => {
                let words = self.words()?;
                self.named_type(&words.join(" "))
            }
        }
    }

    /// A type and the name of the field that has it.
    fn declaration(&mut self) -> Result<(FieldType, &'t str), TsdlError> {
        if let Token::Word(
            "integer" | "floating_point" | "string" | "enum" | "struct" | "variant",
        ) = *self.lexer.peek()
        {
            return Ok((self.field_type()?, self.word()?));
        }
        let mut words = self.words()?;
        match words.pop() {
            Some(name) if !words.is_empty() => Ok((self.named_type(&words.join(" "))?, name)),
            _ => self.unexpected("a type and a name"),
        }
    }

    /// A row of words, at least one.
    fn words(&mut self) -> Result<Vec<&'t str>, TsdlError> {
        let mut words = vec![self.word()?];
        while let Token::Word(word) = *self.lexer.peek() {
            self.lexer.take()?;
            words.push(word);
        }
        Ok(words)
    }

    fn named_type(&mut self, name: &str) -> Result<FieldType, TsdlError> {
        match self.names.find(name) {
            Some(Ok(ty)) => Ok(ty),
            Some(Err(kind)) => self.error(kind),
            None => self.error(ErrorKind::UnknownType(clip(name))),
        }
    }

    /// Calls `set` for each `name = value;` of an attribute block.
    fn attributes(
        &mut self,
        mut set: impl FnMut(&str, Scalar) -> Option<()>,
    ) -> Result<(), TsdlError> {
        self.lexer.take()?;
        self.expect("{")?;
        while !self.accept("}")? {
            let name = self.path()?;
            self.expect("=")?;
            let value = self.scalar()?;
            if set(&name, value).is_none() {
                return self.error(ErrorKind::BadAttribute(clip(&name)));
            }
            self.expect(";")?;
        }
        Ok(())
    }

    fn integer(&mut self) -> Result<FieldType, TsdlError> {
        let mut ty = IntegerType::new(0, false);
        let mut align = None;
        let trace = self.names.byte_order;
        self.attributes(|name, value| {
            match name {
                "size" => {
                    ty.size_bits = u32::try_from(value.number()?)
                        .ok()
                        .filter(|s| (1..=64).contains(s))?
                }
                "align" => align = Some(value.alignment()?),
                "signed" => ty.signed = value.boolean()?,
                "base" => ty.base = value.base()?,
                "encoding" => ty.encoding = value.encoding()?,
                "byte_order" => ty.byte_order = value.byte_order(trace)?,
                // Which clock a field belongs to: the role of a field follows from its name.
                _ => {}
            }
            Some(())
        })?;
        if ty.size_bits == 0 {
            return self.error(ErrorKind::Missing("size"));
        }
        // The default of CTF 1.8: whole bytes are byte-aligned.
        ty.align_bits = align.unwrap_or(if ty.size_bits.is_multiple_of(8) { 8 } else { 1 });
        Ok(FieldType::Integer(ty))
    }

    fn float(&mut self) -> Result<FieldType, TsdlError> {
        let mut ty = FloatType {
            exp_dig: 0,
            mant_dig: 0,
            byte_order: FieldByteOrder::Native,
            align_bits: 8,
        };
        let trace = self.names.byte_order;
        self.attributes(|name, value| {
            match name {
                "exp_dig" => ty.exp_dig = u32::try_from(value.number()?).ok()?,
                "mant_dig" => ty.mant_dig = u32::try_from(value.number()?).ok()?,
                "align" => ty.align_bits = value.alignment()?,
                "byte_order" => ty.byte_order = value.byte_order(trace)?,
                _ => {}
            }
            Some(())
        })?;
        if !matches!((ty.exp_dig, ty.mant_dig), (8, 24) | (11, 53)) {
            return self.error(ErrorKind::BadAttribute("exp_dig, mant_dig".to_owned()));
        }
        Ok(FieldType::Float(ty))
    }

    fn string(&mut self) -> Result<FieldType, TsdlError> {
        let mut encoding = Encoding::Utf8;
        self.lexer.take()?;
        if self.accept("{")? {
            while !self.accept("}")? {
                let name = self.path()?;
                self.expect("=")?;
                let value = self.scalar()?;
                if name == "encoding" {
                    match value.encoding() {
                        Some(value) => encoding = value,
                        None => return self.error(ErrorKind::BadAttribute(name)),
                    }
                }
                self.expect(";")?;
            }
        }
        Ok(FieldType::String { encoding })
    }

    /// `enum NAME? (: CONTAINER)? { … }` or `enum NAME`.
    fn enumeration(&mut self) -> Result<FieldType, TsdlError> {
        self.lexer.take()?;
        let name = match self.lexer.peek() {
            Token::Word(_) => self.word()?,
            _ => "",
        };
        let container = if self.accept(":")? {
            Some(self.nested(Self::field_type)?)
        } else {
            None
        };
        if !self.sees("{") {
            return if name.is_empty() {
                self.unexpected("{")
            } else {
                self.named_type(&format!("enum {name}"))
            };
        }
        // Without a container, CTF 1.8 takes the type that is called `int`.
        let container = match container {
            Some(container) => container,
            None => self.named_type("int")?,
        };
        let FieldType::Integer(container) = container else {
            return self.error(ErrorKind::Missing("integer container"));
        };
        let entries = self.enum_entries()?;
        let ty = FieldType::Enum(EnumType {
            container,
            name: name.to_owned(),
            entries,
        });
        if !name.is_empty() {
            self.names.define(format!("enum {name}"), ty.clone());
        }
        Ok(ty)
    }

    fn enum_entries(&mut self) -> Result<Vec<EnumEntry>, TsdlError> {
        self.expect("{")?;
        let mut entries = Vec::new();
        while !self.accept("}")? {
            let label = match self.scalar()? {
                Scalar::Text(label) | Scalar::Word(label) => label,
                Scalar::Number(_) => return self.unexpected("a label"),
            };
            let mapping = if self.accept("=")? {
                let start = self.enum_value()?;
                let end = if self.accept("...")? {
                    self.enum_value()?
                } else {
                    start
                };
                EnumMapping::Range { start, end }
            } else {
                EnumMapping::Auto
            };
            entries.push(EnumEntry { label, mapping });
            if !self.accept(",")? && !self.sees("}") {
                return self.unexpected("`,` or `}`");
            }
        }
        Ok(entries)
    }

    fn enum_value(&mut self) -> Result<EnumValue, TsdlError> {
        let value = self.number()?;
        if let Ok(value) = u64::try_from(value) {
            return Ok(EnumValue::Unsigned(value));
        }
        match i64::try_from(value) {
            Ok(value) => Ok(EnumValue::Signed(value)),
            Err(_) => self.error(ErrorKind::BadNumber(value.to_string())),
        }
    }

    /// `struct NAME? { … } align(N)?` or `struct NAME`.
    pub(super) fn structure(&mut self) -> Result<StructType, TsdlError> {
        self.lexer.take()?;
        let name = match self.lexer.peek() {
            Token::Word(word) if *word != "align" => self.word()?,
            _ => "",
        };
        if !self.sees("{") {
            if name.is_empty() {
                return self.unexpected("{");
            }
            let ty = self.named_type(&format!("struct {name}"))?;
            return match StructType::from_field_type(ty) {
                Some(ty) => Ok(ty),
                None => self.error(ErrorKind::UnknownType(clip(name))),
            };
        }
        let fields = self.nested(Self::members)?;
        let mut align_bits = 0;
        if self.sees_word("align") {
            self.lexer.take()?;
            self.expect("(")?;
            let Some(bits) = Scalar::Number(self.number()?).alignment() else {
                return self.error(ErrorKind::BadAttribute("align".to_owned()));
            };
            align_bits = bits;
            self.expect(")")?;
        }
        let ty = StructType { fields, align_bits };
        if !name.is_empty() {
            self.names
                .define(format!("struct {name}"), ty.to_field_type());
        }
        Ok(ty)
    }

    /// `variant NAME? <TAG>? { … }` or `variant NAME <TAG>`.
    fn variant(&mut self) -> Result<FieldType, TsdlError> {
        self.lexer.take()?;
        let name = match self.lexer.peek() {
            Token::Word(_) => self.word()?,
            _ => "",
        };
        let mut tag_name = String::new();
        if self.accept("<")? {
            tag_name = self.path()?;
            self.expect(">")?;
        }
        if !self.sees("{") {
            if name.is_empty() {
                return self.unexpected("{");
            }
            return match self.named_type(&format!("variant {name}"))? {
                FieldType::Variant {
                    choices,
                    align_bits,
                    ..
                } => Ok(FieldType::Variant {
                    tag_name,
                    choices,
                    align_bits,
                }),
                _ => self.error(ErrorKind::UnknownType(clip(name))),
            };
        }
        let choices = self.nested(Self::members)?;
        let ty = FieldType::Variant {
            tag_name,
            choices,
            align_bits: 0,
        };
        if !name.is_empty() {
            self.names.define(format!("variant {name}"), ty.clone());
        }
        Ok(ty)
    }

    /// `{ TYPE NAME[…]; … }`.
    fn members(&mut self) -> Result<Vec<Field>, TsdlError> {
        self.expect("{")?;
        let mut fields = Vec::new();
        while !self.accept("}")? {
            if self.sees_word("typealias") {
                self.typealias()?;
                continue;
            }
            let (element, name) = self.declaration()?;
            let ty = self.subscripts(element)?;
            if depth(&ty) > MAX_DEPTH {
                return self.error(ErrorKind::TooDeep);
            }
            self.expect(";")?;
            fields.push(Field {
                name: name.to_owned(),
                ty,
            });
        }
        Ok(fields)
    }

    /// `[3][ length ]…` after a name, around `element`.
    fn subscripts(&mut self, element: FieldType) -> Result<FieldType, TsdlError> {
        if !self.accept("[")? {
            return Ok(element);
        }
        if self.depth == MAX_DEPTH {
            return self.error(ErrorKind::TooDeep);
        }
        let length = self.scalar()?;
        self.expect("]")?;
        self.depth += 1;
        let element = self.subscripts(element);
        self.depth -= 1;
        let element = Box::new(element?);
        match length {
            Scalar::Word(length_name) => Ok(FieldType::Sequence {
                element,
                length_name,
                align_bits: 0,
            }),
            Scalar::Number(length) => match u32::try_from(length) {
                Ok(length) => Ok(FieldType::Array {
                    element,
                    length,
                    align_bits: 0,
                }),
                Err(_) => self.error(ErrorKind::BadNumber(length.to_string())),
            },
            Scalar::Text(_) => self.unexpected("a length"),
        }
    }

    /// `typealias TYPE := WORDS;`; returns the name and the type.
    pub(super) fn typealias(&mut self) -> Result<(String, FieldType), TsdlError> {
        self.lexer.take()?;
        let ty = self.field_type()?;
        self.expect(":=")?;
        let name = self.words()?.join(" ");
        self.expect(";")?;
        self.names.define(name.clone(), ty.clone());
        Ok((name, ty))
    }
}

/// Levels of `ty`. Only called on types whose parts have been checked against [`MAX_DEPTH`].
fn depth(ty: &FieldType) -> usize {
    let fields = |fields: &[Field]| {
        fields
            .iter()
            .map(|field| depth(&field.ty))
            .max()
            .unwrap_or(0)
    };
    1 + match ty {
        FieldType::Array { element, .. } | FieldType::Sequence { element, .. } => depth(element),
        FieldType::Struct {
            fields: members, ..
        } => fields(members),
        FieldType::Variant { choices, .. } => fields(choices),
        FieldType::Enum(_)
        | FieldType::Integer(_)
        | FieldType::Float(_)
        | FieldType::String { .. } => 0,
    }
}
