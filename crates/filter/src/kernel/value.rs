//! Numbers in the kernel's filters.
//!
//! The kernel compares what its record holds, and that is not always what the trace has: an argument of a system
//! call lies in an unsigned word, and an `int` of -1 is 0xffffffff or 0xffffffffffffffff there, as the program's
//! compiler had it. A constant is cut to the size of the field, and refused if its sign is not the field's.

use crate::BinaryOp;

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// 8, 16, 32 or 64.
    pub bits: u32,
    /// Two's complement.
    pub signed: bool,
}

impl Number {
    fn least(self) -> i128 {
        if self.signed {
            -(1 << (self.bits - 1))
        } else {
            0
        }
    }

    fn most(self) -> i128 {
        let digits = self.bits - u32::from(self.signed);
        (1 << digits) - 1
    }
}

/// A field that holds a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// The kernel's name.
    pub(super) name: String,
    /// In the record.
    pub(super) stored: Number,
    /// In the trace.
    pub(super) meant: Number,
}

/// Bits that must be set and bits that must not; `None`: no value is like that.
type Pattern = Option<(u64, u64)>;

impl Value {
    /// A comparison with a constant; `sign` is that of `op`.
    pub(super) fn compare(&self, op: BinaryOp, sign: &str, constant: i128) -> String {
        let constant = self.as_meant(op, constant);
        if constant < self.meant.least() {
            return self.constantly(op == BinaryOp::NotEqual || sign.starts_with('>'));
        }
        if constant > self.meant.most() {
            return self.constantly(op == BinaryOp::NotEqual || sign.starts_with('<'));
        }
        if self.meant.signed == self.stored.signed || !self.meant.signed {
            return format!("{} {sign} {constant}", self.name);
        }
        match op {
            BinaryOp::Less => self.is_below(constant),
            BinaryOp::LessEqual => self.is_below(constant + 1),
            BinaryOp::Greater => format!("!({})", self.is_below(constant + 1)),
            BinaryOp::GreaterEqual => format!("!({})", self.is_below(constant)),
            _ if constant >= 0 => format!("{} {sign} {constant}", self.name),
            BinaryOp::NotEqual => format!("!({})", self.is_negative_number(constant)),
            _ => self.is_negative_number(constant),
        }
    }

    /// The constant as a value of the field's type, if it can be one: -1 and 0xffffffffffffffff have the same bits.
    fn as_meant(&self, op: BinaryOp, constant: i128) -> i128 {
        let equality = matches!(op, BinaryOp::Equal | BinaryOp::NotEqual);
        if self.meant.signed {
            i128::from(constant as i64)
        } else if equality && self.meant.bits == 64 {
            i128::from(constant as u64)
        } else {
            constant
        }
    }

    /// Of a signed number in an unsigned word: it is less than `bound`.
    fn is_below(&self, bound: i128) -> String {
        let name = &self.name;
        let negative = format!("{name} & {:#x}", self.sign_bit());
        match bound {
            0 => negative,
            1.. => format!("({negative}) || ({name} < {bound})"),
            _ => {
                let short = format!("{name} < {}", (1 << self.meant.bits) + bound);
                let word = 1_i128 << self.stored.bits;
                let extended = word + self.meant.least();
                let long = format!("({name} >= {extended}) && ({name} < {})", word + bound);
                match self.is_extended() {
                    true => format!("({negative}) && (({short}) || ({long}))"),
                    false => format!("({negative}) && ({short})"),
                }
            }
        }
    }

    /// Of a signed number in an unsigned word: it is this one.
    fn is_negative_number(&self, number: i128) -> String {
        let name = &self.name;
        let short = format!("{name} == {}", (1 << self.meant.bits) + number);
        match self.is_extended() {
            true => {
                let long = (1_i128 << self.stored.bits) + number;
                format!("({short}) || ({name} == {long})")
            }
            false => short,
        }
    }

    /// Whether the word has more bits than the number.
    fn is_extended(&self) -> bool {
        self.stored.bits > self.meant.bits
    }

    fn sign_bit(&self) -> u64 {
        1 << (self.meant.bits - 1)
    }

    /// One of `bits` is set.
    pub(super) fn has_any(&self, bits: u64) -> String {
        match self.in_field(bits) {
            0 => self.constantly(false),
            bits => self.test(bits),
        }
    }

