// Where the searches start. Errors have many local minima, one for every way to round the weights;
// each start below is one such way, whose best scale (and min) then follow by least squares.
#pragma once

namespace trimma {

// Types with mins: the level, fractional, that a group's least value starts at, and the levels
// above the top that its largest does. ggml keeps the former at 0. Ends inside the range of levels
// coarsen the steps, those outside cut off a value.
inline constexpr float kLowEnds[] = {-1.25F, -0.75F, -0.25F, 0.25F, 0.75F};
inline constexpr float kHighEnds[] = {-0.75F, -0.25F, 0.25F, 0.75F, 1.25F};

// The same far outside, in multiples of the top level: for groups where one value is much larger
// than the others, or matters less.
struct Ends {
  float low, high;
};
inline constexpr Ends kCuts[] = {{0, 0.3F}, {0, 1},  {0, 3},        {-0.3F, 0},
                                 {-1, 0},   {-3, 0}, {-0.3F, 0.3F}, {-1, 1}};

// The least variance of a group's levels, by their mean square, that a scale and a min are told
// apart by.
inline constexpr float kLeastSpread = 1e-5F;

// Types without: the value of the largest magnitude starts at either end of the levels, times
// these. Below 1 the steps are coarser, above it is cut off.
inline constexpr float kStretches[] = {0.8125F,  0.875F,  0.90625F, 0.9375F, 0.96875F, 1,
                                       1.03125F, 1.0625F, 1.09375F, 1.125F,  1.15625F, 1.1875F,
                                       1.25F,    1.3125F, 1.4375F,  1.75F,   2.5F};

// The best of all is fitted so often once more, with the codes that its own scale gives.
inline constexpr int kRefits = 2;

// With the block's scales fixed, a group's integers are tried so far around the fitted ones.
inline constexpr int kScaleReach = 2;
inline constexpr int kMinReach = 1;

}  // namespace trimma
