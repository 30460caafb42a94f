//! Tokens to a checked expression: operator precedence parsing with explicit stacks.

use crate::error::{ParseError, Problem};
use crate::expression::{BinaryOp, FieldPath, Kind, LogicalOp, Node, Root, Step, UnaryOp};
use crate::glob;
use crate::number::Number;
use crate::token::{Lexer, Token, What};

/// An operator on the parser's stack, with the offset of its sign.
#[derive(Clone, Copy)]
struct Pending {
    offset: usize,
    sign: &'static str,
    what: Operator,
}

#[derive(Clone, Copy)]
enum Operator {
    Open,
    Unary(UnaryOp),
    Binary(BinaryOp, u8),
    Logical(LogicalOp, u8),
}

impl Operator {
    /// How tightly it binds; an open parenthesis holds everything.
    fn precedence(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Logical(_, precedence) | Self::Binary(_, precedence) => precedence,
            Self::Unary(_) => u8::MAX,
        }
    }
}

fn unary(sign: &str) -> Option<UnaryOp> {
    Some(match sign {
        "+" => UnaryOp::Plus,
        "-" => UnaryOp::Minus,
        "!" => UnaryOp::Not,
        "~" => UnaryOp::BitNot,
        _ => return None,
    })
}

/// Bitwise operators bind tighter than comparisons, unlike in C.
fn binary(sign: &str) -> Option<Operator> {
    use BinaryOp::*;
    Some(match sign {
        "||" => Operator::Logical(LogicalOp::Or, 1),
        "&&" => Operator::Logical(LogicalOp::And, 2),
        "==" => Operator::Binary(Equal, 3),
        "!=" => Operator::Binary(NotEqual, 3),
        "<" => Operator::Binary(Less, 4),
        ">" => Operator::Binary(Greater, 4),
        "<=" => Operator::Binary(LessEqual, 4),
        ">=" => Operator::Binary(GreaterEqual, 4),
        "|" => Operator::Binary(BitOr, 5),
        "^" => Operator::Binary(BitXor, 6),
        "&" => Operator::Binary(BitAnd, 7),
        "<<" => Operator::Binary(ShiftLeft, 8),
        ">>" => Operator::Binary(ShiftRight, 8),
        _ => return None,
    })
}

