#include "reports/writers/svg.h"

#include <fmt/format.h>

#include <iterator>

namespace ascendsim {

namespace {

// Labels come from files: markup in them is text.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

std::string stroke(const Svg::Pen& pen) {
  std::string out = fmt::format(" stroke=\"{}\" stroke-width=\"{}\"", pen.colour, pen.width);
  if (pen.opacity < 1) out += fmt::format(" stroke-opacity=\"{}\"", pen.opacity);
  if (!pen.dashes.empty()) out += fmt::format(" stroke-dasharray=\"{}\"", pen.dashes);
  return out;
}

}  // namespace

void Svg::rectangle(double x, double y, double w, double h, std::string_view fill, std::string_view stroke,
                    std::string_view title, double radius) {
  auto out = std::back_inserter(body_);
  fmt::format_to(out, R"(<rect x="{:.1f}" y="{:.1f}" width="{:.2f}" height="{:.1f}" fill="{}")", x, y, w, h, fill);
  if (radius > 0) fmt::format_to(out, R"( rx="{:.1f}")", radius);
  if (!stroke.empty()) fmt::format_to(out, R"( stroke="{}")", stroke);
  if (title.empty())
    body_ += "/>\n";
  else
    fmt::format_to(out, "><title>{}</title></rect>\n", escaped(title));
}

void Svg::line(double x1, double y1, double x2, double y2, const Pen& pen) {
  fmt::format_to(std::back_inserter(body_), "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"{}/>\n", x1,
                 y1, x2, y2, stroke(pen));
}

void Svg::arc(double x1, double x2, double y, double height, const Pen& pen) {
  fmt::format_to(std::back_inserter(body_),
                 "<path d=\"M {:.1f} {:.1f} C {:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}\" fill=\"none\"{}/>\n", x1, y,
                 x1, y - height, x2, y - height, x2, y, stroke(pen));
}

void Svg::arrow(double x1, double y, double x2, std::string_view colour) {
  line(x1, y, x2 - 4, y, colour, 1.5);
  fmt::format_to(std::back_inserter(body_), "<path d=\"M {:.1f} {:.1f} l -7 -4 v 8 z\" fill=\"{}\"/>\n", x2, y, colour);
}

void Svg::text(double x, double y, std::string_view what, const Ink& ink) {
  static constexpr std::string_view kAnchors[] = {"start", "middle", "end"};
  fmt::format_to(std::back_inserter(body_),
                 "<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\" fill=\"{}\" text-anchor=\"{}\"{}{}>{}</text>\n", x,
                 y, ink.size, ink.colour, kAnchors[static_cast<std::size_t>(ink.anchor)],
                 ink.bold ? " font-weight=\"bold\"" : "",
                 ink.halo ? " stroke=\"white\" stroke-width=\"6\" paint-order=\"stroke\"" : "", escaped(what));
}

std::string Svg::take(std::string_view title) const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n<title>{2}</title>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{3}</svg>\n",
      width_, height_, escaped(title), body_);
}

double text_width(std::string_view text, double size) { return 0.6 * size * static_cast<double>(text.size()); }

}  // namespace ascendsim
