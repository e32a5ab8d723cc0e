#!/usr/bin/env python3
"""Makes the manual pages and the HTML reference from the comments of include/tckms.h.

    reference.py [--header FILE] [--output FOLDER]

Writes man3/*.3 and reference.html into FOLDER, by default target/reference. If a declaration has no comment, or an incomplete
one, the script names it on standard error and writes nothing.
"""

import argparse
import html
import os
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "reference"

# The date of the manual pages. It changes only with a release, so that the pages do not depend on the day of the build.
DATE = "2026-11-28"

# The defaults, which the chapters of the header state and comments do not repeat.
SINCE = "0.1.0"
THREADS = "any thread may call it. A handle that is not const is used by one thread at a time; see tckms(3), Handles."

# The chapters of the reference, with a pattern for their names. A name belongs to the first chapter that matches it.
GROUPS = [
    ("Core calls", r"tckms_(encrypt|decrypt|reencrypt|generate_data_key|generate_random|call)$"),
    ("Clients", r"tckms_(client(_.*)?|stats)$"),
    ("Credentials", r"tckms_(config_.*(credentials|assume_role|metadata_endpoint|sts_endpoint).*|credentials.*|destructor)$"),
    ("Configuration", r"tckms_(config.*|log_.*)$"),
    ("Errors", r"tckms_(error.*|last_.*|status.*|category)$"),
    ("Buffers and memory", r"tckms_(buffer.*|wipe|equal)$"),
    ("Keyrings", r"tckms_(keyring.*|custom_key|wrapped_key.*|cache_limits)$"),
    ("Sealing", r"tckms_(seal|open|message_info|stream|fd_|context_).*$"),
    ("Branch keys", r"tckms_branch_.*$"),
    ("Asymmetric keys", r"tckms_(public_key.*|sign.*|verify.*|rsa_.*|sm2_.*)$"),
    ("Key management", r"tckms_(key_info.*|(create|describe|enable|disable|rotate|list)_keys?.*|set_key_rotation|.*key_deletion|"
                       r"import_key_material)$"),
    ("Event loops", r"tckms_(queue.*|submit_.*|completion.*|cancel)$"),
    ("Version and limits", r"tckms_(version.*|.*_max)$"),
    ("Other", r".*"),
]


class Item:
    """Something public: a function, a type, a constant, or a member of a type."""

    def __init__(self, kind, name, comment, code, members=()):
        self.kind, self.name, self.code, self.members = kind, name, code, list(members)
        self.paragraphs, self.parameters, self.returns, self.threads, self.since = [], [], "", "", ""
        if comment is not None:
            self.read(comment)
        self.documented = comment is not None and bool(self.paragraphs)

    def read(self, comment):
        """A comment is paragraphs, @param and @return, more paragraphs, "Threads: …" and "Since …"."""
        target = None  # what the next line continues
        for line in comment:
            text = line.strip()
            if not text:
                target = None
            elif match := re.match(r"@param (\w+)\s+(.*)", text):
                self.parameters.append([match[1], match[2]])
                target = "parameter"
            elif match := re.match(r"@return\s+(.*)", text):
                self.returns, target = match[1], "returns"
            elif match := re.match(r"Threads: (.*)", text):
                self.threads, target = match[1], "threads"
            elif match := re.match(r"Since (.*)\.$", text):
                self.since, target = match[1], None
            elif target == "parameter":
                self.parameters[-1][1] += " " + text
            elif target in ("returns", "threads"):
                setattr(self, target, getattr(self, target) + " " + text)
            elif target == "paragraph":
                self.paragraphs[-1] += " " + text
            else:
                self.paragraphs.append(text)
                target = "paragraph"

    def summary(self):
        """The first sentence, for lists."""
        text = self.paragraphs[0]
        end = re.search(r"[.:](?= |$)", text)
        return text[: end.start()] if end else text.rstrip(".")


