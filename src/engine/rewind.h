// Going back to an earlier length of a sequence without computing it again.
#pragma once

#include "engine/model.h"

namespace trimma {

// Drops the tokens of sequences 0 .. `sequences` - 1 from position `length` on. False where the
// engine can't: a recurrent state has no past, and a sliding window may have lost the tokens that
// `length` still sees. The cache's content is then undefined; Clear() it.
bool Rewind(const Model& model, Context& context, int length, int sequences = 1);

}  // namespace trimma
