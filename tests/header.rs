//! `include/tckms.h` is generated from the current source, every compiler accepts it, and its comments are complete.

use std::fs;

use support::{CLANG, Compiler, GCC, Header, Library, Scratch, root};

/// Standards of C and C++ in which a program may include the header, with the compilers to test.
const LANGUAGES: [(&str, &[&str], &[&str]); 2] = [
    ("c", &["c90", "gnu90", "c99", "c11", "c17", "c2x"], &["gcc", "clang"]),
    ("c++", &["c++98", "gnu++98", "c++11", "c++14", "c++17", "c++20"], &["g++", "clang++"]),
];

#[test]
fn the_committed_header_is_generated_from_the_current_source() {
    let made = fs::read_to_string(env!("TCKMS_GENERATED_HEADER")).expect("the build script wrote a header");
    let committed = Header::committed();
    if std::env::var_os("TCKMS_UPDATE_HEADER").is_some_and(|value| value == "1") {
        return replace(&committed, &made);
    }
    let first_difference = made.lines().zip(committed.text.lines()).position(|(made, committed)| made != committed);
    assert!(
        made == committed.text,
        "include/tckms.h differs from the source (line {}); run `make header`",
        first_difference.map_or(0, |line| line + 1),
    );
}

/// Atomically, since other tests read the file at the same time.
fn replace(committed: &Header, text: &str) {
    let fresh = committed.path.with_extension("h.new");
    fs::write(&fresh, text)
        .and_then(|()| fs::rename(&fresh, &committed.path))
        .expect("include/tckms.h can be replaced");
}

/// Compiles a text with every compiler in every standard.
fn compiles_everywhere(text: &str) {
    let folder = Scratch::new();
    let source = folder.write("source", text);
    for (language, standards, commands) in LANGUAGES {
        for standard in standards {
            for command in commands {
                let outcome = Compiler { command, standard }.check(language, &source);
                outcome.unwrap_or_else(|message| panic!("{command} -std={standard}:\n{message}"));
            }
        }
    }
}

#[test]
fn the_header_compiles_alone_without_a_warning() {
    compiles_everywhere("#include <tckms.h>\n");
}

#[test]
fn it_may_be_included_twice() {
    compiles_everywhere("#include <tckms.h>\n#include <tckms.h>\n");
}

#[test]
fn a_buffer_can_be_initialized() {
    compiles_everywhere(
        "#include <tckms.h>\nint main(void) { tckms_buffer b = TCKMS_BUFFER_INIT; return b.data == NULL ? 0 : 1; }\n",
    );
}

#[test]
fn initializers_have_a_value_for_each_member() {
    compiles_everywhere(
        "#include <tckms.h>\n\
         int main(void) {\n\
         tckms_fd_options o = TCKMS_FD_OPTIONS_INIT; tckms_cache_limits l = TCKMS_CACHE_LIMITS_INIT;\n\
         tckms_custom_key k = TCKMS_CUSTOM_KEY_INIT; tckms_stats s = TCKMS_STATS_INIT;\n\
         tckms_role_options r = TCKMS_ROLE_OPTIONS_INIT; tckms_key_filter f = TCKMS_KEY_FILTER_INIT;\n\
         tckms_create_key_options n = TCKMS_CREATE_KEY_OPTIONS_INIT;\n\
         return o.progress == NULL && l.max_entries == 0 && k.userdata == NULL && s.connections_opened == 0\n\
         && r.role_arn == NULL && f.search == NULL && n.reserved == 0 ? 0 : 1;\n}\n",
    );
}