class Header:
    def __init__(self, path):
        self.text = path.read_text()
        self.problems = []
        self.manual = self.read_manual()
        self.items = self.read_items()
        self.names = {item.name: item for item in self.items}
        self.check()

    def read_manual(self):
        """The comment before the first declaration, as (chapter, [block]); a block is a paragraph or an example."""
        start = self.text.index("/*\n * tckms.h - ")
        lines = [line[3:] for line in self.text[start : self.text.index("*/", start)].splitlines()[1:]]
        self.title = lines[0].split(" - ")[1].strip()
        chapters, blocks, indent = [("", [])], [], 0
        for line in lines[1:]:
            if re.fullmatch(r"[A-Z][A-Z ]+", line):
                chapters.append((line, []))
                indent = 2
                continue
            blocks = chapters[-1][1]
            depth = len(line) - len(line.lstrip())
            if not line.strip():
                blocks.append(None)
            elif depth >= indent + 4:
                if blocks and isinstance(blocks[-1], list):
                    blocks[-1].append(line[indent + 4 :])
                else:
                    blocks.append([line[indent + 4 :]])
            elif blocks and isinstance(blocks[-1], str):
                blocks[-1] += " " + line.strip()
            else:
                blocks.append(line.strip())
        # This paragraph applies only to the header.
        about_itself = "This file is generated"
        wanted = lambda block: block and not (isinstance(block, str) and block.startswith(about_itself))
        return [(name, [block for block in blocks if wanted(block)]) for name, blocks in chapters]

    def read_items(self):
        lines = self.text[self.text.index("#include <stdint.h>") :].splitlines()
        items, comment, at = [], None, 0
        while at < len(lines):
            line = lines[at]
            at += 1
            if line.startswith("/**"):
                comment = [line[3:].removesuffix("*/")]
                while not line.rstrip().endswith("*/"):
                    line = lines[at]
                    at += 1
                    comment.append(re.sub(r"^ \*(/$| ?)", "", line).removesuffix("*/"))
            elif match := re.match(r"#define (TCKMS_\w+)(\(.*?\))? ?(.*)", line):
                code = line
                while code.endswith("\\"):
                    code = code[:-1].rstrip() + " " + lines[at].strip()
                    at += 1
                if match[1] not in [item.name for item in items] and match[1] != "TCKMS_H":
                    items.append(Item("constant", match[1], comment, code.split(None, 1)[1]))
            elif match := re.match(r"typedef (enum|struct) (\w+) \{", line):
                body = []
                while not lines[at].startswith("}"):
                    body.append(lines[at])
                    at += 1
                at += 1
                items.append(Item(match[1], match[2], comment, f"{match[1]} {match[2]}", self.read_members(body)))
                comment = None
            elif match := re.match(r"typedef struct (\w+) \1;", line):
                items.append(Item("opaque", match[1], comment, line.rstrip(";")))
                comment = None
            elif match := re.match(r"typedef .*\(\*(\w+)\)", line):
                while not line.endswith(";"):
                    line = f"{line} {lines[at].strip()}"
                    at += 1
                items.append(Item("callback", match[1], comment, line.rstrip(";").removeprefix("typedef ")))
                comment = None
            elif re.match(r"(TCKMS_WARN_UNUSED|[a-z].*\()", line):
                code = [] if line == "TCKMS_WARN_UNUSED" else [line]
                while not (code and code[-1].endswith(";")):
                    code.append(lines[at])
                    at += 1
                code = " ".join(" ".join(code).split()).rstrip(";")
                name = re.search(r"(\w+)\(", code)[1]
                items.append(Item("function", name, comment, code))
                comment = None
            elif not line.strip():
                comment = None
        return items

    def read_members(self, body):
        members, comment, code = [], None, ""
        for line in body:
            text = line.strip()
            if text.startswith("/**") and text.endswith("*/"):
                comment = [text[3:-2]]
            elif text.startswith("/**"):
                comment = []
            elif text.startswith("*/"):
                pass
            elif text.startswith("*"):
                comment.append(text[1:])
            else:
                code = (code + " " + text).strip()
                if (text.endswith((",", ";")) or line is body[-1]) and code.count("(") == code.count(")"):
                    code = code.rstrip(",;")
                    match = re.search(r"\(\*(\w+)\)", code) or re.search(r"(\w+)(?: = -?\d+)?$", code)
                    members.append(Item("member", match[1], comment, code))
                    comment, code = None, ""
        return members

    def check(self):
        for item in self.items:
            for one in [item, *item.members]:
                if not one.documented:
                    self.problems.append(f"{one.name} has no comment")
            if item.kind in ("function", "callback"):
                declared = parameters(item.code)
                described = [name for name, _ in item.parameters]
                if declared != described:
                    self.problems.append(f"{item.name} has the parameters {declared}, but its comment describes {described}")
                if not item.code.startswith("void") and not item.returns:
                    self.problems.append(f"{item.name} does not say what it returns")

    def groups(self):
        """The items that have a page, by chapter, types before functions."""
        chapters = {title: [] for title, _ in GROUPS}
        for item in self.items:
            if item.kind != "constant":
                chapters[next(title for title, names in GROUPS if re.match(names, item.name))].append(item)
        order = {"function": 1}
        return [(title, sorted(items, key=lambda i: order.get(i.kind, 0))) for title, items in chapters.items() if items]

    def group_of(self, item):
        return next(items for _, items in self.groups() if item in items)

    def constants(self):
        return [item for item in self.items if item.kind == "constant"]