/// The stacks of operator precedence parsing.
pub(crate) struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Option<Token<'a>>,
    nodes: Vec<Node>,
    /// Kinds of the operands that are not used yet.
    kinds: Vec<Kind>,
    operators: Vec<Pending>,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            lexer: Lexer::new(text),
            ahead: None,
            nodes: Vec::new(),
            kinds: Vec::new(),
            operators: Vec::new(),
        }
    }

    fn next(&mut self) -> Result<Token<'a>, ParseError> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    fn fail<T>(&self, offset: usize, problem: Problem) -> Result<T, ParseError> {
        Err(self.lexer.error(offset, problem))
    }

    /// The nodes of the whole text.
    pub(crate) fn run(mut self) -> Result<Vec<Node>, ParseError> {
        let mut first = true;
        loop {
            let token = self.next()?;
            if first && token.what == What::End {
                return self.fail(0, Problem::Empty);
            }
            first = false;
            self.operand(token)?;
            if self.operator()? {
                break;
            }
        }
        match self.kinds.pop() {
            Some(Kind::Float) => self.fail(0, Problem::FloatResult),
            Some(kind) if kind.is_string() => self.fail(0, Problem::StringResult),
            _ => Ok(self.nodes),
        }
    }

    /// One operand with the unary operators and parentheses before it.
    fn operand(&mut self, mut token: Token<'a>) -> Result<(), ParseError> {
        loop {
            let offset = token.offset;
            match token.what {
                What::Sign(sign) => {
                    let what = match unary(sign) {
                        Some(op) => Operator::Unary(op),
                        None if sign == "(" => Operator::Open,
                        None => {
                            let found = token.what.describe();
                            return self.fail(offset, Problem::ExpectedOperand(found));
                        }
                    };
                    self.operators.push(Pending { offset, sign, what });
                }
                What::Name(name) => {
                    let path = self.field(offset, name)?;
                    self.push(Node::Field(path), Kind::Field);
                    return Ok(());
                }
                What::Number(Number::Integer(value), _) => {
                    self.push(Node::Integer(value), Kind::Integer);
                    return Ok(());
                }
                What::Number(Number::Float(value), _) => {
                    self.push(Node::Float(value), Kind::Float);
                    return Ok(());
                }
                What::String(text) => {
                    let kind = match glob::classify(text) {
                        glob::Class::Literal => Kind::Text,
                        glob::Class::StarAtEnd => Kind::Prefix,
                        glob::Class::Pattern => Kind::Glob,
                    };
                    self.push(Node::String(text.into()), kind);
                    return Ok(());
                }
                What::End => {
                    let found = token.what.describe();
                    return self.fail(offset, Problem::ExpectedOperand(found));
                }
            }
            token = self.next()?;
        }
    }

    fn push(&mut self, node: Node, kind: Kind) {
        self.nodes.push(node);
        self.kinds.push(kind);
    }

    fn field(&mut self, offset: usize, name: &str) -> Result<FieldPath, ParseError> {
        let mut steps = Vec::new();
        let root = match name {
            "$ctx" => Root::Context,
            "$app" => Root::AppContext,
            _ if name.starts_with('$') => {
                return self.fail(offset, Problem::UnknownRoot(name.into()));
            }
            _ => {
                steps.push(Step::Name(name.into()));
                Root::Payload
            }
        };
        loop {
            let token = self.next()?;
            match token.what {
                What::Sign("." | "->") => {
                    let name = self.next()?;
                    let What::Name(text) = name.what else {
                        let found = name.what.describe();
                        return self.fail(name.offset, Problem::ExpectedName(found));
                    };
                    steps.push(Step::Name(text.into()));
                }
                What::Sign("[") if !steps.is_empty() => steps.push(Step::Index(self.index()?)),
                _ if steps.is_empty() => {
                    let alone = if root == Root::Context {
                        "$ctx"
                    } else {
                        "$app"
                    };
                    return self.fail(offset, Problem::RootAlone(alone));
                }
                _ => {
                    self.ahead = Some(token);
                    return Ok(FieldPath { root, steps });
                }
            }
        }
    }

    /// After `[`.
    fn index(&mut self) -> Result<u64, ParseError> {
        let token = self.next()?;
        let What::Number(Number::Integer(index), _) = token.what else {
            return self.fail(token.offset, Problem::Index);
        };
        let token = self.next()?;
        if token.what != What::Sign("]") {
            let found = token.what.describe();
            return self.fail(token.offset, Problem::ExpectedBracket(found));
        }
        Ok(index)
    }

    /// After an operand: closing parentheses, then a binary operator (`false`) or the end (`true`).
    fn operator(&mut self) -> Result<bool, ParseError> {
        loop {
            let token = self.next()?;
            let offset = token.offset;
            match token.what {
                What::End => {
                    self.reduce(0)?;
                    return match self.operators.pop() {
                        Some(open) => self.fail(open.offset, Problem::OpenParenthesis),
                        None => Ok(true),
                    };
                }
                What::Sign(")") => {
                    self.reduce(0)?;
                    if self.operators.pop().is_none() {
                        return self.fail(offset, Problem::StrayParenthesis);
                    }
                }
                What::Sign(sign) => {
                    if let Some(what) = binary(sign) {
                        self.reduce(what.precedence())?;
                        self.begin_right_side(Pending { offset, sign, what })?;
                        return Ok(false);
                    }
                    let problem = match sign.chars().next() {
                        Some(c @ ('+' | '-' | '*' | '/' | '%')) if sign.len() == 1 => {
                            Problem::Arithmetic(c)
                        }
                        _ => Problem::ExpectedOperator(token.what.describe()),
                    };
                    return self.fail(offset, problem);
                }
                _ => {
                    let found = token.what.describe();
                    return self.fail(offset, Problem::ExpectedOperator(found));
                }
            }
        }
    }

    fn begin_right_side(&mut self, operator: Pending) -> Result<(), ParseError> {
        if let Operator::Logical(op, _) = operator.what {
            let left = self.logical_operand(operator)?;
            self.nodes.push(Node::Branch(op, left));
        }
        self.operators.push(operator);
        Ok(())
    }

    /// Takes the top operand as one side of a logical operator.
    fn logical_operand(&mut self, operator: Pending) -> Result<Kind, ParseError> {
        let kind = self.pop_kind();
        if kind.is_string() {
            return self.fail(operator.offset, Problem::StringOperand(operator.sign));
        }
        Ok(kind)
    }

    fn pop_kind(&mut self) -> Kind {
        // Each operator has been given its operands by the grammar.
        self.kinds.pop().unwrap_or(Kind::Integer)
    }

    /// Applies the operators on the stack that bind at least as tightly as `precedence`.
    fn reduce(&mut self, precedence: u8) -> Result<(), ParseError> {
        while let Some(&operator) = self.operators.last() {
            if matches!(operator.what, Operator::Open) || operator.what.precedence() < precedence {
                break;
            }
            self.operators.pop();
            match operator.what {
                Operator::Open => {}
                Operator::Unary(op) => self.apply_unary(operator, op)?,
                Operator::Binary(op, _) => self.apply_binary(operator, op)?,
                Operator::Logical(op, _) => {
                    let right = self.logical_operand(operator)?;
                    self.push(Node::Join(op, right), Kind::Integer);
                }
            }
        }
        Ok(())
    }

    fn apply_unary(&mut self, operator: Pending, op: UnaryOp) -> Result<(), ParseError> {
        let kind = self.pop_kind();
        if kind.is_string() {
            return self.fail(operator.offset, Problem::StringOperand(operator.sign));
        }
        self.push(Node::Unary(op), kind);
        Ok(())
    }

    fn apply_binary(&mut self, operator: Pending, op: BinaryOp) -> Result<(), ParseError> {
        let right = self.pop_kind();
        let left = self.pop_kind();
        if let Some(problem) = binary_problem(op, operator.sign, left, right) {
            return self.fail(operator.offset, problem);
        }
        self.push(Node::Binary(op), Kind::Integer);
        Ok(())
    }
}

fn binary_problem(op: BinaryOp, sign: &'static str, left: Kind, right: Kind) -> Option<Problem> {
    use BinaryOp::*;
    let any = |wanted: fn(Kind) -> bool| wanted(left) || wanted(right);
    if matches!(op, ShiftLeft | ShiftRight | BitAnd | BitXor | BitOr) {
        if any(Kind::is_string) {
            return Some(Problem::StringOperand(sign));
        }
        return any(|kind| kind == Kind::Float).then_some(Problem::FloatOperand(sign));
    }
    if any(Kind::is_string) && any(|kind| matches!(kind, Kind::Integer | Kind::Float)) {
        return Some(Problem::Mismatch(sign));
    }
    if left == Kind::Glob && right == Kind::Glob {
        return Some(Problem::TwoPatterns);
    }
    let order = !matches!(op, Equal | NotEqual);
    (order && any(|kind| kind == Kind::Glob)).then_some(Problem::PatternOrder(sign))
}
