//! Types by file name.
//!
//! Takes a name or path, gives what its ending promises. Whether the content keeps the promise is for the caller.

use super::FileType;
use crate::text::document::Kind;

/// Endings of text: endings, media type, how to read.
const TEXTS: &[(&str, &str, Kind)] = &[
    ("md markdown mdx mkd mdown qmd rmd", "text/markdown", Kind::Markdown),
    ("txt text log nfo diff patch", "text/plain", Kind::Plain),
    ("srt", "application/x-subrip", Kind::Subtitles),
    ("eml mht mhtml", "message/rfc822", Kind::Mail),
    ("mbox", "application/mbox", Kind::Mailbox),
    ("rst", "text/x-rst", Kind::Plain),
    ("adoc asciidoc asc", "text/asciidoc", Kind::Asciidoc),
    ("org", "text/org", Kind::Plain),
    ("tex latex", "text/x-tex", Kind::Latex),
    ("sty bib", "text/x-tex", Kind::Plain),
    ("vtt", "text/vtt", Kind::Subtitles),
    ("html htm xhtml", "text/html", Kind::Html),
    ("xml xsd xsl xslt rss atom plist svg kml wsdl csproj", "application/xml", Kind::Xml),
    ("json jsonc json5 geojson webmanifest har avsc", "application/json", Kind::Json),
    ("jsonl ndjson", "application/x-ndjson", Kind::JsonLines),
    ("ipynb", "application/x-ipynb+json", Kind::Notebook),
    ("yaml yml", "application/yaml", Kind::Yaml),
    ("toml", "application/toml", Kind::Toml),
    ("ini cfg conf properties editorconfig gitconfig desktop service", "text/x-ini", Kind::Toml),
    ("csv", "text/csv", Kind::Csv),
    ("tsv tab", "text/tab-separated-values", Kind::Csv),
];

/// Endings of source code: endings, media type, language.
const CODE: &[(&str, &str, &str)] = &[
    ("rs", "text/x-rust", "rust"),
    ("py pyi pyw", "text/x-python", "python"),
    ("js mjs cjs jsx", "text/javascript", "javascript"),
    ("ts mts cts", "text/x-typescript", "typescript"),
    ("tsx", "text/x-tsx", "tsx"),
    ("go", "text/x-go", "go"),
    ("java", "text/x-java", "java"),
    ("c h", "text/x-c", "c"),
    ("cc cpp cxx c++ hh hpp hxx inl cu", "text/x-c++", "cpp"),
    ("cs", "text/x-csharp", "csharp"),
    ("kt kts", "text/x-kotlin", "kotlin"),
    ("swift", "text/x-swift", "swift"),
    ("scala sc", "text/x-scala", "scala"),
    ("rb rake gemspec", "text/x-ruby", "ruby"),
    ("php", "text/x-php", "php"),
    ("pl pm", "text/x-perl", "perl"),
    ("lua", "text/x-lua", "lua"),
    ("r", "text/x-r", "r"),
    ("jl", "text/x-julia", "julia"),
    ("hs", "text/x-haskell", "haskell"),
    ("ml mli", "text/x-ocaml", "ocaml"),
    ("ex exs", "text/x-elixir", "elixir"),
    ("erl hrl", "text/x-erlang", "erlang"),
    ("clj cljs edn", "text/x-clojure", "clojure"),
    ("dart", "text/x-dart", "dart"),
    ("zig", "text/x-zig", "zig"),
    ("sh bash zsh fish", "text/x-shellscript", "shell"),
    ("ps1 psm1", "text/x-powershell", "powershell"),
    ("bat cmd", "text/x-batch", "batch"),
    ("sql", "application/sql", "sql"),
    ("css scss sass less", "text/css", "css"),
    ("vue svelte", "text/x-vue", "vue"),
    ("proto", "text/x-protobuf", "protobuf"),
    ("graphql gql", "application/graphql", "graphql"),
    ("tf tfvars hcl", "text/x-hcl", "hcl"),
    ("cmake", "text/x-cmake", "cmake"),
    ("mk", "text/x-makefile", "make"),
    ("dockerfile containerfile", "text/x-dockerfile", "dockerfile"),
    ("asm s", "text/x-asm", "assembly"),
    ("vim", "text/x-vim", "vim"),
    ("el lisp scm", "text/x-lisp", "lisp"),
    ("f f90 f95", "text/x-fortran", "fortran"),
    ("groovy gradle", "text/x-groovy", "groovy"),
    ("nix", "text/x-nix", "nix"),
];

/// Endings of formats that are never text, for content without a magic number.
const BINARIES: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("doc dot", "application/msword"),
    ("docx docm dotx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx xlsm xlsb", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("rtf", "application/rtf"),
    ("epub", "application/epub+zip"),
    ("msg", "application/vnd.ms-outlook"),
    ("zip", "application/zip"),
    ("tar", "application/x-tar"),
    ("gz tgz", "application/gzip"),
    ("ppt pps", "application/vnd.ms-powerpoint"),
    ("pptx pptm ppsx potx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("jpg jpeg", "image/jpeg"),
    ("tga", "image/x-tga"),
    ("mp3", "audio/mpeg"),
    ("aac", "audio/aac"),
    ("mp4 m4v", "video/mp4"),
    ("pyc", "application/x-python-bytecode"),
    ("safetensors", "application/x-safetensors"),
];

/// Whole names that have no ending, in lower case.
const WHOLE_NAMES: &[(&str, &str)] = &[
    ("makefile", "mk"),
    ("gnumakefile", "mk"),
    ("dockerfile", "dockerfile"),
    ("containerfile", "dockerfile"),
    ("cmakelists.txt", "cmake"),
    ("rakefile", "rb"),
    ("gemfile", "rb"),
    ("cargo.lock", "toml"),
    ("poetry.lock", "toml"),
    ("pipfile", "toml"),
    ("readme", "txt"),
    ("license", "txt"),
    (".bashrc", "sh"),
    (".profile", "sh"),
    (".zshrc", "sh"),
];

/// What the last part of a path promises, in any case.
pub(super) fn by_name(name: &str) -> Option<FileType> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name).to_lowercase();
    let whole = WHOLE_NAMES.iter().find(|(whole, _)| *whole == name).map(|(_, ending)| *ending);
    by_ending(whole.or_else(|| name.rsplit_once('.').map(|(_, ending)| ending))?)
}

/// Whether source code has this ending, or a language of it this name.
pub(super) fn is_code(name: &str) -> bool {
    CODE.iter().any(|(endings, _, language)| *language == name || endings.split(' ').any(|end| end == name))
}

fn by_ending(ending: &str) -> Option<FileType> {
    let listed = |endings: &str| endings.split(' ').any(|listed| listed == ending);
    let text = TEXTS.iter().find(|(endings, ..)| listed(endings));
    let code = || CODE.iter().find(|(endings, ..)| listed(endings));
    let binary = || BINARIES.iter().find(|(endings, _)| listed(endings));
    text.map(|(_, mime_type, kind)| FileType::text(mime_type, *kind))
        .or_else(|| code().map(|(_, mime_type, language)| FileType::code(mime_type, language)))
        .or_else(|| binary().map(|(_, mime_type)| FileType::binary(mime_type)))
}