def parameters(code):
    """The names in a declaration."""
    inside = code[code.rindex("(") + 1 : code.rindex(")")]
    return [] if inside == "void" else [re.search(r"(\w+)$", part)[1] for part in inside.split(",")]


def mentioned(header, item):
    """The names in a comment that have a page, in order."""
    texts = [*item.paragraphs, item.returns, item.threads, *(text for _, text in item.parameters)]
    names = re.findall(r"tckms_\w+", " ".join(texts))
    return [name for name in dict.fromkeys(names) if name in header.names and name != item.name]


def wrapped_declaration(code, width=76):
    """The lines of a declaration, with aligned parameters if it needs more than one line."""
    if len(code) + 1 <= width or "(" not in code:
        return [code + ";"]
    head, inside = code[: code.rindex("(") + 1], code[code.rindex("(") + 1 : code.rindex(")")]
    parts = [part.strip() for part in inside.split(",")]
    if len(head) + max(map(len, parts)) + 2 > width:
        return [head] + [f"    {part}{',' if part is not parts[-1] else ');'}" for part in parts]
    lines = [f"{head if part is parts[0] else ' ' * len(head)}{part}" for part in parts]
    return [line + ("," if line is not lines[-1] else ");") for line in lines]


# ---- Manual pages -------------------------------------------------------------------------------------------------


