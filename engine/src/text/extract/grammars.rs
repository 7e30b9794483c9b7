//! Which nodes of a grammar define something, per language.
//!
//! Plain data for [`syntax`](super::syntax): the names are those of the grammars' `node-types.json`.

/// What is known about one language's syntax tree.
#[derive(Debug)]
pub(super) struct Grammar {
    /// Its name here.
    pub(super) language: &'static str,
    /// Nodes that define something.
    pub(super) definitions: &'static [Definition],
    /// Nodes that stand around a definition and belong to it.
    pub(super) wrappers: &'static [&'static str],
    /// Nodes whose children count as if they stood there themselves.
    pub(super) transparent: &'static [&'static str],
}

/// A node that begins a block of its own.
#[derive(Debug)]
pub(super) struct Definition {
    /// The node's kind.
    pub(super) node: &'static str,
    /// What stands before the name in a heading.
    pub(super) prefix: &'static str,
    /// How the name is found.
    pub(super) naming: Naming,
    /// Whether definitions inside become blocks too.
    pub(super) is_container: bool,
}

/// Where the name of a definition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// In the field `name`.
    Field,
    /// At the end of a chain of `declarator` fields.
    Declarator,
    /// `Trait for Type` of an `impl`.
    Impl,
    /// In the first child that has a field `name`.
    Child,
    /// A receiver and a name.
    Method,
    /// As [`Naming::Child`], and only if that child's value is a function or class.
    FunctionValue,
}

const fn item(node: &'static str, prefix: &'static str) -> Definition {
    Definition { node, prefix, naming: Naming::Field, is_container: false }
}

const fn container(node: &'static str, prefix: &'static str) -> Definition {
    Definition { node, prefix, naming: Naming::Field, is_container: true }
}

const fn named(node: &'static str, prefix: &'static str, naming: Naming) -> Definition {
    Definition { node, prefix, naming, is_container: false }
}

const RUST: Grammar = Grammar {
    language: "rust",
    definitions: &[
        item("function_item", "fn "),
        item("function_signature_item", "fn "),
        item("struct_item", "struct "),
        item("enum_item", "enum "),
        item("union_item", "union "),
        item("macro_definition", "macro "),
        container("trait_item", "trait "),
        container("mod_item", "mod "),
        Definition { node: "impl_item", prefix: "impl ", naming: Naming::Impl, is_container: true },
    ],
    wrappers: &[],
    transparent: &[],
};

const PYTHON: Grammar = Grammar {
    language: "python",
    definitions: &[item("function_definition", "def "), container("class_definition", "class ")],
    wrappers: &["decorated_definition"],
    transparent: &[],
};

const JAVASCRIPT: Grammar = Grammar {
    language: "javascript",
    definitions: &[
        item("function_declaration", "function "),
        item("generator_function_declaration", "function "),
        container("class_declaration", "class "),
        item("method_definition", ""),
        named("lexical_declaration", "const ", Naming::FunctionValue),
        named("variable_declaration", "var ", Naming::FunctionValue),
    ],
    wrappers: &["export_statement"],
    transparent: &[],
};

const TYPESCRIPT: Grammar = Grammar {
    language: "typescript",
    definitions: &[
        item("function_declaration", "function "),
        item("function_signature", "function "),
        item("generator_function_declaration", "function "),
        container("class_declaration", "class "),
        container("abstract_class_declaration", "class "),
        item("method_definition", ""),
        item("interface_declaration", "interface "),
        item("type_alias_declaration", "type "),
        item("enum_declaration", "enum "),
        container("internal_module", "namespace "),
        container("module", "module "),
        named("lexical_declaration", "const ", Naming::FunctionValue),
        named("variable_declaration", "var ", Naming::FunctionValue),
    ],
    wrappers: &["export_statement", "ambient_declaration", "expression_statement"],
    transparent: &[],
};

const TSX: Grammar = Grammar { language: "tsx", ..TYPESCRIPT };

const GO: Grammar = Grammar {
    language: "go",
    definitions: &[
        item("function_declaration", "func "),
        named("method_declaration", "func ", Naming::Method),
        named("type_declaration", "type ", Naming::Child),
    ],
    wrappers: &[],
    transparent: &[],
};

const JAVA: Grammar = Grammar {
    language: "java",
    definitions: &[
        container("class_declaration", "class "),
        container("interface_declaration", "interface "),
        container("enum_declaration", "enum "),
        container("record_declaration", "record "),
        item("annotation_type_declaration", "@interface "),
        item("method_declaration", ""),
        item("constructor_declaration", ""),
    ],
    wrappers: &[],
    transparent: &["enum_body_declarations"],
};

const C: Grammar = Grammar {
    language: "c",
    definitions: &[
        named("function_definition", "", Naming::Declarator),
        named("type_definition", "typedef ", Naming::Declarator),
        item("struct_specifier", "struct "),
        item("union_specifier", "union "),
        item("enum_specifier", "enum "),
        item("preproc_function_def", "#define "),
    ],
    wrappers: &[],
    transparent: &[
        "preproc_ifdef",
        "preproc_if",
        "preproc_else",
        "linkage_specification",
        "declaration_list",
    ],
};

static GRAMMARS: [Grammar; 8] = [RUST, PYTHON, JAVASCRIPT, TYPESCRIPT, TSX, GO, JAVA, C];

/// The grammar of a language, if there is one.
pub(super) fn grammar(language: &str) -> Option<&'static Grammar> {
    GRAMMARS.iter().find(|grammar| grammar.language == language)
}
