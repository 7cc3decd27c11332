// Where the searches start. Errors have many local minima, one for every way to round the weights;
// each start below is one such way, whose best scale (and min) then follow by least squares.
#pragma once

namespace trimma {

// Types with mins: the level, fractional, that a group's least value starts at, and the levels
// above the top that its largest does. ggml keeps the former at 0. Ends inside the range of levels
// coarsen the steps, those outside cut off a value.
inline constexpr float kLowEnds[] = {-1.25F, -0.75F, -0.25F, 0.25F, 0.75F};
inline constexpr float kHighEnds[] = {-0.75F, -0.25F, 0.25F, 0.75F, 1.25F};

// The least variance of a group's levels, by their mean square, that a scale and a min are told
// apart by.
inline constexpr float kLeastSpread = 1e-5F;

// Types without: the value of the largest magnitude starts at either end of the levels, times
// 1 + k / 16.
inline constexpr int kStretchFrom = -3;
inline constexpr int kStretchTo = 7;
inline constexpr float kStretchStep = 1.0F / 16;

// With the block's scales fixed, a group's integers are tried so far around the fitted ones.
inline constexpr int kScaleReach = 2;
inline constexpr int kMinReach = 1;

}  // namespace trimma