def roff(text):
    """Verbatim text, escaped for roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga")
    return re.sub(r"^([.'])", r"\\&\1", text)


def roff_prose(text, names):
    """A paragraph: code and names in bold, names of pages with their section."""

    def part(match):
        if match["code"]:
            return f"\\fB{roff(match['code'])}\\fP"
        name = match["name"]
        call = match["call"] or ""
        return f"\\fB{name}\\fP(3)" if name in names and call == "()" else f"\\fB{name}\\fP{call}"

    pattern = r"`(?P<code>[^`]+)`|(?P<name>\b(?:tckms|TCKMS)_\w+)(?P<call>\(\))?"
    out, end = [], 0
    for match in re.finditer(pattern, text):
        out += [plain(text[end : match.start()]), part(match)]
        end = match.end()
    line = "".join(out) + plain(text[end:])
    # A sentence begins on a new line, so that roff recognizes its end.
    sentences = re.split(r"(?<=[A-Za-z0-9)\"][.?]) (?=[A-Z\\])", line)
    lines = [part for one in sentences for part in textwrap.wrap(one, 78, break_long_words=False, break_on_hyphens=False)]
    return "\n".join("\\&" + part if part.startswith((".", "'")) else part for part in lines)


def plain(text):
    return text.replace("\\", "\\e").replace("~", "\\(ti").replace("^", "\\(ha")


def man_head(name, about):
    return [
        '.\\" Generated by scripts/reference.py from include/tckms.h. Do not edit.',
        f'.TH {name.upper()} 3 "{DATE}" "tckms {VERSION}" "Library Functions Manual"',
        ".SH NAME",
        *textwrap.wrap(f"{roff(name)} \\- {plain(about)}", 78, break_on_hyphens=False),
        ".SH LIBRARY",
        "Tencent Cloud KMS library (libtckms, \\-ltckms)",
    ]


def man_synopsis(lines):
    return [".SH SYNOPSIS", ".nf", ".B #include <tckms.h>", ".PP"] + [f"\\fB{roff(line)}\\fP" for line in lines] + [".fi"]


def man_paragraphs(paragraphs, names):
    out = []
    for text in paragraphs:
        out += [".PP"] * bool(out) + [roff_prose(text, names)]
    return out


def man_see_also(names):
    out = [".SH SEE ALSO"]
    for name in names:
        out.append(f".BR {roff(name)} (3){',' if name != names[-1] else ''}")
    return out


def lower_first(text):
    return text if re.match(r"[A-Z]{2}", text) else text[0].lower() + text[1:]


def man_item(header, item):
    out = man_head(item.name, lower_first(item.summary()).replace("`", ""))
    if item.kind in ("enum", "struct"):
        synopsis = [f"typedef {item.code} {{"]
        for member in item.members:
            lines = [member.code + ","] if item.kind == "enum" else wrapped_declaration(member.code, 72)
            synopsis += ["    " + line for line in lines]
        synopsis.append(f"}} {item.name};")
    elif item.kind == "callback":
        synopsis = wrapped_declaration("typedef " + item.code)
    else:
        synopsis = wrapped_declaration(item.code)
    out += man_synopsis(synopsis) + [".SH DESCRIPTION"] + man_paragraphs(item.paragraphs, header.names)
    for member in item.members:
        label = member.code if item.kind == "enum" else member.name
        out += [".TP", f"\\fB{roff(label)}\\fP", *man_paragraphs(member.paragraphs, header.names)]
    if item.parameters:
        out.append(".SH PARAMETERS")
        for name, text in item.parameters:
            out += [".TP", f"\\fI{roff(name)}\\fP", roff_prose(text, header.names)]
    if item.returns:
        out += [".SH RETURN VALUE", roff_prose(item.returns, header.names)]
    if item.kind == "function":
        text = item.threads or THREADS
        out += [".SH THREADS", roff_prose(text[0].upper() + text[1:], header.names)]
    if item.kind == "function":
        out += [".SH HISTORY", f"Since {item.since or SINCE}."]
    others = mentioned(header, item) or [other.name for other in header.group_of(item) if other is not item][:8]
    return out + man_see_also(["tckms", *others])


def man_overview(header):
    out = man_head("tckms", header.title)
    out += man_synopsis([])[:3] + [".fi"] + [".SH DESCRIPTION"]
    for chapter, blocks in header.manual:
        if chapter:
            out.append(f".SS {chapter.capitalize()}")
        first = True
        for block in blocks:
            if isinstance(block, list):
                out += [".PP", ".in +4n", ".EX", *map(roff, block), ".EE", ".in"]
            else:
                out += [".PP"] * (not first) + [roff_prose(block, header.names)]
            first = False
    out.append(".SH FUNCTIONS AND TYPES")
    for title, items in header.groups():
        out.append(f".SS {title}")
        for item in items:
            out += [".TP", f"\\fB{item.name}\\fP(3)", roff_prose(item.summary(), {}) + "."]
    out.append(".SH CONSTANTS")
    for item in header.constants():
        out += [".TP", f"\\fB{roff(item.code)}\\fP", *man_paragraphs(item.paragraphs, header.names)]
    example = (ROOT / "examples-c/quickstart.c").read_text()
    out += [".SH EXAMPLES", "A complete program:", ".PP", ".EX", *map(roff, example.splitlines()), ".EE"]
    return out + man_see_also(["tckms_encrypt", "tckms_client_new_from_env", "tckms_last_error", "tckms_seal"])


# ---- HTML ---------------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --line: #8884; --code: #8881; --name: #06c; }
@media (prefers-color-scheme: dark) { :root { --name: #6af; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid; grid-template-columns: 17rem minmax(0, 54rem); }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1rem; box-sizing: border-box;
      border-right: 1px solid var(--line); font-size: 13px; }
nav a { display: block; text-decoration: none; } nav b { display: block; margin-top: .8em; }
main { padding: 1rem 2rem 4rem; } a { color: var(--name); }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); } h3 { margin-top: 2.5rem; font-family: monospace; }
pre { background: var(--code); padding: .7em 1em; overflow: auto; line-height: 1.35; }
code, pre, dt { font-family: ui-monospace, monospace; font-size: .92em; }
dt { margin-top: .5em; font-weight: bold; } dd { margin-left: 1.5em; }
@media (max-width: 60rem) { body { display: block; } nav { position: static; height: auto; } }
"""