    /// Of `bits`, those of `pattern` are set and no others.
    pub(super) fn has_exactly(&self, bits: u64, pattern: u64) -> String {
        let Some((ones, zeros)) = self.demands(bits, pattern) else {
            return self.constantly(false);
        };
        let each_one = (0..64).map(|bit| ones & (1 << bit)).filter(|bit| *bit != 0);
        let mut tests: Vec<String> = each_one.map(|bit| self.test(bit)).collect();
        if zeros != 0 {
            tests.push(format!("!({})", self.test(zeros)));
        }
        match &tests[..] {
            [] => self.constantly(true),
            [one] => one.clone(),
            several => format!("({})", several.join(") && (")),
        }
    }

    fn demands(&self, bits: u64, pattern: u64) -> Pattern {
        let (ones, zeros) = (bits & pattern, bits & !pattern);
        let beyond = !low_bits(self.meant.bits);
        let possible = pattern & !bits == 0 && (self.meant.signed || ones & beyond == 0);
        let (ones, zeros) = (self.in_field(ones), self.in_field(zeros));
        (possible && ones & zeros == 0).then_some((ones, zeros))
    }

    /// The bits that the field has: those beyond a signed number are as its sign, those beyond another one are not set.
    fn in_field(&self, bits: u64) -> u64 {
        let own = low_bits(self.meant.bits);
        let sign = self.meant.signed && bits & !own != 0;
        bits & own | if sign { self.sign_bit() } else { 0 }
    }

    fn test(&self, bits: u64) -> String {
        match self.stored.signed && bits > i64::MAX as u64 {
            true => format!("{} & {}", self.name, bits as i64),
            false => format!("{} & {bits:#x}", self.name),
        }
    }

    /// What is true, or not, of all values.
    fn constantly(&self, holds: bool) -> String {
        let sign = if holds { ">=" } else { "<" };
        format!("{} {sign} {}", self.name, self.stored.least())
    }
}

