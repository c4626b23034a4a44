// A small writer of SVG pictures: shapes and text on a white page, in pixels. No styles from outside, no scripts.
#pragma once

#include <string>
#include <string_view>

namespace ascendsim {

class Svg {
 public:
  enum class Anchor : unsigned char { kStart, kMiddle, kEnd };
  struct Ink {
    std::string_view colour = "#1f2933";
    double size = 12;
    Anchor anchor = Anchor::kStart;
    bool bold = false;
    bool halo = false;  // white around it, where lines pass behind
  };
  struct Pen {
    std::string_view colour;
    double width = 1, opacity = 1;
    std::string_view dashes{};  // "7 3": drawn, left out
  };

  Svg(double width, double height) : width_(width), height_(height) {}

  // stroke empty: no outline. title: shown when the pointer rests on the shape.
  void rectangle(double x, double y, double w, double h, std::string_view fill, std::string_view stroke = {},
                 std::string_view title = {}, double radius = 0);
  void line(double x1, double y1, double x2, double y2, const Pen& pen);
  void line(double x1, double y1, double x2, double y2, std::string_view colour, double width = 1) {
    line(x1, y1, x2, y2, {.colour = colour, .width = width});
  }
  void arc(double x1, double x2, double y, double height, const Pen& pen);  // upwards
  void arrow(double x1, double y, double x2, std::string_view colour);      // horizontal
  void text(double x, double y, std::string_view text, const Ink& ink);
  void text(double x, double y, std::string_view what) { text(x, y, what, Ink{}); }

  void resize(double width, double height) { width_ = width, height_ = height; }
  [[nodiscard]] std::string take(std::string_view title) const;

 private:
  double width_, height_;
  std::string body_;
};

// About how wide a text is, for layout: there are no font metrics here.
double text_width(std::string_view text, double size);

}  // namespace ascendsim
