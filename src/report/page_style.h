// How the report looks.
#pragma once

namespace trimma {

// The page's whole style sheet: light and dark, narrow and wide, screen and paper.
extern const char* const kPageStyle;

}  // namespace trimma
