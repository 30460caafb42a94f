//! The top level of TSDL: `trace`, `env`, `clock`, `stream` and `event` blocks.

use super::error::{ErrorKind, TsdlError};
use super::lex::{Lexer, Token, block_len, clip};
use super::parse::{Names, Parser};
use super::scalar::Scalar;
use super::schema::{EventSchema, Schema, StreamSchema, StructType, TraceSchema};
use super::strip::stripped;
use crate::metadata::{Alignments, Clock, EnvValue, EventClass};
use crate::types::{ByteOrder, FieldType};
use crate::units::Uuid;

/// Most text that may be read at once, together with what waits for the end of its block.
const MAX_PENDING_LEN: usize = 64 << 20;

/// Stream class id and event id.
pub type EventKey = (u64, u64);

/// Reads metadata text, which may come in pieces that are cut anywhere.
#[derive(Debug)]
pub struct Reader {
    schema: Schema,
    names: Names,
    /// Text of a block that has not ended yet.
    pending: String,
    /// Line on which `pending` starts.
    line: usize,
    added: Vec<EventKey>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            schema: Schema::default(),
            names: Names::default(),
            pending: String::new(),
            line: 1,
            added: Vec::new(),
        }
    }
}

impl Reader {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been read so far.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether the text so far ends inside a block.
    pub fn is_incomplete(&self) -> bool {
        // Comments and blanks are no block.
        !matches!(Lexer::new(&self.pending, self.line), Ok(lexer) if *lexer.peek() == Token::End)
    }

    /// Reads more text. A block that is not complete waits for the rest of its text. After an error
    /// all blocks before the mistake have been read, and each later call meets it again.
    pub fn append(&mut self, text: &str) -> Result<(), TsdlError> {
        if self.pending.len() + text.len() > MAX_PENDING_LEN {
            return Err(TsdlError {
                line: self.line,
                kind: ErrorKind::TooLarge,
            });
        }
        let text = std::mem::take(&mut self.pending) + text;
        let mut done = 0;
        let mut result = Ok(());
        while let Some(len) = block_len(&text[done..]) {
            let block = &text[done..done + len];
            result = self.block(block);
            if result.is_err() {
                break;
            }
            done += len;
            self.line += block.matches('\n').count();
        }
        self.pending.push_str(&text[done..]);
        result
    }

    /// The event classes that were read since the last call, in order.
    pub fn take_added(&mut self) -> Vec<EventKey> {
        std::mem::take(&mut self.added)
    }

    /// Reads one block.
    fn block(&mut self, text: &str) -> Result<(), TsdlError> {
        let mut parser = Parser::new(Lexer::new(text, self.line)?, &mut self.names);
        let schema = &mut self.schema;
        match *parser.lexer.peek() {
            Token::Word("typealias") => parser.typealias_block(schema)?,
            Token::Word("trace") => schema.trace = Some(parser.trace_block()?),
            Token::Word("env") => schema.env = parser.env_block()?,
            Token::Word("clock") => schema.clocks.push(parser.clock_block()?),
            Token::Word("stream") => {
                let stream = parser.stream_block()?;
                schema.streams.insert(stream.id, stream);
            }
            Token::Word("event") => {
                let event = parser.event_block()?;
                let key = (event.class.stream_id, event.class.id);
                schema.events.insert(key, event);
                self.added.push(key);
            }
            Token::Word("struct" | "enum" | "variant") => {
                parser.field_type()?;
                parser.expect(";")?;
            }
            Token::Word("callsite") => parser.assignments(|_, _| Ok(()))?,
            _ => return parser.unexpected("a block"),
        }
        match parser.lexer.peek() {
            Token::End => Ok(()),
            _ => parser.unexpected("the end of the block"),
        }
    }
}

/// Reads a whole metadata text.
pub fn parse(text: &str) -> Result<Schema, TsdlError> {
    let mut reader = Reader::new();
    reader.append(text)?;
    if reader.is_incomplete() {
        let line = 1 + text.matches('\n').count();
        return Err(TsdlError {
            line,
            kind: ErrorKind::Incomplete,
        });
    }
    Ok(reader.schema)
}

/// What stands on the right of an assignment in a block.
enum Value {
    /// `= scalar`.
    Scalar(Scalar),
    /// `:= type`.
    Type(FieldType),
}