fn low_bits(count: u32) -> u64 {
    u64::MAX >> (64 - count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn number(bits: u32, signed: bool) -> Number {
        Number { bits, signed }
    }

    const WORD: Number = number(64, false);
    const INT: Number = number(32, true);
    const COMPARISONS: [(BinaryOp, &str); 6] = [
        (BinaryOp::Equal, "=="),
        (BinaryOp::NotEqual, "!="),
        (BinaryOp::Less, "<"),
        (BinaryOp::LessEqual, "<="),
        (BinaryOp::Greater, ">"),
        (BinaryOp::GreaterEqual, ">="),
    ];

    /// What the kernel makes of a filter, as far as it is written here: parentheses, `!`, `&&`, `||` and comparisons of
    /// `f` with a constant, which is cut to the size of the field.
    fn holds(filter: &str, stored: Number, word: u64) -> bool {
        let mut rest = filter;
        let result = alternatives(&mut rest, stored, word);
        assert_eq!(rest, "", "{filter}");
        result
    }

    fn alternatives(rest: &mut &str, stored: Number, word: u64) -> bool {
        let mut result = term(rest, stored, word);
        while let Some(after) = rest.trim_start().strip_prefix("||") {
            *rest = after;
            result |= term(rest, stored, word);
        }
        while let Some(after) = rest.trim_start().strip_prefix("&&") {
            *rest = after;
            result &= term(rest, stored, word);
        }
        result
    }

    fn term(rest: &mut &str, stored: Number, word: u64) -> bool {
        let text = rest.trim_start();
        if let Some(after) = text.strip_prefix('!') {
            *rest = after;
            return !term(rest, stored, word);
        }
        if let Some(after) = text.strip_prefix('(') {
            *rest = after;
            let result = alternatives(rest, stored, word);
            *rest = rest.strip_prefix(')').unwrap();
            return result;
        }
        let end = text.find(')').unwrap_or(text.len());
        let (comparison, after) = text.split_at(end);
        *rest = after;
        let words: Vec<_> = comparison.split(' ').collect();
        let [field, sign, constant] = words[..] else {
            panic!("{comparison}");
        };
        assert_eq!(field, "f");
        let constant: i128 = match constant.strip_prefix("0x") {
            Some(digits) => i128::from_str_radix(digits, 16).unwrap(),
            None => constant.parse().unwrap(),
        };
        // `kstrtoll` and `kstrtoull`.
        match stored.signed {
            true => assert!(i64::try_from(constant).is_ok(), "{comparison}"),
            false => assert!(u64::try_from(constant).is_ok(), "{comparison}"),
        }
        let (value, constant) = (cut(word, stored), cut(constant as u64, stored));
        match sign {
            "==" => value == constant,
            "!=" => value != constant,
            "<" => value < constant,
            "<=" => value <= constant,
            ">" => value > constant,
            ">=" => value >= constant,
            "&" => value as u64 & constant as u64 != 0,
            other => panic!("{other}"),
        }
    }

    /// What a word says in a field of that type.
    fn cut(word: u64, number: Number) -> i128 {
        let own = word & low_bits(number.bits);
        let negative = number.signed && own >> (number.bits - 1) != 0;
        i128::from(own) - if negative { 1 << number.bits } else { 0 }
    }

    fn truth(op: BinaryOp, value: i128, constant: i128) -> bool {
        match op {
            BinaryOp::Equal => value == constant,
            BinaryOp::NotEqual => value != constant,
            BinaryOp::Less => value < constant,
            BinaryOp::LessEqual => value <= constant,
            BinaryOp::Greater => value > constant,
            _ => value >= constant,
        }
    }

    /// Types of a field and what its words can be: for a short number in a word, extended by its sign or not.
    fn fields() -> Vec<(Value, Vec<u64>)> {
        let edges = [
            0,
            1,
            2,
            5,
            0x7f,
            0x80,
            0xff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ff9c,
            0xffff_fffe,
            0xffff_ffff,
        ];
        let wide = [1 << 32, i64::MAX as u64, 1 << 63, u64::MAX - 4, u64::MAX];
        let mut all = Vec::new();
        for (stored, meant) in [
            (WORD, INT),
            (WORD, number(64, true)),
            (WORD, number(32, false)),
            (WORD, number(16, true)),
            (WORD, WORD),
            (INT, INT),
            (number(64, true), number(64, true)),
            (number(32, false), number(32, false)),
            (number(8, true), number(8, true)),
            (number(16, false), number(16, false)),
            (number(32, false), number(16, false)),
        ] {
            let mut words = Vec::new();
            for word in edges.into_iter().chain(wide) {
                let own = word & low_bits(meant.bits);
                words.extend([own, cut(own, meant) as u64]);
            }
            let name = "f".to_owned();
            all.push((
                Value {
                    name,
                    stored,
                    meant,
                },
                words,
            ));
        }
        all
    }

    #[test]
    fn comparisons_are_those_of_the_values_in_the_trace() {
        let mut constants: Vec<i128> = Vec::new();
        for (_, words) in fields() {
            for word in words {
                let (signed, unsigned) = (i128::from(word as i64), i128::from(word));
                constants.extend([signed, unsigned, signed - 1, unsigned + 1]);
            }
        }
        constants.retain(|constant| i64::try_from(*constant).is_ok() || *constant >> 64 == 0);
        for (field, words) in fields() {
            for (op, sign) in COMPARISONS {
                for &constant in &constants {
                    let filter = field.compare(op, sign, constant);
                    for &word in &words {
                        let value = cut(word, field.meant);
                        let expected = truth(op, value, field.as_meant(op, constant));
                        let found = holds(&filter, field.stored, word);
                        assert_eq!(
                            found, expected,
                            "{value} {sign} {constant}: {filter} of {field:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn bits_are_those_of_the_values_in_the_trace() {
        let masks = [
            0,
            1,
            3,
            6,
            0x80,
            0x8000_0000,
            0xff00_0000_00ff,
            1 << 32,
            1 << 63,
            u64::MAX,
        ];
        for (field, words) in fields() {
            for &word in &words {
                // As LTTng sees it: widened to 64 bits.
                let value = cut(word, field.meant) as u64;
                for bits in masks {
                    let filter = field.has_any(bits);
                    let found = holds(&filter, field.stored, word);
                    assert_eq!(found, value & bits != 0, "{value:#x} & {bits:#x}: {filter}");
                    for pattern in masks.map(|mask| mask & bits).into_iter().chain([2, 7]) {
                        let filter = field.has_exactly(bits, pattern);
                        let found = holds(&filter, field.stored, word);
                        assert_eq!(
                            found,
                            value & bits == pattern,
                            "{value:#x} & {bits:#x} == {pattern:#x}: {filter} of {field:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_negative_argument_is_found_in_both_forms() {
        let field = Value {
            name: "dfd".to_owned(),
            stored: WORD,
            meant: INT,
        };
        assert_eq!(
            field.compare(BinaryOp::Equal, "==", -100),
            "(dfd == 4294967196) || (dfd == 18446744073709551516)"
        );
        assert_eq!(field.compare(BinaryOp::Less, "<", 0), "dfd & 0x80000000");
        assert_eq!(field.compare(BinaryOp::Equal, "==", 3), "dfd == 3");
    }
}
