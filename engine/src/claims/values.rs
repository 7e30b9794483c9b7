//! Numbers, dates, times and rhythms, in one form each.

use super::words::Word;

/// What kind of value it is: only values of one kind can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    Date,
    Time,
    Month,
    Weekday,
    Rhythm,
}

/// A value in one form.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub kind: Kind,
    /// The amount of a number, else the place in its row.
    amount: f64,
    text: String,
    /// The stem of what is counted, where it is known.
    pub unit: String,
    /// Whether it names one of many (`invoice 17`) instead of saying how much.
    pub is_label: bool,
}

impl Value {
    fn new(kind: Kind, amount: f64, text: &str) -> Self {
        Self { kind, amount, text: text.to_owned(), unit: String::new(), is_label: false }
    }

    /// Whether both are the same number, day or time, whatever is counted.
    pub fn same_amount(&self, other: &Self) -> bool {
        self.kind == other.kind && (self.amount - other.amount).abs() < 1e-9 && self.text == other.text
    }
}

/// What a folded word is worth, by itself.
pub fn value_of(plain: &str, is_name: bool) -> Option<Value> {
    let place = |row: &[&str]| row.iter().position(|name| *name == plain).map(|at| at as f64);
    if let Some(at) = place(NUMBER_WORDS) {
        return Some(Value::new(Kind::Number, at, ""));
    }
    if let Some((_, amount)) = LARGE_WORDS.iter().find(|(name, _)| *name == plain) {
        return Some(Value::new(Kind::Number, *amount, ""));
    }
    if let Some(at) = place(WEEKDAYS).or_else(|| place(&WEEKDAYS_SHOWN)) {
        return Some(Value::new(Kind::Weekday, at, ""));
    }
    // `may` and `march` are words as well.
    if let Some(at) = place(MONTHS).filter(|_| is_name || !matches!(plain, "may" | "march")) {
        return Some(Value::new(Kind::Month, at, ""));
    }
    if let Some((_, at)) = RHYTHMS.iter().find(|(name, _)| *name == plain) {
        return Some(Value::new(Kind::Rhythm, f64::from(*at), ""));
    }
    plain.chars().next().filter(char::is_ascii_digit).and_then(|_| digits(plain))
}

fn digits(plain: &str) -> Option<Value> {
    if plain.matches('-').count() == 2 {
        return Some(Value::new(Kind::Date, 0.0, plain));
    }
    if let Some((hours, minutes)) = plain.split_once(':') {
        let minutes: String = minutes.chars().take_while(char::is_ascii_digit).collect();
        let amount = hours.parse::<f64>().ok()? * 60.0 + minutes.parse::<f64>().ok()?;
        return Some(Value::new(Kind::Time, amount, ""));
    }
    let end = plain.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).unwrap_or(plain.len());
    let (number, suffix) = plain.split_at(end);
    let Ok(amount) = number.replace(',', "").parse::<f64>() else {
        // `1.2.3` is a version, which is compared as it is written.
        return Some(Value::new(Kind::Number, 0.0, plain));
    };
    let (factor, unit) = match suffix {
        "k" => (1e3, ""),
        "m" | "mio" => (1e6, ""),
        "bn" => (1e9, ""),
        "th" | "st" | "nd" | "rd" => (1.0, ""),
        other => (1.0, other),
    };
    let clock = matches!(unit, "am" | "pm");
    let kind = if clock { Kind::Time } else { Kind::Number };
    let amount =
        if clock { (amount % 12.0 + if unit == "pm" { 12.0 } else { 0.0 }) * 60.0 } else { amount * factor };
    // `2.1` and `2.10` may be versions: what has a point is compared as it is written too.
    let is_written = kind == Kind::Number && factor == 1.0 && number.contains('.');
    let mut value = Value::new(kind, amount, if is_written { number } else { "" });
    if !clock {
        value.unit = unit.to_owned();
    }
    Some(value)
}

/// Tells each value what it counts, and which ones are labels; `20 pm` and `two thousand` become one value.
pub fn mark(words: &mut Vec<Word>) {
    let mut at = 0;
    while at + 1 < words.len() {
        if let (Some(value), Some(next)) = (words[at].value.clone(), words.get(at + 1))
            && value.kind == Kind::Number
            && value.text.matches('.').count() <= 1
        {
            let factor = LARGE_WORDS.iter().find(|(name, _)| *name == next.plain).map(|(_, factor)| *factor);
            let clock = match next.plain.as_str() {
                "am" => Some(0.0),
                "pm" => Some(12.0),
                _ => None,
            };
            if let Some(factor) = factor {
                let amount = value.amount * factor;
                words[at].value = Some(Value { amount, text: String::new(), ..value });
                words.remove(at + 1);
                continue;
            }
            if let Some(half) = clock {
                words[at].value = Some(Value::new(Kind::Time, (value.amount % 12.0 + half) * 60.0, ""));
                words.remove(at + 1);
                continue;
            }
        }
        at += 1;
    }
    for at in 0..words.len() {
        let label = at.checked_sub(1).is_some_and(|before| LABELLED.contains(&words[before].stem.as_str()));
        let unit = words.get(at + 1).filter(|next| next.is_content() && next.value.is_none());
        let unit = unit.map(|next| next.stem.clone()).unwrap_or_default();
        if let Some(value) = &mut words[at].value {
            value.is_label = label;
            if value.unit.is_empty() {
                value.unit = unit;
            }
        }
        if let Some(value) = &words[at].value {
            // One stem for one amount, so that `ten` and `10` are the same word.
            words[at].stem = format!("{:?}{}{}", value.kind, value.amount, value.text);
            words[at].is_function = false;
        }
    }
}

/// Stems after which a number names one of many.
const LABELLED: &[&str] = &[
    "invoic", "ticket", "room", "chapter", "section", "page", "line", "issu", "task", "case", "order",
    "step", "part", "version", "incid", "gate", "build", "team", "phase", "item", "appendix", "rule",
    "question", "floor", "platform", "flight", "bus", "route", "unit", "lot", "batch", "server", "node",
    "channel", "level", "inv", "inc", "rfc", "iso",
];

pub(super) const NUMBER_WORDS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

const LARGE_WORDS: &[(&str, f64)] = &[
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("hundred", 100.0),
    ("thousand", 1e3),
    ("million", 1e6),
    ("billion", 1e9),
    ("dozen", 12.0),
];

const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const WEEKDAYS_SHOWN: [&str; 7] =
    ["mondays", "tuesdays", "wednesdays", "thursdays", "fridays", "saturdays", "sundays"];

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const RHYTHMS: &[(&str, u8)] = &[
    ("hourly", 0),
    ("daily", 1),
    ("nightly", 1),
    ("weekly", 2),
    ("fortnightly", 3),
    ("monthly", 4),
    ("quarterly", 5),
    ("yearly", 6),
    ("annually", 6),
    ("annual", 6),
    ("once", 7),
    ("twice", 8),
];