/// The indented example of the manual at the beginning of the header.
fn example_of_the_manual(header: &Header) -> String {
    let manual = header.text.split("*/").nth(1).expect("the manual is the second comment");
    let lines =
        manual.lines().skip_while(|line| !line.starts_with(" *     ")).map_while(|line| line.strip_prefix(" *     "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_of_the_manual_compiles() {
    let example = example_of_the_manual(&Header::committed());
    assert!(example.contains("tckms_encrypt("), "{example}");
    compiles_everywhere(&format!(
        "#include <stdio.h>\n#include <tckms.h>\nvoid example(const char *key_id);\n\
         void example(const char *key_id) {{\n{example}\n}}\n"
    ));
}

#[test]
fn an_ignored_result_is_a_warning() {
    let program = |statement: &str| {
        format!(
            "#include <tckms.h>\nvoid f(const tckms_client *c, tckms_buffer *b);\n\
             void f(const tckms_client *c, tckms_buffer *b) {{ {statement} }}\n"
        )
    };
    const CALL: &str = "tckms_encrypt(c, \"k\", \"x\", 1, NULL, b)";
    compiles_everywhere(&program(&format!("if ({CALL} != TCKMS_OK) {{ tckms_buffer_free(b); }}")));
    let folder = Scratch::new();
    let careless = folder.write("careless.c", &program(&format!("{CALL};")));
    for compiler in [GCC, CLANG] {
        let message = compiler.check("c", &careless).expect_err("the result of tckms_encrypt was ignored");
        assert!(message.contains("tckms_encrypt") && message.contains("unused"), "{message}");
    }
    let gxx = Compiler { command: "g++", standard: "c++17" };
    let message = gxx.check("c++", &careless).expect_err("the result of tckms_encrypt was ignored");
    assert!(message.contains("nodiscard"), "{message}");
}

#[test]
fn every_function_that_can_fail_warns_if_its_result_is_ignored() {
    for function in Header::committed().functions() {
        // These describe the failure of another call.
        let tells = ["tckms_error_status", "tckms_log_event_status", "tckms_completion_status"]
            .contains(&function.name.as_str());
        let can_fail = function.returns == "tckms_status" && !tells;
        assert_eq!(function.warns_when_unused, can_fail, "{}", function.name);
    }
}

#[test]
fn every_comment_of_a_function_is_complete() {
    let functions = Header::committed().functions();
    assert!(functions.len() > 50, "only {} functions were found", functions.len());
    for function in functions {
        let says = |what: &str| function.comment.contains(what);
        assert!(says("@return") || function.returns == "void", "{} does not say what it returns", function.name);
        for default in ["Since 0.1.0", "Threads: from any thread.\n"] {
            assert!(!says(default), "{} repeats what a chapter says for all functions", function.name);
        }
        for parameter in &function.parameters {
            assert!(says(&format!("@param {parameter} ")), "{} does not explain {parameter}", function.name);
        }
    }
}

#[test]
fn lines_have_at_most_100_columns() {
    for (at, line) in Header::committed().text.lines().enumerate() {
        assert!(line.chars().count() <= 100, "line {}: {line}", at + 1);
    }
}

/// Core calls come first, then sealing, then configuration; errors and statuses are last.
#[test]
fn functions_come_in_the_order_in_which_programs_need_them() {
    let names: Vec<_> = Header::committed().functions().into_iter().map(|function| function.name).collect();
    let place = |name: &str| names.iter().position(|other| other == name).unwrap_or_else(|| panic!("no {name}"));
    let order = ["tckms_encrypt", "tckms_seal", "tckms_config_new", "tckms_last_error", "tckms_status_name"];
    assert!(order.map(place).is_sorted(), "{:?}", order.map(place));
}

/// All files that are written by hand, except the changelog and snapshots.
fn sources() -> Vec<std::path::PathBuf> {
    const FOLDERS: [&str; 11] =
        ["src", "include", "examples-c", "docs", "go", "tests", "emulator", "bench", "fuzz", "scripts", "packaging"];
    let mut waiting: Vec<_> = FOLDERS.map(|folder| root().join(folder)).into();
    let mut found = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let skipped = ["tests/abi", "tests/header.rs"].iter().any(|tail| path.ends_with(tail))
                || path.file_name().is_some_and(|name| name == "target" || name == "corpus");
            match path.is_dir() {
                _ if skipped => {}
                true => waiting.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

/// No file has a name that was replaced before 0.1 was released.
#[test]
fn no_old_name_is_left() {
    const OLD: &[&str] = &[
        "tckms_error_take",
        "tckms_stream_seal_new",
        "tckms_stream_open_new",
        "tckms_stream_total_size",
        "tckms_stream_set_message_size",
        "tckms_stream_set_message_bound",
        "tckms_keyring_set_policy",
        // A type has this name now.
        "tckms_message_info(",
        "TCKMS_POLICY_",
        "TCKMS_ERR_MESSAGE_SIZE",
        "TCKMS_ERR_SIGNATURE_FAILURE",
        "TCKMS_ERR_SIGNATURE_EXPIRED",
        "TCKMS_ERR_TOKEN_FAILURE",
        "TCKMS_ERR_SECRET_ID_NOT_FOUND",
        "tckms_config_set_assume_role",
        "tckms_config_set_international_endpoint",
        "tckms_config_set_plaintext_http_to_any_host_allowed",
        // C++
        "value_or_throw",
        "tckms::failure",
        "tckms::policy",
        "set_plaintext_http_to_any_host_allowed",
        "set_international_endpoint",
        "set_message_bound",
        // Go
        "tckms.Context",
        "RequireEncryptAllowDecrypt",
        "PlaintextHTTPToAnyHostAllowed",
    ];
    for path in sources() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for old in OLD {
            // A longer name that begins or ends with it is a different name.
            let word = |at: usize| {
                let before = text[..at].chars().next_back();
                let after = text[at + old.len()..].chars().next();
                let part = |letter: Option<char>| letter.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
                !part(before) && (old.ends_with(['_', '(']) || !part(after))
            };
            let found = text.match_indices(old).any(|(at, _)| word(at));
            assert!(!found, "{} has the old name {old}", path.display());
        }
    }
}

#[test]
fn names_have_the_prefix_of_the_library() {
    let header = Header::committed();
    for function in header.functions() {
        assert!(function.name.starts_with("tckms_"), "{}", function.name);
    }
    for line in header.text.lines() {
        if let Some(name) = line.strip_prefix("#define ") {
            assert!(name.starts_with("TCKMS_"), "{line}");
        }
    }
}

#[test]
fn macros_and_functions_have_the_version_of_the_crate() {
    for compiler in [GCC, CLANG] {
        let finished = compiler.build("tests/c/constants.c", &Library::Shared).with(Vec::new()).run();
        let version = format!("version {}\n", env!("CARGO_PKG_VERSION"));
        assert!(finished.expect_success().starts_with(&version), "{finished}");
    }
}

#[test]
fn every_status_has_its_name_its_message_and_its_category() {
    let header = Header::committed();
    let statuses = header.statuses();
    assert!(statuses.len() > 60 && statuses[0] == ("TCKMS_OK", 0), "{statuses:?}");
    let row = |(name, number): &(&str, i32)| format!("  {{{name}, \"{name}\", {}}},\n", number / 100 * 100);
    let rows: String = statuses.iter().map(row).collect();
    let folder = Scratch::new();
    let program = fs::read_to_string(root().join("tests/c/statuses.c.in")).unwrap();
    let source = folder.write("statuses.c", &program.replace("@ROWS@", &rows));
    GCC.build(source, &Library::Shared).with(Vec::new()).run().expect_nothing_but_passed_checks();
}

/// tests/c/memory_torture.c calls every function with an allocator that fails.
#[test]
fn every_function_is_called_while_an_allocator_fails() {
    let program = fs::read_to_string(root().join("tests/c/memory_torture.c")).unwrap();
    let functions = Header::committed().functions();
    let names = functions.iter().map(|function| function.name.as_str());
    let missing: Vec<_> = names.filter(|name| !program.contains(&format!("{name}("))).collect();
    assert!(missing.is_empty(), "tests/c/memory_torture.c does not call {missing:?}");
}