def html_prose(text, names):
    def part(match):
        if match["code"]:
            return f"<code>{html.escape(match['code'])}</code>"
        shown = f"<code>{match['name']}{match['call'] or ''}</code>"
        return f'<a href="#{match["name"]}">{shown}</a>' if match["name"] in names else shown

    pattern = r"`(?P<code>[^`]+)`|(?P<name>\b(?:tckms|TCKMS)_\w+)(?P<call>\(\))?"
    out, end = [], 0
    for match in re.finditer(pattern, text):
        out += [html.escape(text[end : match.start()], quote=False), part(match)]
        end = match.end()
    return "".join(out) + html.escape(text[end:], quote=False)


def anchor(text):
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def html_item(header, item):
    names = set(header.names) | {member.name for one in header.items for member in one.members if one.kind == "enum"}
    if item.kind in ("enum", "struct"):
        code = [f"typedef {item.code} {{ … }} {item.name};"]
    elif item.kind == "callback":
        code = wrapped_declaration("typedef " + item.code, 90)
    else:
        code = wrapped_declaration(item.code, 90)
    out = [f'<h3 id="{item.name}">{item.name}</h3>', f"<pre>{html.escape(chr(10).join(code))}</pre>"]
    out += [f"<p>{html_prose(text, names)}</p>" for text in item.paragraphs]
    rows = [(name, text, "") for name, text in item.parameters]
    rows += [(m.code, " ".join(m.paragraphs), f' id="{m.name}"' if item.kind == "enum" else "") for m in item.members]
    if rows:
        terms = [f"<dt{key}>{html.escape(name)}</dt><dd>{html_prose(text, names)}</dd>" for name, text, key in rows]
        out += ["<dl>", *terms, "</dl>"]
    for title, text in [("Returns", item.returns), ("Threads", item.threads), ("Since", item.since)]:
        if text:
            out.append(f"<p><b>{title}:</b> {html_prose(text, names)}</p>")
    return out


def html_page(header):
    names = set(header.names)
    nav, body = ["<b>Manual</b>"], []
    for chapter, blocks in header.manual:
        if chapter:
            key = anchor(chapter)
            nav.append(f'<a href="#{key}">{chapter.capitalize()}</a>')
            body.append(f'<h2 id="{key}">{chapter.capitalize()}</h2>')
        for block in blocks:
            if isinstance(block, list):
                body.append(f"<pre>{html.escape(chr(10).join(block))}</pre>")
            else:
                body.append(f"<p>{html_prose(block, names)}</p>")
    for title, items in header.groups():
        nav.append(f"<b>{title}</b>")
        body.append(f'<h2 id="{anchor(title)}-reference">{title}</h2>')
        for item in items:
            nav.append(f'<a href="#{item.name}">{item.name.removeprefix("tckms_")}</a>')
            body += html_item(header, item)
    nav.append('<b><a href="#constants">Constants</a></b>')
    body.append('<h2 id="constants">Constants</h2>\n<dl>')
    for item in header.constants():
        about = "".join(html_prose(text, names) for text in item.paragraphs)
        body.append(f'<dt id="{item.name}">{html.escape(item.code)}</dt><dd>{about}</dd>')
    body.append("</dl>")
    return [
        "<!DOCTYPE html>",
        "<!-- Generated by scripts/reference.py from include/tckms.h. Do not edit. -->",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>tckms {VERSION}</title><style>{STYLE}</style></head><body>",
        "<nav>", *nav, "</nav>", "<main>",
        f"<h1>tckms {VERSION}</h1>", f"<p>{html.escape(header.title)}</p>", *body, "</main></body></html>",
    ]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--header", type=Path, default=ROOT / "include/tckms.h")
    options.add_argument("--output", type=Path, default=OUTPUT)
    options = options.parse_args()
    header = Header(options.header)
    if header.problems:
        sys.exit("\n".join(f"{options.header}: {problem}" for problem in header.problems))

    global VERSION
    VERSION = header.names["TCKMS_VERSION"].code.split('"')[1]
    pages = {"tckms": man_overview(header)}
    for _, items in header.groups():
        pages |= {item.name: man_item(header, item) for item in items}
    folder = options.output / "man3"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.3"):
        old.unlink()
    for name, lines in pages.items():
        (folder / f"{name}.3").write_text("\n".join(lines) + "\n")
    # Written last: scripts/dist.sh takes all pages for up to date if this file is newer than the header.
    (options.output / "reference.html").write_text("\n".join(html_page(header)) + "\n")
    print(f"reference: {len(pages)} manual pages and reference.html are in {options.output}")


if __name__ == "__main__":
    main()
