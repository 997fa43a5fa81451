#pragma once
/// From what a model or a data set writes to one plain spelling that the parsers read.

#include <string>
#include <string_view>

namespace aha::rewards::math {

struct Normalized {
  std::string text;
  /// Braces pair up and nest no deeper than 64. A reference that is not sound is refused.
  bool sound = true;
};

/// NFKC and LaTeX reduced to a line of text, in linear time:
/// - blanks fold to one space; spacing commands, \left, \right, $ signs and grouping braces go;
/// - \frac, \dfrac, \tfrac{a}{b} and \frac12 become a/b, a part in parentheses when it is no plain
///   word; one that follows a digit gets a space, so that 2\frac12 is the mixed number 2 1/2;
/// - superscripts, typed or raised, become ^2 or ^(10); \circ raised becomes the degree sign;
/// - \text, \mathrm, \boxed, ... leave their contents; \{ and \} become set braces;
/// - \cdot, \times become *, \div becomes /, minus signs and dashes become -, \% becomes %;
/// - other commands keep their name without the backslash: \sqrt{2} is sqrt(2), \pi is pi.
Normalized Normalize(std::string_view text);

/// NFKC code points with raised digits and vulgar fractions spelled out first (10⁶ is 10^{6}): what
/// the parser reads.
std::u32string Flatten(std::string_view text);

/// Blanks, emphasis marks, quotes and the punctuation that ends a sentence, off both ends.
std::string_view TrimAnswer(std::string_view text);

/// For comparing answers that are no numbers: without blanks, Latin letters folded.
std::string TextKey(std::string_view normalized);

}  // namespace aha::rewards::math
