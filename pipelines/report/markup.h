#pragma once
/// Untrusted text on its way into HTML, SVG and terminals, and numbers as readers expect them.

#include <cstddef>
#include <string>
#include <string_view>

namespace aha::pipelines {

/// Valid UTF-8 whatever the bytes: each maximal ill-formed part becomes one U+FFFD (the Unicode
/// Standard, 3.9, "best practice"), as do C1 controls and noncharacters. C0 controls except tab and
/// newline become their pictures (U+2400…), "\r\n" a newline, and explicit bidirectional controls,
/// which could make text read as what it is not, "[U+202E]".
std::string CleanText(std::string_view bytes);

/// CleanText with & < > " ' as entities: fit for HTML text and for quoted attributes.
std::string Escape(std::string_view bytes);

/// Escape, with tags (`<think>`, `</answer>`, `<|end|>`) in `<span class="tag">`.
std::string EscapeAndMarkTags(std::string_view bytes);

/// A table that scrolls sideways where the page is narrow, and its caption, which does not. `rows`
/// is the inside of the table and `caption` markup.
std::string CaptionedTable(std::string_view css_class,
                           std::string_view rows,
                           std::string_view caption);

/// Columns that clean text takes in a terminal: East Asian wide characters two, others one.
std::size_t DisplayWidth(std::string_view clean);

/// Code points of clean text.
std::size_t CountCharacters(std::string_view clean);

/// The largest cut at or before byte `at` of clean text that splits no character; within the last
/// 80 bytes, one just after white space is preferred.
std::size_t CutBefore(std::string_view clean, std::size_t at);

/// `value` with `decimals`, a real minus sign; an en dash when it is not known.
std::string Number(double value, int decimals);
/// A share in [0, 1] as a percentage without its sign: 0.634 is "63.4".
std::string Percent(double share);
/// "8.3 s", "12 min 04 s", "2 h 05 min".
std::string Duration(double seconds);
/// "640 MB", "1.9 GB" (powers of ten).
std::string Bytes(double bytes);
/// 12345 is "12,345".
std::string Grouped(std::size_t count);

}  // namespace aha::pipelines