impl Value {
    fn text(self) -> Option<String> {
        match self {
            Self::Scalar(Scalar::Text(text) | Scalar::Word(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<i128> {
        match self {
            Self::Scalar(scalar) => scalar.number(),
            Self::Type(_) => None,
        }
    }

    fn unsigned(&self) -> Option<u64> {
        self.number()?.try_into().ok()
    }

    fn signed(&self) -> Option<i64> {
        self.number()?.try_into().ok()
    }

    fn uuid(self) -> Option<Uuid> {
        Uuid::parse(&self.text()?)
    }

    fn structure(self) -> Option<StructType> {
        match self {
            Self::Type(ty) => StructType::from_field_type(ty),
            Self::Scalar(_) => None,
        }
    }

    fn byte_order(&self) -> Option<ByteOrder> {
        match self {
            Self::Scalar(scalar) => scalar.absolute_byte_order(),
            Self::Type(_) => None,
        }
    }
}

/// Why an assignment was refused: its value does not fit its name.
struct BadValue;

/// For `?` on a conversion.
fn fits<T>(value: Option<T>) -> Result<T, BadValue> {
    value.ok_or(BadValue)
}

impl Parser<'_, '_> {
    /// Calls `set` for each assignment of the block that starts here.
    fn assignments(
        &mut self,
        mut set: impl FnMut(&str, Value) -> Result<(), BadValue>,
    ) -> Result<(), TsdlError> {
        self.lexer.take()?;
        self.nested(|parser| {
            parser.expect("{")?;
            while !parser.accept("}")? {
                match *parser.lexer.peek() {
                    Token::Word("typealias") => {
                        parser.typealias()?;
                    }
                    Token::Word("struct" | "enum" | "variant") => {
                        parser.field_type()?;
                        parser.expect(";")?;
                    }
                    _ => parser.assignment(&mut set)?,
                }
            }
            Ok(())
        })?;
        self.expect(";")
    }

    fn assignment(
        &mut self,
        set: &mut impl FnMut(&str, Value) -> Result<(), BadValue>,
    ) -> Result<(), TsdlError> {
        let name = self.path()?;
        let value = if self.accept(":=")? {
            Value::Type(self.field_type()?)
        } else if self.accept("=")? {
            Value::Scalar(self.scalar()?)
        } else {
            return self.unexpected("`=` or `:=`");
        };
        if set(&name, value).is_err() {
            return self.error(ErrorKind::BadAttribute(clip(&name)));
        }
        self.expect(";")
    }

    /// A type alias at the top level. Those of the basic C types tell their alignments.
    fn typealias_block(&mut self, schema: &mut Schema) -> Result<(), TsdlError> {
        let (name, ty) = self.typealias()?;
        let FieldType::Integer(ty) = ty else {
            return Ok(());
        };
        let alignments = schema.alignments.get_or_insert(Alignments::PACKED);
        match name.as_str() {
            "uint8_t" => alignments.u8_bits = ty.align_bits,
            "uint16_t" => alignments.u16_bits = ty.align_bits,
            "uint32_t" => alignments.u32_bits = ty.align_bits,
            "uint64_t" => alignments.u64_bits = ty.align_bits,
            "unsigned long" => {
                alignments.long_bits = ty.align_bits;
                schema.long_size_bits = Some(ty.size_bits);
            }
            _ => {}
        }
        Ok(())
    }

    fn trace_block(&mut self) -> Result<TraceSchema, TsdlError> {
        let (mut uuid, mut order, mut header) = (None, None, StructType::default());
        self.assignments(|name, value| {
            match name {
                "major" if value.unsigned() != Some(1) => return Err(BadValue),
                "uuid" => uuid = Some(fits(value.uuid())?),
                "byte_order" => order = Some(fits(value.byte_order())?),
                "packet.header" => header = fits(value.structure())?,
                _ => {}
            }
            Ok(())
        })?;
        let Some(byte_order) = order else {
            return self.error(ErrorKind::Missing("byte_order"));
        };
        self.names.byte_order = Some(byte_order);
        Ok(TraceSchema {
            uuid,
            byte_order,
            packet_header: header,
        })
    }

    fn env_block(&mut self) -> Result<Vec<(String, EnvValue)>, TsdlError> {
        let mut env = Vec::new();
        self.assignments(|name, value| {
            let value = match value.signed() {
                Some(number) => EnvValue::Integer(number),
                None => EnvValue::String(fits(value.text())?),
            };
            env.push((name.to_owned(), value));
            Ok(())
        })?;
        Ok(env)
    }

    fn clock_block(&mut self) -> Result<Clock, TsdlError> {
        let mut clock = Clock {
            name: String::new(),
            uuid: None,
            description: String::new(),
            freq_hz: 1_000_000_000,
            offset: 0,
        };
        let mut offset_s = 0i64;
        self.assignments(|name, value| {
            match name {
                "name" => clock.name = fits(value.text())?,
                "uuid" => clock.uuid = Some(fits(value.uuid())?),
                "description" => clock.description = fits(value.text())?,
                "freq" => clock.freq_hz = fits(value.unsigned().filter(|freq| *freq > 0))?,
                "offset" => clock.offset = fits(value.signed())?,
                "offset_s" => offset_s = fits(value.signed())?,
                _ => {}
            }
            Ok(())
        })?;
        // Whole seconds are one more way to write ticks.
        let offset = i128::from(offset_s) * i128::from(clock.freq_hz) + i128::from(clock.offset);
        match offset.try_into() {
            Ok(offset) => clock.offset = offset,
            Err(_) => return self.error(ErrorKind::BadAttribute("offset_s".to_owned())),
        }
        Ok(clock)
    }

    fn stream_block(&mut self) -> Result<StreamSchema, TsdlError> {
        let mut stream = StreamSchema::default();
        self.assignments(|name, value| {
            match name {
                "id" => stream.id = fits(value.unsigned())?,
                "event.header" => stream.event_header = fits(value.structure())?,
                "packet.context" => stream.packet_context = fits(value.structure())?,
                "event.context" => stream.event_context = stripped(fits(value.structure())?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(stream)
    }

    fn event_block(&mut self) -> Result<EventSchema, TsdlError> {
        let mut event = EventSchema {
            class: EventClass {
                name: String::new(),
                id: 0,
                stream_id: 0,
                loglevel: None,
                model_emf_uri: None,
                fields: Vec::new(),
            },
            payload_align_bits: 0,
            own_context: StructType::default(),
        };
        self.assignments(|name, value| {
            match name {
                "name" => event.class.name = fits(value.text())?,
                "id" => event.class.id = fits(value.unsigned())?,
                "stream_id" => event.class.stream_id = fits(value.unsigned())?,
                "loglevel" => event.class.loglevel = Some(fits(value.signed())?),
                "model.emf.uri" => event.class.model_emf_uri = Some(fits(value.text())?),
                "context" => event.own_context = stripped(fits(value.structure())?),
                "fields" => {
                    let payload = stripped(fits(value.structure())?);
                    event.payload_align_bits = payload.align_bits;
                    event.class.fields = payload.fields;
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(event)
    }
}
